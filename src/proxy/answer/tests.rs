use http::StatusCode;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, VARY};

use super::*;
use crate::config;

const FILE: &str = "[[product]]
name = \"horse-racing\"
match = [{ path = \"/horse/\" }]
backends = [\"http://127.0.0.1:9101\"]
[cors]
origins = [\"https://www.example.com\"]";

fn answers() -> Answers {
    let config = config::parse(FILE, std::path::Path::new("test.toml"), &config::ThisMachine);
    let settings = config.unwrap_or_else(|error| panic!("{error}")).proxy;
    let pages = Arc::new(Pages::new(&settings.pages));
    Answers::new(&settings, pages)
}

fn refused(refusal: Refusal, retry_after: Duration) -> Response<AnswerBody> {
    answers().refuse(0, Class::Start, Refused { refusal, retry_after }, Reader::PROGRAM)
}

#[test]
fn a_lost_bet_is_unknown_and_never_called_failed() {
    let answers = answers();
    let response = answers.fault(Fault::NoAnswer(Duration::from_secs(1)), Some(Class::Commit), Reader::PROGRAM);
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    let status = response.headers()[PROXY_STATUS].to_str().unwrap_or_default();
    assert!(status.contains("outcome_unknown"));
    let never_sent = answers.fault(Fault::Unreachable, Some(Class::Commit), Reader::PROGRAM);
    assert!(never_sent.headers()[PROXY_STATUS].to_str().unwrap_or_default().contains("backend_unreachable"));
}

#[test]
fn retry_after_is_never_sooner_than_drawn() {
    let response = refused(Refusal::QueueFull, Duration::from_millis(2001));
    assert_eq!(response.headers()[RETRY_AFTER], "3");
    assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
    let hardly = refused(Refusal::QueueFull, Duration::from_nanos(2_000_000_001));
    assert_eq!(hardly.headers()[RETRY_AFTER], "3");
    assert!(!refused(Refusal::EventClosed, Duration::ZERO).headers().contains_key(RETRY_AFTER));
}

#[test]
fn what_a_program_hears_has_nothing_in_it_for_browsers() {
    let response = refused(Refusal::QueueFull, Duration::from_secs(2));
    for header in [CONTENT_LANGUAGE, VARY, ACCESS_CONTROL_ALLOW_ORIGIN] {
        assert!(!response.headers().contains_key(&header), "{header}");
    }
}

/// A field that breaks the grammar of its header is one that a browser may not read.
#[test]
fn every_answer_in_every_form_has_the_headers_it_must_and_each_once() {
    let answers = answers();
    let pages = Language::ALL.map(|language| Form::Page { language, reloads: true });
    let spoken = Language::ALL.map(Form::ProblemIn);
    let allowed =
        answers.cors.as_ref().map(|cors| cors.allows(Some(&HeaderValue::from_static("https://www.example.com"))));
    for form in [Form::Problem].into_iter().chain(spoken).chain(pages) {
        for telling in Telling::all() {
            let reader = Reader { form, origin: allowed.expect("it is configured") };
            let response = answers.tell(telling, 0, 7, reader);
            let headers = response.headers();
            let page = matches!(form, Form::Page { .. });
            let content = if page { "text/html; charset=utf-8" } else { "application/problem+json" };
            assert_eq!(headers[CONTENT_TYPE], content);
            assert_eq!((&headers[RETRY_AFTER], &headers[CACHE_CONTROL]), (&"7".parse().unwrap(), &NO_STORE));
            assert_eq!(headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://www.example.com");
            assert_eq!(headers.contains_key(CONTENT_LANGUAGE), form != Form::Problem);
            for name in headers.keys().filter(|name| *name != VARY) {
                assert_eq!(headers.get_all(name).iter().count(), 1, "{name}");
            }
            assert!(headers.iter().all(|(_, value)| value.to_str().is_ok_and(|text| text.trim() == text)));
            assert!(response.status().as_u16() >= 400, "{telling:?}");
        }
    }
}
