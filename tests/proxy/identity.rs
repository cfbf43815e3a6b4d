//! Who is asking: what counts as an identity, and that nothing else does.
//!
//! What a customer is taken for is seen by their share: so many of their requests are let in while others wait, and one
//! more is refused. Here it is 2 of a customer, 4 of an address.

use std::io::Write;
use std::path::Path;

use tempfile::NamedTempFile;

use super::backend::{Backend, Door, OK};
use super::client::Client;
use super::proxy::{Proxy, Setup};
use super::until;

mod machines;
mod sessions;
mod tokens;

/// What is common to these tests: one seat, so that whoever comes second waits.
const ONE_SEAT: &str = "limit = 1\nqueue = { longest_wait = \"60s\" }\n[[product.class]]\nclass = \"start\"\n\
                        match = [{ path = \"/horse/login\" }]";

fn setup(from: &str, trusted: &str) -> Setup {
    Setup::new()
        .listen(&format!("trusted = [{trusted:?}]"))
        .with(&format!("[customer]\nfrom = [{from}, \"address\"]\nat_once = 2\nat_once_per_address = 4"))
}

/// Answers a login as `login` says, and everything else `ok` when it is let through the door.
fn backend(door: &Door, login: impl Fn(&str) -> String + Send + Sync + 'static) -> Backend {
    let door = door.clone();
    Backend::new(move |connection| {
        while let Some(request) = connection.request()? {
            if request.start().contains("/login") {
                connection.say(login(request.start()))?;
            } else {
                door.pass();
                connection.say(OK)?;
            }
        }
        Ok(())
    })
}

fn nobody_logs_in(_: &str) -> String {
    OK.to_owned()
}

/// A request with these header lines.
fn asking(path: &str, lines: &str) -> String {
    let lines = if lines.is_empty() { String::new() } else { format!("{lines}\r\n") };
    format!("GET {path} HTTP/1.1\r\nhost: bet.example\r\n{lines}\r\n")
}

/// How many requests run or wait.
fn inside(proxy: &Proxy) -> u32 {
    proxy.status().products.iter().map(|product| product.in_flight + product.waiting).sum()
}

/// Let in a request with these lines; it stays until the door is opened.
#[track_caller]
fn enters(proxy: &Proxy, lines: &str) -> Client {
    let before = inside(proxy);
    let mut client = proxy.client();
    client.say(asking("/horse/odds", lines));
    until("the request is let in", || inside(proxy) == before + 1);
    client
}

#[track_caller]
fn is_over_share(proxy: &Proxy, lines: &str) {
    let answer = proxy.client().ask(asking("/horse/odds", lines));
    assert_eq!(answer.status(), 429, "{}", answer.start());
    assert_eq!(answer.json()["refusal"], "over_customer_share");
}

/// Of requests with these lines, so many are let in and no more.
#[track_caller]
fn has_a_share_of(proxy: &Proxy, most: usize, lines: impl Fn(usize) -> String) -> Vec<Client> {
    let clients = (0..most).map(|n| enters(proxy, &lines(n))).collect();
    is_over_share(proxy, &lines(most));
    clients
}

/// Everybody who waits is served.
#[track_caller]
fn all_are_served(door: &Door, clients: impl IntoIterator<Item = Client>) {
    door.open();
    clients.into_iter().for_each(|mut client| assert_eq!(client.answer().status(), 200));
}

/// A file with this in it, until it is dropped.
fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a disk");
    file.write_all(text.as_bytes()).expect("a disk");
    file
}

/// A path as it stands in a configuration.
fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

#[test]
fn a_header_names_customers_from_a_trusted_network() {
    let door = Door::default();
    let backend = backend(&door, nobody_logs_in);
    let proxy = setup("{ header = \"x-customer\" }", "127.0.0.0/8").horse(&backend, ONE_SEAT).start();
    let mut clients = has_a_share_of(&proxy, 2, |_| "x-customer: anna".into());
    clients.extend(has_a_share_of(&proxy, 2, |_| "x-customer: bert".into()));
    all_are_served(&door, clients);
}

#[test]
fn a_strangers_header_names_nobody_and_does_not_reach_the_backend() {
    let door = Door::default();
    let backend = backend(&door, nobody_logs_in);
    let proxy = setup("{ header = \"x-customer\" }", "10.0.0.0/8").horse(&backend, ONE_SEAT).start();
    let clients = has_a_share_of(&proxy, 4, |n| format!("x-customer: customer-{n}\r\nx-forwarded-for: 203.0.113.{n}"));
    all_are_served(&door, clients);
    assert!(backend.requests().iter().all(|request| request.header("x-customer").is_none()));
}

#[test]
fn an_address_is_as_much_of_it_as_the_prefix_says() {
    let door = Door::default();
    let backend = backend(&door, nobody_logs_in);
    let setup = Setup::new()
        .listen("trusted = [\"127.0.0.0/8\"]")
        .with("[customer]\nat_once_per_address = 2\nipv4_prefix = 24\nipv6_prefix = 56");
    let proxy = setup.horse(&backend, ONE_SEAT).start();
    let mut clients = has_a_share_of(&proxy, 2, |n| format!("x-forwarded-for: 203.0.113.{n}"));
    clients.extend(has_a_share_of(&proxy, 2, |n| format!("x-forwarded-for: 203.0.112.{n}")));
    clients.extend(has_a_share_of(&proxy, 2, |n| format!("x-forwarded-for: 2001:db8:0:10{n}::7")));
    clients.extend(has_a_share_of(&proxy, 2, |n| format!("x-forwarded-for: 2001:db8:0:20{n}::7")));
    all_are_served(&door, clients);
}
