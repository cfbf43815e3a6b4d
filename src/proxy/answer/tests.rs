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

/// Each as bytes, one file each in the folder that `SLUSS_ANSWERS` names: `make outside` holds them against the rules of HTTP.
#[test]
fn every_answer_can_be_written_as_http() {
    let answers = answers();
    let folder = std::env::var_os("SLUSS_ANSWERS").map(std::path::PathBuf::from);
    let forms = [
        ("program", Form::Problem),
        ("script", Form::ProblemIn(Language::Swedish)),
        ("page", Form::Page { language: Language::Swedish, reloads: true }),
    ];
    let allowed =
        |origin| answers.cors.as_ref().expect("it is configured").allows(Some(&HeaderValue::from_static(origin)));
    let tellings = Telling::all().flat_map(|telling| forms.map(|(form, how)| (telling, form, how)));
    for (telling, form, how) in tellings {
        for (origin, seconds) in [("https://www.example.com", 7), ("https://elsewhere.example", 0)] {
            let reader = Reader { form: how, origin: allowed(origin) };
            let mut response = answers.tell(telling, 0, seconds, reader);
            crate::proxy::lookup::tell(&mut response, "/horse/bets/by-key/8e03978e");
            let text = written(&response);
            let (head, body) = text.split_once("\r\n\r\n").expect("a head ends");
            assert_eq!(head.split("\r\n").count(), response.headers().len() + 2, "{head}");
            assert!(!head.replace("\r\n", "").contains(['\r', '\n']) && !body.is_empty());
            if let Some(folder) = &folder {
                let bet = if telling.is_bet_not_placed() { "-bet" } else { "" };
                let name = format!("{}{bet}-{form}-{seconds}", telling.name());
                std::fs::write(folder.join(name), text).expect("the folder is there");
            }
        }
    }
}

/// As it goes out over HTTP/1.1; the library adds the length, and the date, which is not ours to get wrong.
fn written(response: &Response<AnswerBody>) -> String {
    let body = response.body().as_full().expect("ours are whole");
    let lines = response.headers().iter().map(|(name, value)| {
        let value = value.to_str().expect("ours are plain");
        format!("{name}: {value}\r\n")
    });
    let head = format!("HTTP/1.1 {}\r\n{}", response.status(), lines.collect::<String>());
    let text = str::from_utf8(body).expect("ours is text");
    format!("{head}content-length: {}\r\n\r\n{text}", body.len())
}
