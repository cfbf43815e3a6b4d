//! What the backend gets of what the client sent.

use super::backend::{Backend, OK};
use super::proxy::{Proxy, Setup};

const IDENTITY: &str = "[customer]\nfrom = [{ header = \"x-customer\" }, \"address\"]";

#[test]
fn a_request_arrives_as_it_was_sent_but_for_what_belongs_to_one_hop() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let answer = proxy.client().ask(
        "GET /horse/odds?race=v75-1&sort=%41 HTTP/1.1\r\nHost: bet.example:8080\r\nAccept: */*\r\nCookie: a=1\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\n\
         TE: gzip\r\nX-Odd: caf\u{e9}\r\n\r\n",
    );
    assert_eq!(answer.status(), 200);
    let request = backend.request();
    assert_eq!(request.start(), "GET /horse/odds?race=v75-1&sort=%41 HTTP/1.1");
    assert_eq!(request.all("host"), ["bet.example:8080"]);
    assert_eq!(request.all("accept"), ["*/*"]);
    assert_eq!(request.all("cookie"), ["a=1"]);
    assert_eq!(request.all("x-odd"), ["caf\u{e9}"]);
    assert_eq!(request.all("via"), ["1.1 sluss"]);
    assert_eq!(request.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.all("x-forwarded-proto"), ["http"]);
    assert_eq!(request.all("x-forwarded-host"), ["bet.example:8080"]);
    assert_eq!(request.all("forwarded"), ["for=127.0.0.1;proto=http;host=\"bet.example:8080\""]);
    for gone in ["keep-alive", "proxy-connection", "proxy-authorization", "te", "connection", "transfer-encoding"] {
        assert_eq!(request.header(gone), None, "{gone}");
    }
}

#[test]
fn headers_that_connection_names_end_here_and_the_host_is_not_among_them() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    proxy.client().ask(
        "GET /horse/odds HTTP/1.1\r\nhost: bet.example\r\nconnection: x-private, Host, x-forwarded-for\r\n\
         connection: x-more\r\nx-private: 1\r\nx-more: 2\r\nx-kept: 3\r\n\r\n",
    );
    let request = backend.request();
    assert_eq!(request.header("x-private"), None);
    assert_eq!(request.header("x-more"), None);
    assert_eq!(request.all("x-kept"), ["3"]);
    assert_eq!(request.all("host"), ["bet.example"]);
    assert_eq!(request.all("x-forwarded-for"), ["127.0.0.1"]);
}

const SAYS_WHO: &str = "GET /horse/odds HTTP/1.1\r\nhost: bet.example\r\nx-customer: anna\r\n\
                        x-forwarded-for: 203.0.113.9\r\nx-forwarded-proto: https\r\nx-forwarded-host: other.example\r\n\
                        forwarded: for=203.0.113.9\r\n\r\n";

#[test]
fn strangers_are_not_believed_who_they_are_nor_whom_they_forward_for() {
    let backend = Backend::answering(OK);
    let elsewhere = "trusted = [\"10.0.0.0/8\"]";
    let proxy = Setup::new().listen(elsewhere).with(IDENTITY).horse(&backend, "").start();
    proxy.client().ask(SAYS_WHO);
    let request = backend.request();
    assert_eq!(request.header("x-customer"), None);
    assert_eq!(request.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.all("x-forwarded-proto"), ["http"]);
    assert_eq!(request.all("x-forwarded-host"), ["bet.example"]);
    assert_eq!(request.all("forwarded"), ["for=127.0.0.1;proto=http;host=\"bet.example\""]);
}

#[test]
fn a_trusted_load_balancer_is_believed_and_its_chain_is_continued() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().listen("trusted = [\"127.0.0.0/8\"]").with(IDENTITY).horse(&backend, "").start();
    proxy.client().ask(SAYS_WHO);
    let request = backend.request();
    assert_eq!(request.all("x-customer"), ["anna"]);
    assert_eq!(request.all("x-forwarded-for"), ["203.0.113.9, 127.0.0.1"]);
    assert_eq!(request.all("x-forwarded-proto"), ["https"]);
    assert_eq!(request.all("x-forwarded-host"), ["other.example"]);
    assert_eq!(request.all("forwarded"), ["for=203.0.113.9", "for=127.0.0.1;proto=http;host=\"bet.example\""]);
}

#[test]
fn the_host_in_an_absolute_target_counts_more_than_the_header() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let answer = proxy.client().ask("GET http://bet.example:81/horse/odds?a=1 HTTP/1.1\r\nhost: other.example\r\n\r\n");
    assert_eq!(answer.status(), 200);
    let request = backend.request();
    assert_eq!(request.start(), "GET /horse/odds?a=1 HTTP/1.1");
    assert_eq!(request.all("host"), ["bet.example:81"]);
    assert_eq!(request.all("x-forwarded-host"), ["bet.example:81"]);
}

#[test]
fn a_product_is_found_by_the_host_that_its_backend_gets() {
    let (inside, outside) = (Backend::answering(OK), Backend::answering(OK));
    let by_host = |name: &str, host: &str, backend: &Backend| {
        format!(
            "[[product]]\nname = {name:?}\nmatch = [{{ host = {host:?} }}]\nbackends = [\"http://{}\"]",
            backend.address
        )
    };
    let proxy = Setup::new()
        .with(&by_host("inside", "inside.example", &inside))
        .with(&by_host("outside", "outside.example", &outside))
        .start();
    proxy.client().ask("GET http://outside.example/ HTTP/1.1\r\nhost: inside.example\r\n\r\n");
    assert_eq!(inside.requests().len(), 0);
    assert_eq!(outside.request().all("host"), ["outside.example"]);
}

#[test]
fn a_target_with_a_password_or_another_scheme_is_refused() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    for target in ["http://anna:secret@bet.example/horse/odds", "https://bet.example/horse/odds", "bet.example:80"] {
        let answer = proxy.client().ask(format!("GET {target} HTTP/1.1\r\nhost: bet.example\r\n\r\n"));
        assert_eq!(answer.status(), 400, "{target}");
    }
    assert_eq!(backend.requests().len(), 0);
}

#[test]
fn headers_that_stand_several_times_arrive_as_often_and_in_order() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    proxy.client().ask(
        "GET /horse/odds HTTP/1.1\r\nhost: bet.example\r\nx-list: 1\r\nx-other: a\r\nx-list: 2\r\nX-List: 3\r\n\r\n",
    );
    assert_eq!(backend.request().all("x-list"), ["1", "2", "3"]);
}

#[test]
fn a_client_of_http_1_0_is_told_apart_in_via_and_may_name_no_host() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    let answer = client.ask("GET /horse/odds HTTP/1.0\r\n\r\n");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
    client.is_closed();
    let request = backend.request();
    assert_eq!(request.start(), "GET /horse/odds HTTP/1.1");
    assert_eq!(request.all("via"), ["1.0 sluss"]);
    // HTTP/1.1, as the backend is spoken to, demands one.
    assert_eq!(request.all("host"), [backend.address.to_string()]);
    assert_eq!(request.header("x-forwarded-host"), None);
}

#[test]
fn what_no_product_serves_is_not_found() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    let answer = client.get("/greyhounds/odds");
    assert_eq!(answer.status(), 404);
    assert_eq!(answer.json()["fault"], "no_product");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(client.get("/horse/odds").status(), 200);
}
