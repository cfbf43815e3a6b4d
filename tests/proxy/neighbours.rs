//! Connections from one address: so many and no more, and nobody else pays for it.

use std::net::{SocketAddr, TcpStream};

use rustls::ClientConnection;
use socket2::{Domain, Socket, Type};

use super::backend::{Backend, OK};
use super::certificates::Authority;
use super::client::Client;
use super::proxy::{Proxy, Setup};
use super::until;
use super::wire::Wire;

const TOO_MANY: &str = "sluss_proxy_connections_closed_total{reason=\"too_many_from_one\"}";

fn at_most_two(backend: &Backend, listen: &str) -> Proxy {
    let listen = format!("connections_per_address = 2\n{listen}");
    Setup::new().listen(&listen).horse(backend, "").start()
}

/// A client at one of this machine's many addresses.
fn from(address: &str, proxy: &Proxy) -> Client {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let address: SocketAddr = format!("{address}:0").parse().expect("an address");
    socket.bind(&address.into()).expect("an address of the loopback interface");
    socket.connect(&proxy.address().into()).expect("the proxy accepts connections");
    Client::over(Wire::new(TcpStream::from(socket)))
}

const FROM_HERE: &str = "proxy_protocol = [\"127.0.0.0/8\"]";
const ANNA: &str = "PROXY TCP4 203.0.113.9 10.0.0.1 5 80\r\n";
const BERT: &str = "PROXY TCP4 203.0.113.10 10.0.0.1 5 80\r\n";

/// A connection that a load balancer passes on, with what it says of it.
fn through(header: &str, proxy: &Proxy) -> Client {
    let mut client = from("127.0.0.2", proxy);
    client.say(header);
    client
}

#[test]
fn one_over_the_bound_is_closed_and_others_come_in() {
    let backend = Backend::answering(OK);
    let proxy = at_most_two(&backend, "workers = 2");
    let mut mine: Vec<Client> = (0..2).map(|_| from("127.0.0.2", &proxy)).collect();
    for client in &mut mine {
        assert_eq!(client.get("/horse/odds").status(), 200);
    }
    for _ in 0..3 {
        from("127.0.0.2", &proxy).is_closed();
    }
    assert_eq!(from("127.0.0.3", &proxy).get("/horse/odds").status(), 200);
    assert_eq!(proxy.metric(TOO_MANY), 3.0);
    // Those that were there are not disturbed, and one that goes makes room for the next.
    assert_eq!(mine[0].get("/horse/odds").status(), 200);
    drop(mine.pop());
    until("one has gone", || proxy.status().connections == 1);
    assert_eq!(from("127.0.0.2", &proxy).get("/horse/odds").status(), 200);
    assert_eq!(proxy.metric(TOO_MANY), 3.0);
}

#[test]
fn addresses_of_one_prefix_are_one_and_trusted_ones_are_not_counted() {
    let backend = Backend::answering(OK);
    let prefix = Setup::new().listen("connections_per_address = 2").with("[customer]\nipv4_prefix = 24");
    let proxy = prefix.horse(&backend, "").start();
    let mut neighbours = [from("127.0.7.1", &proxy), from("127.0.7.2", &proxy)];
    neighbours.iter_mut().for_each(|client| assert_eq!(client.get("/horse/odds").status(), 200));
    from("127.0.7.3", &proxy).is_closed();

    let proxy = at_most_two(&backend, "trusted = [\"127.0.0.0/8\"]");
    let mut all: Vec<Client> = (0..5).map(|_| from("127.0.0.2", &proxy)).collect();
    all.iter_mut().for_each(|client| assert_eq!(client.get("/horse/odds").status(), 200));
    assert_eq!(proxy.metric(TOO_MANY), 0.0);
}

#[test]
fn behind_a_balancer_those_are_counted_whom_its_headers_name() {
    let backend = Backend::answering(OK);
    let proxy = at_most_two(&backend, FROM_HERE);
    let mut anna: Vec<Client> = (0..2).map(|_| through(ANNA, &proxy)).collect();
    anna.iter_mut().for_each(|client| assert_eq!(client.get("/horse/odds").status(), 200));
    through(ANNA, &proxy).is_closed();
    assert_eq!(proxy.metric(TOO_MANY), 1.0);
    let mut bert = through(BERT, &proxy);
    assert_eq!(bert.get("/horse/odds").status(), 200);
    // The balancer's own, and those of which nothing has been said yet, are nobody's.
    let mut own: Vec<Client> = (0..4).map(|_| through("PROXY UNKNOWN\r\n", &proxy)).collect();
    own.iter_mut().for_each(|client| assert_eq!(client.get("/horse/odds").status(), 200));
    let silent: Vec<Client> = (0..4).map(|_| from("127.0.0.2", &proxy)).collect();
    until("all are here", || proxy.status().connections == 2 + 1 + 4 + 4);
    drop(anna.pop());
    until("one of hers has gone", || proxy.status().connections == 1 + 1 + 4 + 4);
    assert_eq!(through(ANNA, &proxy).get("/horse/odds").status(), 200);
    assert_eq!(proxy.metric(TOO_MANY), 1.0);
    drop(silent);
}

#[test]
fn one_over_the_bound_costs_no_handshake() {
    let (backend, authority) = (Backend::answering(OK), Authority::new());
    let proxy = at_most_two(&backend, &format!("{FROM_HERE}\n{}", authority.listen(&["bet.example"])));
    let secure = || {
        let mut wire = through(ANNA, &proxy).into_wire();
        let name = "bet.example".try_into().expect("a name");
        let tls = ClientConnection::new(authority.client(&[]).config(), name).expect("a sound configuration");
        wire.secure(tls).map(|()| Client::over(wire))
    };
    let mut hers = [secure().expect("a handshake"), secure().expect("another")];
    hers.iter_mut().for_each(|client| assert_eq!(client.get("/horse/odds").status(), 200));
    assert!(secure().is_err());
    assert_eq!(proxy.metric(TOO_MANY), 1.0);
    let handshakes = ["full", "resumed", "failed"]
        .map(|outcome| proxy.metric(&format!("sluss_proxy_tls_handshakes_total{{outcome={outcome:?}}}")));
    assert_eq!((handshakes.iter().sum::<f64>(), handshakes[2]), (2.0, 0.0));
}
