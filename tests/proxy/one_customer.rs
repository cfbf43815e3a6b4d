//! One customer who asks a thousand times at once, and the others beside them.

use super::backend::{Backend, Door, OK};
use super::client::Client;
use super::proxy::{Proxy, Setup};
use super::until;

const CONFIG: &str = "[customer]\nfrom = [{ header = \"x-customer\" }, \
    { cookie = \"session\", bound_by = { header = \"x-account\" } }, \"address\"]\nat_once_per_address = 100";
const KEYS: &str = "limit = 1\nqueue = { longest_wait = \"60s\" }\n\
    [[product.class]]\nclass = \"start\"\nmatch = [{ path = \"/horse/login\" }]\n\
    [[product.class]]\nclass = \"continue\"\nmatch = [{ path = \"/horse/coupon\" }]";
/// What a stranger may write into a request so as to look like somebody else each time.
const LIES: [&str; 3] = ["cookie: session=fresh-", "x-customer: made-up-", "x-forwarded-for: 203.0.113."];
const CONNECTIONS: usize = 1000;
const AT_ONCE: u32 = 100;
const ARRIVED: &str = "sluss_proxy_arrivals_total{product=\"horse-racing\",class=\"commit\"}";

/// Somebody's logins are answered at once and name their account; all else waits at the door.
fn backend(door: &Door) -> Backend {
    let door = door.clone();
    Backend::new(move |connection| {
        while let Some(request) = connection.request()? {
            match request.start().split(' ').nth(1).and_then(|path| path.strip_prefix("/horse/login?")) {
                Some(who) => {
                    connection.say(format!("HTTP/1.1 200 OK\r\nx-account: {who}\r\ncontent-length: 0\r\n\r\n"))?
                }
                None => {
                    door.pass();
                    connection.say(OK)?;
                }
            }
        }
        Ok(())
    })
}

fn says(proxy: &Proxy, path: &str, line: &str) -> Client {
    let mut client = proxy.client();
    client.say(format!("POST {path} HTTP/1.1\r\nhost: h\r\n{line}\r\ncontent-length: 0\r\n\r\n"));
    client
}

#[test]
fn a_thousand_connections_of_one_customer_hold_up_nobody_who_is_on_a_journey() {
    let door = Door::default();
    let backend = backend(&door);
    let proxy = Setup::new().listen("trusted = [\"10.0.0.0/8\"]").with(CONFIG).horse(&backend, KEYS).start();
    assert_eq!(says(&proxy, "/horse/login?anna", "cookie: session=hers").answer().status(), 200);

    // Whoever they say they are: as many of theirs as one customer may have wait at most, the others hear no.
    let asks = |n: usize| says(&proxy, "/horse/bets?theirs", &format!("{}{n}", LIES[n % LIES.len()]));
    let mut crowd: Vec<Client> = (0..CONNECTIONS).map(asks).collect();
    until("all of theirs have arrived", || proxy.metric(ARRIVED) >= CONNECTIONS as f64);
    let waiting = proxy.product("horse-racing").waiting;
    assert!(waiting < AT_ONCE, "{waiting} of theirs wait");
    let mut anna = says(&proxy, "/horse/coupon?hers", "cookie: session=hers");
    proxy.until_waiting(waiting + 1);

    // Of all who wait, the next to be asked for is hers.
    backend.until_asked(2);
    door.let_one();
    backend.until_asked(3);
    let asked: Vec<String> = backend.requests()[1..].iter().map(|request| request.start().to_owned()).collect();
    assert_eq!(asked, ["POST /horse/bets?theirs HTTP/1.1", "POST /horse/coupon?hers HTTP/1.1"]);
    door.open();
    assert_eq!(anna.answer().status(), 200);
    let answers: Vec<u16> = crowd.iter_mut().map(|client| client.answer().status()).collect();
    let served = answers.iter().filter(|status| **status == 200).count();
    assert_eq!(served, waiting as usize + 1, "theirs are served too, once it is their turn");
    assert!(answers.iter().all(|status| [200, 429, 503].contains(status)), "{answers:?}");
}
