//! Connections from one address: so many and no more, and nobody else pays for it.

use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::backend::{Backend, OK};
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
