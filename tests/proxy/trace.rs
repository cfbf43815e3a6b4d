//! Names of requests: passed on when they are well formed, made when they are not, the same in every place.

use std::collections::HashSet;

use serde_json::Value;

use super::backend::{Backend, OK};
use super::proxy::{Proxy, Setup};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn tracing(backend: &Backend, keys: &str) -> Proxy {
    Setup::new().with(&format!("[trace]\n{keys}")).horse(backend, "").start()
}

fn asking(lines: &str) -> String {
    format!("GET /horse/odds HTTP/1.1\r\nhost: bet.example\r\n{lines}\r\n")
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[test]
fn a_well_formed_name_is_passed_on_as_it_is() {
    let backend = Backend::answering(OK);
    let proxy = tracing(&backend, "");
    let answer =
        proxy.client().ask(asking(&format!("traceparent: {PARENT}\r\ntracestate: a=1\r\nx-request-id: Req-1\r\n")));
    let request = backend.request();
    assert_eq!(request.all("traceparent"), [PARENT]);
    assert_eq!((request.all("tracestate"), request.all("x-request-id")), (vec!["a=1"], vec!["Req-1"]));
    // That answer is the backend's.
    assert_eq!(answer.header("x-request-id"), None);
}

#[test]
fn what_is_missing_or_malformed_is_made_anew_and_is_new_each_time() {
    let backend = Backend::answering(OK);
    let proxy = tracing(&backend, "");
    let mut client = proxy.client();
    let twice = format!("traceparent: {PARENT}\r\ntraceparent: {PARENT}\r\n");
    for lines in ["", "traceparent: 00-1-2-3\r\ntracestate: a=1\r\nx-request-id: a b\r\n", &twice] {
        client.ask(asking(lines));
    }
    let requests = backend.requests();
    let mut seen = HashSet::new();
    for request in &requests {
        let [parent] = request.all("traceparent")[..] else { panic!("one traceparent: {}", request.head) };
        let parts: Vec<&str> = parent.split('-').collect();
        let [version, trace, from, flags] = parts[..] else { panic!("four parts: {parent}") };
        assert!((version, flags) == ("00", "01") && is_hex(trace, 32) && is_hex(from, 16), "{parent}");
        let [id] = request.all("x-request-id")[..] else { panic!("one id: {}", request.head) };
        assert!(is_hex(id, 32), "{id}");
        assert!(seen.insert(trace.to_owned()) && seen.insert(id.to_owned()), "twice the same");
        assert_eq!(request.header("tracestate"), None);
    }
    assert_eq!(requests.len(), 3);
}

#[test]
fn without_the_section_names_are_nobodys_business() {
    let backend = Backend::answering(OK);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    client.ask(asking("traceparent: nonsense\r\nx-request-id: a b\r\n"));
    client.ask(asking(""));
    let [named, bare] = &backend.requests()[..] else { panic!("two requests") };
    assert_eq!((named.header("traceparent"), named.header("x-request-id")), (Some("nonsense"), Some("a b")));
    assert_eq!((bare.header("traceparent"), bare.header("x-request-id")), (None, None));
}

#[test]
fn each_name_can_be_left_alone_and_the_id_stand_elsewhere() {
    let backend = Backend::answering(OK);
    let proxy = tracing(&backend, "traceparent = false\nrequest_id = \"x-correlation-id\"");
    proxy.client().ask(asking(""));
    let request = backend.request();
    assert_eq!((request.header("traceparent"), request.header("x-request-id")), (None, None));
    assert!(request.header("x-correlation-id").is_some_and(|id| is_hex(id, 32)));
    let backend = Backend::answering(OK);
    let proxy = tracing(&backend, "request_id = \"off\"\nsampled_one_in = 1000000");
    proxy.client().ask(asking(""));
    let request = backend.request();
    assert_eq!(request.header("x-request-id"), None);
    assert!(request.header("traceparent").is_some_and(|parent| parent.ends_with("-00")));
}

#[test]
fn a_refusal_a_fault_and_the_log_have_the_id_that_the_backend_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("access.log");
    let backend = Backend::answering(OK);
    let log = format!("[access_log]\nto = {:?}\n[trace]", path.display().to_string());
    let proxy = Setup::new().listen("workers = 1").with(&log).horse(&backend, "").start();
    let mut client = proxy.client();
    client.ask(asking(""));
    proxy.order("park", "horse-racing");
    let refused = client.ask(asking("x-request-id: Req-2\r\n"));
    assert_eq!((refused.status(), refused.header("x-request-id")), (503, Some("Req-2")));
    let lost = client.get("/nowhere");
    assert_eq!((lost.status(), lost.header("x-request-id").map(str::len)), (404, Some(32)));
    let broken = client.ask(format!("GET / HTTP/1.1\r\ntraceparent: {PARENT}\r\n\r\n"));
    proxy.stop();
    let text = std::fs::read_to_string(&path).expect("the log is there");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let said = |at: usize, key: &str| lines[at][key].as_str().unwrap_or_default().to_owned();
    let sent = backend.request();
    assert_eq!(Some(said(0, "id").as_str()), sent.header("x-request-id"));
    assert!(sent.header("traceparent").is_some_and(|parent| parent[3..35] == said(0, "trace")), "{text}");
    assert_eq!((said(1, "id").as_str(), said(0, "backend")), ("Req-2", backend.address.to_string()));
    assert_eq!((Some(said(2, "id").as_str()), said(2, "path").as_str()), (lost.header("x-request-id"), "/nowhere"));
    assert_eq!((Some(said(3, "id").as_str()), said(3, "trace")), (broken.header("x-request-id"), PARENT[3..35].into()));
}

#[test]
fn a_fetch_for_everybody_has_names_of_its_own() {
    let backend = Backend::answering(OK);
    let cache = "[[product.class]]\nclass = \"read\"\ncache = { fresh = \"1m\" }\nmatch = [{ path = \"/horse/odds\" }]";
    let proxy = Setup::new().with("[trace]").horse(&backend, "").with(cache).start();
    assert_eq!(proxy.client().ask(asking(&format!("traceparent: {PARENT}\r\nx-request-id: Req-1\r\n"))).status(), 200);
    let fetched = backend.request();
    assert!(fetched.header("x-request-id").is_some_and(|id| is_hex(id, 32)), "{}", fetched.head);
    assert!(fetched.header("traceparent").is_some_and(|parent| parent != PARENT));
}
