//! The admin address: who may ask, and what the metrics tell.

use std::collections::BTreeMap;

use sluss::telemetry::names::{self, Kind};

use super::backend::{Backend, Door, OK};
use super::client::{get, post};
use super::proxy::{Proxy, Setup};

const TOKEN: &str = "0123456789abcdef";

#[test]
fn with_a_token_configured_only_health_is_told_without_it() {
    let backend = Backend::answering(OK);
    let proxy = Setup::new().admin(&format!("token = \"{TOKEN}\"")).horse(&backend, "").start();
    let ask = |path: &str, token: &str| {
        let method = if path.ends_with("orders") || path.ends_with("signals") { "POST" } else { "GET" };
        proxy.admin().ask(format!("{method} {path} HTTP/1.1\r\nhost: a\r\n{token}content-length: 0\r\n\r\n"))
    };
    for path in ["/metrics", "/api/v1/status", "/api/v1/orders", "/api/v1/signals"] {
        for token in [
            "",
            "authorization: Bearer\r\n",
            "authorization: Bearer wrong\r\n",
            "authorization: Bearer 0123456789abcdeF\r\n",
            "authorization: Bearer 0123456789abcdef0\r\n",
            "authorization: Basic 0123456789abcdef\r\n",
        ] {
            let answer = ask(path, token);
            assert_eq!((answer.status(), answer.header("www-authenticate")), (401, Some("Bearer")), "{path} {token}");
            assert!(!answer.text().contains(TOKEN));
        }
        let answer = ask(path, &format!("authorization: Bearer {TOKEN}\r\n"));
        assert!(matches!(answer.status(), 200 | 415), "{path}: {}", answer.status());
    }
    for path in ["/livez", "/readyz"] {
        assert_eq!(ask(path, "").status(), 200);
    }
}

#[test]
fn health_says_alive_and_ready() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let mut admin = proxy.admin();
    assert_eq!(admin.get("/livez").text(), "alive\n");
    assert_eq!(admin.get("/readyz").text(), "ready\n");
}

/// A proxy that has seen a little of everything.
fn lived() -> (Proxy, Backend) {
    let door = Door::default();
    let backend = Backend::behind(&door);
    let budget = "[[budget]]\nname = \"wallet\"\nclasses = [\"commit\"]\nhint = \"x-wallet-seats\"";
    let machine = "[[machine]]\nname = \"feed\"\nfrom = [\"203.0.113.7\"]\nat_once = 1";
    let keys = "limit = 1\nqueue = { longest_wait = \"30s\", length = 1 }";
    let site = |name: &str, port: u16| {
        format!("[[product.site]]\nname = {name:?}\nshare = 50\nbackends = [\"http://127.0.0.1:{port}\"]")
    };
    let casino = format!(
        "[[product]]\nname = \"casino\"\nmatch = [{{ path = \"/casino/\" }}]\n{}\n{}",
        site("north", 2),
        site("south", 3)
    );
    let proxy = Setup::new().with(budget).with(machine).with(&casino).horse(&backend, keys).start();
    let mut clients: Vec<_> = (0..3).map(|_| proxy.client()).collect();
    clients[0].say(post("/horse/bets", "a bet"));
    proxy.until_in_flight(1);
    clients[1].say(get("/horse/odds"));
    proxy.until_waiting(1);
    assert_eq!(clients[2].get("/horse/odds").status(), 503);
    door.open();
    assert!(clients[..2].iter_mut().all(|client| client.answer().status() == 200));
    assert_eq!(clients[2].get("/greyhounds").status(), 404);
    proxy.order("park", "horse-racing");
    (proxy, backend)
}

#[test]
fn every_metric_is_in_the_table_and_every_row_of_the_table_is_a_metric() {
    let (proxy, _backend) = lived();
    let answer = proxy.admin().get("/metrics");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    let kinds: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    for metric in names::ALL {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        assert_eq!(kinds.get(metric.name), Some(&kind), "{}", metric.name);
        assert!(text.contains(&format!("# HELP {} ", metric.name)), "{}", metric.name);
    }
    assert_eq!(kinds.len(), names::ALL.len(), "{kinds:?}");
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let of = |name: &str| names::ALL.iter().find(|metric| metric.name == name);
        let stem = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| of(name.strip_suffix(suffix)?));
        let metric = of(name).or(stem).unwrap_or_else(|| panic!("not in the table: {line}"));
        let found = labels.trim_end_matches('}').split("\",").filter_map(|label| Some(label.split_once("=\"")?.0));
        assert!(found.filter(|label| *label != "le").eq(metric.labels.iter().copied()), "{line}");
    }
}

#[test]
fn the_metrics_tell_what_has_happened() {
    let (proxy, backend) = lived();
    for (series, value) in [
        ("sluss_proxy_arrivals_total{product=\"horse-racing\",class=\"commit\"}", 1.0),
        ("sluss_proxy_arrivals_total{product=\"horse-racing\",class=\"read\"}", 2.0),
        ("sluss_proxy_faults_total{fault=\"no_product\"}", 1.0),
        ("sluss_admission_verdicts_total{product=\"horse-racing\",class=\"commit\",verdict=\"proceed\"}", 1.0),
        ("sluss_admission_verdicts_total{product=\"horse-racing\",class=\"read\",verdict=\"wait\"}", 1.0),
        ("sluss_admission_verdicts_total{product=\"horse-racing\",class=\"read\",verdict=\"refuse\"}", 1.0),
        ("sluss_admission_refusals_total{product=\"horse-racing\",class=\"read\",refusal=\"queue_full\"}", 1.0),
        ("sluss_admission_refusals_total{product=\"horse-racing\",class=\"read\",refusal=\"parked\"}", 0.0),
        ("sluss_admission_queue_seconds_count{product=\"horse-racing\",class=\"read\"}", 1.0),
        ("sluss_admission_queue_seconds_bucket{product=\"horse-racing\",class=\"read\",le=\"+Inf\"}", 1.0),
        ("sluss_admission_queue_length{product=\"horse-racing\",class=\"read\"}", 0.0),
        ("sluss_admission_in_flight_seats{product=\"horse-racing\"}", 0.0),
        ("sluss_admission_limit_seats{resource=\"horse-racing\",kind=\"pool\"}", 1.0),
        ("sluss_admission_in_use_seats{resource=\"wallet\",kind=\"budget\"}", 0.0),
        ("sluss_admission_limit_source{resource=\"wallet\",kind=\"budget\",source=\"found\"}", 1.0),
        ("sluss_admission_limit_source{resource=\"horse-racing\",kind=\"pool\",source=\"operator\"}", 1.0),
        ("sluss_admission_hints_total{resource=\"wallet\",verdict=\"taken\"}", 0.0),
        ("sluss_admission_state{product=\"horse-racing\",state=\"parked\"}", 1.0),
        ("sluss_admission_state{product=\"horse-racing\",state=\"open\"}", 0.0),
        ("sluss_admission_transitions_total{product=\"horse-racing\",to=\"parked\"}", 1.0),
        ("sluss_upstream_answers_total{pool=\"horse-racing\",status=\"2xx\"}", 2.0),
        ("sluss_upstream_answer_seconds_count{pool=\"horse-racing\"}", 2.0),
        ("sluss_proxy_connections_accepted_total", 3.0),
    ] {
        let text = proxy.admin().get("/metrics").text();
        assert!(text.contains(series), "no {series} in\n{text}");
        assert_eq!(proxy.metric(series), value, "{series}");
    }
    assert!(proxy.metric("process_resident_memory_bytes") > 1e6);
    assert_eq!(backend.requests().len(), 2);
}
