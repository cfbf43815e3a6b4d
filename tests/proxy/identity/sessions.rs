//! Sessions: a cookie is nobody's until a backend has said whose it is.

use super::*;

const BY_HEADER: &str = "{ cookie = \"session\", bound_by = { header = \"x-account\" } }";
const BY_COOKIE: &str = "{ cookie = \"session\", bound_by = \"set-cookie\" }";
const STRANGERS: &str = "10.0.0.0/8";

/// Answers `/horse/login/ACCOUNT/SESSION` by naming the account and setting the cookie; without a session it sets none.
fn says_who(request: &str) -> String {
    let mut words = request.split(' ').nth(1).unwrap_or_default().split('/').skip(3);
    let (account, session) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let set = if session.is_empty() { String::new() } else { format!("set-cookie: session={session}; Path=/\r\n") };
    format!("HTTP/1.1 303 See Other\r\nx-account: {account}\r\n{set}content-length: 0\r\n\r\n")
}

fn changed(proxy: &Proxy) -> f64 {
    proxy.metric("sluss_proxy_customers_learnt_total{product=\"horse-racing\"}")
}

#[test]
fn two_sessions_of_one_account_are_one_customer() {
    let door = Door::default();
    let backend = backend(&door, says_who);
    let proxy = setup(BY_HEADER, STRANGERS).horse(&backend, ONE_SEAT).start();
    for session in ["phone", "desk"] {
        let answer = proxy.client().get(&format!("/horse/login/anna/{session}"));
        assert_eq!((answer.status(), answer.header("x-account")), (303, None), "the account is not for clients");
    }
    assert_eq!((changed(&proxy), proxy.metric("sluss_proxy_sessions")), (2.0, 2.0));
    let mut clients = has_a_share_of(&proxy, 4, |_| String::new());
    clients.extend([enters(&proxy, "cookie: a=1; session=phone"), enters(&proxy, "cookie: session=desk")]);
    is_over_share(&proxy, "cookie: session=phone");
    is_over_share(&proxy, "cookie: session=desk");
    all_are_served(&door, clients);
}

#[test]
fn a_thousand_connections_with_fresh_cookies_are_one_address() {
    let door = Door::default();
    let backend = backend(&door, says_who);
    let proxy = setup(BY_HEADER, STRANGERS).horse(&backend, ONE_SEAT).start();
    assert_eq!(proxy.client().get("/horse/login/anna/hers").status(), 303);
    let mut clients: Vec<Client> = (0..4).map(|n| enters(&proxy, &format!("cookie: session=fresh-{n}"))).collect();
    for n in 4..1000 {
        is_over_share(&proxy, &format!("cookie: session=fresh-{n}"));
    }
    // Anna is at the same address, and has what a customer has.
    clients.extend(has_a_share_of(&proxy, 2, |_| "cookie: session=hers".into()));
    all_are_served(&door, clients);
}

#[test]
fn the_session_of_a_request_is_bound_when_the_login_begins_none() {
    let door = Door::default();
    let backend = backend(&door, says_who);
    let proxy = setup(BY_HEADER, STRANGERS).horse(&backend, ONE_SEAT).start();
    proxy.client().ask(asking("/horse/login/anna", "cookie: session=hers"));
    // What somebody made her use counts no more once the login has begun another.
    proxy.client().ask(asking("/horse/login/bert/his", "cookie: session=planted"));
    let mut clients = has_a_share_of(&proxy, 4, |_| "cookie: session=planted".into());
    clients.extend(has_a_share_of(&proxy, 2, |_| "cookie: session=hers".into()));
    clients.extend(has_a_share_of(&proxy, 2, |_| "cookie: session=his".into()));
    all_are_served(&door, clients);
}

#[test]
fn a_new_session_of_the_same_account_changes_no_key() {
    let backend = backend(&Door::default(), says_who);
    let proxy = setup(BY_HEADER, STRANGERS).horse(&backend, ONE_SEAT).start();
    proxy.client().get("/horse/login/anna/old");
    proxy.client().ask(asking("/horse/login/anna/new", "cookie: session=old"));
    assert_eq!((changed(&proxy), proxy.metric("sluss_proxy_sessions_bound_total")), (1.0, 2.0));
}

#[test]
fn only_the_cookie_that_the_backend_has_set_is_bound_by_set_cookie() {
    let door = Door::default();
    let backend = backend(&door, says_who);
    let proxy = setup(BY_COOKIE, STRANGERS).horse(&backend, ONE_SEAT).start();
    let answer = proxy.client().ask(asking("/horse/login/anna/one", "cookie: session=made-up"));
    assert_eq!(answer.header("x-account"), Some("anna"), "no header was asked to bind, so none is taken off");
    proxy.client().ask(asking("/horse/login/anna/two", "cookie: session=one"));
    assert_eq!(changed(&proxy), 2.0, "from the address to the session, and from that to the next");
    let mut clients = has_a_share_of(&proxy, 4, |_| "cookie: session=made-up".into());
    clients.extend(has_a_share_of(&proxy, 2, |_| "cookie: session=one".into()));
    clients.extend(has_a_share_of(&proxy, 2, |_| "cookie: session=two".into()));
    all_are_served(&door, clients);
}

#[test]
fn only_a_login_that_went_well_binds() {
    let named = "x-account: anna\r\nset-cookie: session=hers";
    let failed = format!("HTTP/1.1 401 Unauthorized\r\n{named}\r\ncontent-length: 0\r\n\r\n");
    let ended = "HTTP/1.1 200 OK\r\nx-account: \r\nset-cookie: session=; Max-Age=0\r\ncontent-length: 0\r\n\r\n";
    let not_a_login = format!("HTTP/1.1 200 OK\r\n{named}\r\ncontent-length: 0\r\n\r\n");
    let backend = Backend::new(move |connection| {
        while let Some(request) = connection.request()? {
            let answer = match request.start() {
                start if start.contains("login/failed") => &failed,
                start if start.contains("login") => ended,
                _ => &not_a_login,
            };
            connection.say(answer)?;
        }
        Ok(())
    });
    let proxy = setup(BY_HEADER, STRANGERS).horse(&backend, ONE_SEAT).start();
    for path in ["/horse/login/failed", "/horse/login/ended", "/horse/odds"] {
        let answer = proxy.client().ask(asking(path, "cookie: session=hers"));
        assert_eq!(answer.header("x-account"), None, "{path}");
    }
    assert_eq!((proxy.metric("sluss_proxy_sessions_bound_total"), changed(&proxy)), (0.0, 0.0));
}

#[test]
fn a_session_that_nobody_uses_is_forgotten() {
    let door = Door::default();
    let backend = backend(&door, says_who);
    let idle = "{ cookie = \"session\", bound_by = { header = \"x-account\", pass = true }, idle = \"1s\" }";
    let proxy = setup(idle, STRANGERS).horse(&backend, ONE_SEAT).start();
    assert_eq!(proxy.client().get("/horse/login/anna/hers").header("x-account"), Some("anna"));
    std::thread::sleep(std::time::Duration::from_millis(3100));
    let clients = has_a_share_of(&proxy, 4, |_| "cookie: session=hers".into());
    all_are_served(&door, clients);
}
