//! Calls of gRPC: their clients read a status of their own, and try again by themselves what is unavailable.

use http::Request;

use super::backend::{Backend, OK};
use super::http2_client::{Asked, Http2};
use super::proxy::{Proxy, Setup};
use super::wire::Message;

/// A call of gRPC with an empty message.
pub fn call(client: &mut Http2, path: &str) -> Asked {
    let request = Request::post(format!("http://bet.example{path}"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers");
    let mut asked = client.send(request.body(()).unwrap(), true);
    asked.say("\0\0\0\0\0", true);
    asked
}

/// Status, message and pushback of a call that ended before it began.
fn told(answer: &Message) -> (&str, &str, &str) {
    assert_eq!((answer.status(), answer.text().as_str()), (200, ""));
    assert_eq!(answer.header("content-type"), Some("application/grpc"));
    let [status, message, pushback] =
        ["grpc-status", "grpc-message", "grpc-retry-pushback-ms"].map(|name| answer.header(name).unwrap_or("none"));
    (status, message, pushback)
}

#[test]
fn a_refused_call_hears_that_it_is_unavailable_and_when_to_come_back() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    proxy.order("park", "horse-racing");
    let answer = call(&mut Http2::to(proxy.address()), "/horse/bets").answer();
    let (status, message, pushback) = told(&answer);
    assert_eq!((status, message), ("14", "parked"));
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds > 0);
    assert_eq!(pushback, format!("{seconds}000"));
    assert_eq!(backend.requests().len(), 0);
}

#[test]
fn a_call_whose_answer_was_lost_is_not_to_be_made_again() {
    let backend = Backend::new(|connection| connection.request().map(|_| ()));
    let proxy = Proxy::before(&backend);
    let mut client = Http2::to(proxy.address());
    assert_eq!(told(&call(&mut client, "/horse/bets").answer()), ("2", "outcome_unknown", "-1"));
    assert_eq!(told(&call(&mut client, "/horse/odds").answer()), ("2", "backend_broken_answer", "-1"));
    assert_eq!(told(&call(&mut client, "/nowhere").answer()), ("12", "no_product", "-1"));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = Setup::new().product("horse-racing", "/horse/", &[nobody], "").start();
    let answer = call(&mut Http2::to(proxy.address()), "/horse/bets").answer();
    let (status, _, pushback) = told(&answer);
    assert_eq!(status, "14");
    assert_ne!(pushback, "-1", "nothing was sent, so it may be tried again");
}

#[test]
fn a_call_that_is_answered_keeps_its_trailers() {
    let backend = Backend::new(|connection| {
        while connection.request()?.is_some() {
            connection.say(
                "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n\
                 5\r\nhello\r\n0\r\ngrpc-status: 0\r\n\r\n",
            )?;
        }
        Ok(())
    });
    let proxy = Proxy::before(&backend);
    let answer = call(&mut Http2::to(proxy.address()), "/horse/odds").answer();
    assert_eq!((answer.text().as_str(), &answer.trailers[..]), ("hello", &["grpc-status: 0".to_owned()][..]));
    assert_eq!(backend.requests()[0].header("te"), Some("trailers"));
}

#[test]
fn a_call_whose_client_goes_on_talking_outlasts_the_time_to_the_first_byte() {
    let backend = Backend::answering(
        "HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ntransfer-encoding: chunked\r\n\r\n\
         5\r\nhello\r\n0\r\ngrpc-status: 0\r\n\r\n",
    );
    let keys = "first_byte_timeout = \"500ms\"\nlatency_objective = \"250ms\"";
    let proxy = Setup::new().horse(&backend, keys).start();
    let mut client = Http2::to(proxy.address());
    let request = Request::post("http://bet.example/horse/odds").header("content-type", "application/grpc");
    let mut asked = client.send(request.body(()).unwrap(), true);
    for _ in 0..10 {
        asked.say("\0\0\0\0\0", false);
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    asked.say("\0\0\0\0\0", true);
    let answer = asked.answer();
    assert_eq!((answer.text().as_str(), &answer.trailers[..]), ("hello", &["grpc-status: 0".to_owned()][..]));
}
