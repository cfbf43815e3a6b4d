//! Machines: known by what the configuration says, with a bound of their own.

use super::*;

const SECRET: &str = "a-secret-of-the-provider";

fn machine(keys: &str) -> String {
    format!("[[machine]]\nname = \"provider-x\"\nat_once = 3\n{keys}")
}

const PLENTY: &str = "limit = 100\nreserve = 10\nreserve_per_customer = 2";

fn counted(proxy: &Proxy) -> (f64, f64) {
    let refused = "sluss_proxy_machine_refusals_total{machine=\"provider-x\",refusal=\"over_customer_share\"}";
    (proxy.metric("sluss_proxy_machine_arrivals_total{machine=\"provider-x\"}"), proxy.metric(refused))
}

#[test]
fn a_machine_has_its_bound_though_nobody_waits_and_takes_nothing_from_its_address() {
    let door = Door::default();
    let backend = backend(&door, nobody_logs_in);
    let secret = file(SECRET);
    let keys = format!("token_file = {}", quoted(secret.path()));
    let proxy =
        Setup::new().with("[customer]\nat_once_per_address = 1").with(&machine(&keys)).horse(&backend, PLENTY).start();
    let mut clients = has_a_share_of(&proxy, 3, |_| format!("authorization: Bearer {SECRET}"));
    assert_eq!(counted(&proxy), (4.0, 1.0));
    // Beside it, with no token or a wrong one, anybody is an address, and there is room.
    clients.push(enters(&proxy, ""));
    clients.push(enters(&proxy, "authorization: Bearer a-secret-of-the-provideR"));
    clients.push(enters(&proxy, "authorization: Bearer a-secret-of-the-provider-x"));
    all_are_served(&door, clients);
    assert_eq!(counted(&proxy), (4.0, 1.0));
}

#[test]
fn a_machine_is_known_by_all_that_is_said_of_it() {
    let door = Door::default();
    let backend = backend(&door, nobody_logs_in);
    let keys = "from = [\"203.0.113.0/24\"]\nheader = { name = \"x-partner\", value = \"feed\" }";
    let proxy = Setup::new().listen("trusted = [\"127.0.0.0/8\"]").with(&machine(keys)).horse(&backend, PLENTY).start();
    let clients = has_a_share_of(&proxy, 3, |n| format!("x-forwarded-for: 203.0.113.{n}\r\nx-partner: feed"));
    door.open();
    for lines in ["x-partner: feed", "x-forwarded-for: 203.0.113.9", "x-forwarded-for: 203.0.113.9\r\nx-partner: fee"] {
        assert_eq!(proxy.client().ask(asking("/horse/odds", lines)).status(), 200);
    }
    all_are_served(&door, clients);
    assert_eq!(counted(&proxy), (4.0, 1.0));
}

#[test]
fn a_stranger_is_no_machine_by_a_header() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new()
        .listen("trusted = [\"10.0.0.0/8\"]")
        .with(&machine("header = { name = \"x-partner\", value = \"feed\" }"))
        .horse(&backend, PLENTY)
        .start();
    assert_eq!(proxy.client().ask(asking("/horse/odds", "x-partner: feed")).status(), 200);
    assert_eq!(counted(&proxy), (0.0, 0.0));
}

#[test]
fn a_machine_leaves_of_a_reserve_what_one_customer_may_have() {
    let door = Door::default();
    let backend = backend(&door, nobody_logs_in);
    let keys = "from = [\"127.0.0.1\"]";
    let proxy = Setup::new()
        .with(&machine(keys).replace("at_once = 3", "at_once = 50"))
        .horse(&backend, "limit = 1\nreserve = 5\nreserve_per_customer = 2\nqueue = { longest_wait = \"60s\" }")
        .start();
    let mut clients: Vec<Client> = (0..6).map(|_| proxy.client()).collect();
    clients.iter_mut().for_each(|client| client.say(asking("/horse/logout", "")));
    // Three on the reserve, one on the limit, two wait.
    proxy.until_waiting(2);
    assert_eq!(proxy.metric("sluss_admission_reserve_seats{product=\"horse-racing\"}"), 3.0);
    all_are_served(&door, clients);
}

#[test]
fn a_machine_that_logs_somebody_in_becomes_nobody() {
    let says = "HTTP/1.1 200 OK\r\nx-account: anna\r\nset-cookie: session=hers\r\ncontent-length: 0\r\n\r\n";
    let backend = backend(&Door::default(), |_| says.to_owned());
    let sessions = "{ cookie = \"session\", bound_by = { header = \"x-account\" } }";
    let proxy =
        setup(sessions, "10.0.0.0/8").with(&machine("from = [\"127.0.0.1\"]")).horse(&backend, super::ONE_SEAT).start();
    assert_eq!(proxy.client().get("/horse/login").header("x-account"), None);
    assert_eq!(proxy.metric("sluss_proxy_sessions_bound_total"), 0.0);
}
