//! What browsers get: pages for who navigates, problems for scripts, leave for those of other origins.

use super::backend::{Backend, OK, Refusing};
use super::client::{Client, get, post};
use super::proxy::{Proxy, Setup};
use super::wire::Message;

const SHOP: &str = "https://www.example.com";
const CORS: &str = "[cors]\norigins = [\"https://www.example.com\", \"http://localhost:3000\"]\ncredentials = true\n\
                    methods = [\"GET\", \"POST\", \"DELETE\"]\nheaders = [\"content-type\", \"x-app\"]\nmax_age = \"5m\"";
const NAVIGATES: &str = "sec-fetch-mode: navigate\r\n";

fn parked(tables: &str) -> (Backend, Proxy) {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().with(tables).horse(&backend, "").start();
    assert_eq!(proxy.order("park", "horse-racing").status(), 200);
    (backend, proxy)
}

/// A request with these header lines, each with its line end.
fn with(request: String, lines: &str) -> String {
    request.replacen("\r\n\r\n", &format!("\r\n{lines}\r\n"), 1)
}

fn ask(proxy: &Proxy, path: &str, lines: &str) -> Message {
    proxy.client().ask(with(get(path), lines))
}

fn preflight(client: &mut Client, path: &str, origin: &str, method: &str) -> Message {
    client.ask(format!(
        "OPTIONS {path} HTTP/1.1\r\nhost: bet.example\r\norigin: {origin}\r\naccess-control-request-method: {method}\r\n\
         access-control-request-headers: content-type\r\n\r\n"
    ))
}

/// The seconds that a page, its header and its own words tell.
#[track_caller]
fn tells_one_time(page: &Message) -> u64 {
    let seconds = page.header("retry-after").expect("a time to come back");
    let text = page.text();
    assert!(text.contains(&format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">")), "{seconds}: {text}");
    assert!(
        text.contains(&format!(" {seconds} sek")) || text.contains(&format!(" {seconds} sec")),
        "{seconds}: {text}"
    );
    seconds.parse().expect("a number of seconds")
}

#[test]
fn a_refusal_can_be_read_by_scripts_of_the_origins_that_are_named_and_of_no_other() {
    let (_backend, proxy) = parked(CORS);
    for origin in [SHOP, "http://localhost:3000"] {
        let answer = ask(&proxy, "/horse/odds", &format!("origin: {origin}\r\n"));
        assert_eq!((answer.status(), answer.json()["refusal"].as_str()), (503, Some("parked")));
        assert_eq!(answer.all("access-control-allow-origin"), [origin]);
        assert_eq!(answer.all("access-control-allow-credentials"), ["true"]);
        let exposed = "Retry-After, Server-Timing, Proxy-Status, Cache-Status";
        assert_eq!(answer.all("access-control-expose-headers"), [exposed]);
        assert_eq!(answer.all("vary"), ["Origin"]);
    }
    for lines in ["origin: https://www.example.com.evil\r\n", "origin: null\r\n", ""] {
        let answer = ask(&proxy, "/horse/odds", lines);
        assert_eq!(answer.status(), 503);
        assert!(!answer.head.contains("access-control"), "{}", answer.head);
    }
}

#[test]
fn faults_can_be_read_by_scripts_too_and_what_backends_say_is_theirs() {
    let backend =
        Backend::answering("HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\ncontent-length: 2\r\n\r\nok");
    let proxy = Setup::new().with(CORS).horse(&backend, "").start();
    let origin = format!("origin: {SHOP}\r\n");
    for (path, lines, status) in
        [("/nothing", origin.clone(), 404), ("/horse/odds", format!("{origin}host: two\r\n"), 400)]
    {
        let answer = ask(&proxy, path, &lines);
        assert_eq!(answer.status(), status);
        assert_eq!(answer.all("access-control-allow-origin"), [SHOP], "{path}");
    }
    let relayed = ask(&proxy, "/horse/odds", &origin);
    assert_eq!(relayed.all("access-control-allow-origin"), ["*"]);
    assert_eq!((relayed.header("vary"), relayed.header("access-control-expose-headers")), (None, None));
    let gone = Refusing::somewhere();
    let proxy = Setup::new().with(CORS).product("casino", "/casino/", &[gone.address()], "").start();
    let unreachable = ask(&proxy, "/casino/games", &origin);
    assert!(unreachable.status() >= 500);
    assert_eq!(unreachable.all("access-control-allow-origin"), [SHOP]);
}

#[test]
fn every_origin_may_read_where_every_origin_may() {
    let (_backend, proxy) = parked("[cors]\norigins = [\"*\"]");
    let answer = ask(&proxy, "/horse/odds", "origin: https://anybody.example\r\n");
    assert_eq!(answer.all("access-control-allow-origin"), ["*"]);
    assert_eq!((answer.header("vary"), answer.header("access-control-allow-credentials")), (None, None));
}

#[test]
fn without_cors_nothing_is_said_to_other_origins() {
    let (_backend, proxy) = parked("");
    let answer = ask(&proxy, "/horse/odds", &format!("origin: {SHOP}\r\n"));
    assert!(!answer.head.contains("access-control") && answer.header("vary").is_none(), "{}", answer.head);
}

#[test]
fn a_preflight_is_answered_here_in_every_state_and_no_backend_hears_of_it() {
    let (backend, proxy) = parked(CORS);
    let mut client = proxy.client();
    for order in ["park", "close", "open"] {
        assert_eq!(proxy.order(order, "horse-racing").status(), 200);
        let answer = preflight(&mut client, "/horse/bets", SHOP, "POST");
        assert_eq!((answer.status(), answer.header("content-length")), (204, None));
        assert_eq!(answer.all("access-control-allow-origin"), [SHOP]);
        assert_eq!(answer.all("access-control-allow-credentials"), ["true"]);
        assert_eq!(answer.all("access-control-allow-methods"), ["GET, POST, DELETE"]);
        assert_eq!(answer.all("access-control-allow-headers"), ["content-type, x-app"]);
        assert_eq!(answer.all("access-control-max-age"), ["300"]);
        assert_eq!(answer.all("vary"), ["Origin"]);
    }
    assert_eq!(backend.requests().len(), 0);
    let arrivals: f64 = ["commit", "read"].map(|class| arrived(&proxy, class)).iter().sum();
    assert_eq!((arrivals, proxy.metric("sluss_proxy_preflights_total")), (0.0, 3.0));
}

fn arrived(proxy: &Proxy, class: &str) -> f64 {
    proxy.metric(&format!("sluss_proxy_arrivals_total{{product=\"horse-racing\",class=\"{class}\"}}"))
}

#[test]
fn a_preflight_that_is_not_ours_to_answer_goes_to_the_backend_and_is_never_a_bet() {
    let backend = Backend::answering("HTTP/1.1 204 No Content\r\naccess-control-allow-origin: *\r\n\r\n");
    let proxy = Setup::new().with(CORS).horse(&backend, "default_class = \"background\"").start();
    let foreign = "https://evil.example";
    let answer = preflight(&mut proxy.client(), "/horse/bets", foreign, "POST");
    assert_eq!((answer.status(), answer.header("access-control-allow-origin")), (204, Some("*")));
    assert_eq!(backend.request().start(), "OPTIONS /horse/bets HTTP/1.1");
    assert_eq!((arrived(&proxy, "commit"), arrived(&proxy, "read")), (0.0, 1.0));
    // What is served in every state can be asked leave for in every state.
    assert_eq!(proxy.order("park", "horse-racing").status(), 200);
    let mut client = proxy.client();
    assert_eq!(preflight(&mut client, "/horse/logout", foreign, "POST").status(), 204);
    assert_eq!(preflight(&mut client, "/horse/bets", foreign, "POST").status(), 503);
    assert_eq!((arrived(&proxy, "protected"), arrived(&proxy, "commit")), (1.0, 0.0));
}

#[test]
fn options_that_ask_no_leave_are_ordinary() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().with(CORS).horse(&backend, "").start();
    let lines = format!("origin: {SHOP}\r\n");
    let answer = proxy.client().ask(with(get("/horse/odds").replace("GET", "OPTIONS"), &lines));
    assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
}

#[test]
fn who_navigates_to_a_refusal_sees_a_page_that_comes_back_by_itself() {
    let (_backend, proxy) = parked("");
    let page = ask(&proxy, "/horse/odds", NAVIGATES);
    assert_eq!((page.status(), page.header("content-type")), (503, Some("text/html; charset=utf-8")));
    assert_eq!((page.header("cache-control"), page.header("referrer-policy")), (Some("no-store"), Some("same-origin")));
    assert_eq!(page.header("content-length"), Some(page.body.len().to_string().as_str()));
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none';")));
    assert!(page.header("proxy-status").is_some_and(|status| status.ends_with("details=\"parked\"")));
    assert_eq!(page.header("content-language"), Some("sv"));
    assert!((5..=10).contains(&tells_one_time(&page)));
    assert!(page.text().contains("<html lang=\"sv\">") && page.text().contains("<h1>Pausat</h1>"), "{}", page.text());
    let older = ask(&proxy, "/horse/odds", "accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n");
    assert_eq!(older.header("content-type"), Some("text/html; charset=utf-8"));
}

#[test]
fn scripts_and_programs_hear_a_problem() {
    let (_backend, proxy) = parked("");
    for lines in
        ["", "accept: */*\r\n", "sec-fetch-mode: cors\r\naccept: text/html\r\n", "accept: application/json\r\n"]
    {
        let answer = ask(&proxy, "/horse/odds", lines);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{lines}");
        assert_eq!(answer.json()["title"], "Paused");
        assert_eq!((answer.header("vary"), answer.header("content-language")), (None, None));
    }
}

#[test]
fn people_are_spoken_to_in_their_language_and_names_stay() {
    let (_backend, proxy) = parked("[pages]\nlanguage = \"en\"");
    for (accept, language, title) in
        [("sv-SE,sv;q=0.9,en;q=0.8", "sv", "Pausat"), ("en-GB, sv;q=0.5", "en", "Paused"), ("fi", "en", "Paused")]
    {
        let lines = format!("accept-language: {accept}\r\n");
        let problem = ask(&proxy, "/horse/odds", &lines);
        assert_eq!(
            (problem.header("content-language"), problem.header("vary")),
            (Some(language), Some("Accept-Language"))
        );
        assert_eq!(
            (problem.json()["title"].as_str(), problem.json()["refusal"].as_str()),
            (Some(title), Some("parked"))
        );
        let page = ask(&proxy, "/horse/odds", &format!("{lines}{NAVIGATES}"));
        assert_eq!(page.header("content-language"), Some(language));
        assert!(page.text().contains(&format!("<h1>{title}</h1>")));
        assert!(
            page.header("vary").is_some_and(|vary| vary.contains("Accept-Language") && vary.contains("Sec-Fetch-Mode"))
        );
    }
}

#[test]
fn a_bet_sent_by_a_form_was_not_placed_and_its_page_does_not_send_it_again() {
    let (backend, proxy) = parked("");
    let page = proxy.client().ask(with(post("/horse/bets", "horse=7"), NAVIGATES));
    assert!(page.text().contains("Ditt spel lades inte och inga pengar har dragits."), "{}", page.text());
    assert!(!page.text().contains("refresh"));
    assert!(
        page.header("retry-after").is_some_and(|seconds| page.text().contains(&format!("Försök igen om {seconds} s")))
    );
    assert_eq!(backend.requests().len(), 0);
}

#[test]
fn a_fault_is_a_page_too_and_a_lost_bet_is_not_called_failed_on_it() {
    let backend = Backend::new(|connection| connection.request().map(|_| ()));
    let proxy = Setup::new().with(CORS).horse(&backend, "").start();
    let lines = format!("{NAVIGATES}accept-language: en\r\norigin: {SHOP}\r\n");
    let page = proxy.client().ask(with(post("/horse/bets", "horse=7"), &lines));
    assert_eq!(page.status(), 502);
    assert!(page.text().contains("<h1>Outcome unknown</h1>") && page.text().contains("it may have been placed"));
    assert_eq!(page.all("access-control-allow-origin"), [SHOP]);
    let nothing = ask(&proxy, "/nothing", &lines);
    assert_eq!(nothing.status(), 404);
    assert!(nothing.text().contains("<code>no_product</code>") && !nothing.text().contains("refresh"));
}

#[test]
fn links_stand_on_every_page_and_cannot_break_out_of_it() {
    let links = "[pages]\nlinks = [{ href = \"https://www.example.com/stod?a=1&b=\\\"2\", sv = \"Stöd & <hjälp>\", en = \"Help\" }]";
    let (_backend, proxy) = parked(links);
    for path in ["/horse/odds", "/nothing"] {
        let text = ask(&proxy, path, NAVIGATES).text();
        assert!(text.contains(">Stöd &amp; &lt;hjälp&gt;</a>"), "{text}");
        assert!(text.contains("b=&quot;2\"") || text.contains("b=&#34;2\""), "{text}");
    }
    let (_backend, proxy) = parked("");
    assert!(!ask(&proxy, "/horse/odds", NAVIGATES).text().contains("<nav"));
}

#[test]
fn the_head_of_a_page_can_be_asked_for_alone() {
    let (_backend, proxy) = parked("");
    let mut client = proxy.client();
    client.say("HEAD /horse/odds HTTP/1.1\r\nhost: bet.example\r\nsec-fetch-mode: navigate\r\n\r\n");
    let head = client.wire().answer(true).expect("a whole answer").expect("an answer");
    assert_eq!((head.status(), head.header("content-type")), (503, Some("text/html; charset=utf-8")));
    assert_eq!(client.get("/horse/odds").status(), 503, "nothing of the page is left on the connection");
}
