//! `docs/faults.md`: every row has a test, and those that stand nowhere else stand here.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::backend::{Backend, OK};
use super::client::get;
use super::proxy::{Proxy, Setup};

const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n";

#[test]
fn every_row_of_the_table_has_its_test() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(here.join("docs/faults.md")).expect("the page is there");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ") && line.contains("::")).collect();
    assert!(rows.len() >= 20, "{} rows", rows.len());
    for row in rows {
        let test = row.split('`').find(|code| code.contains("::")).expect("the row names a test");
        let (file, name) = test.split_once("::").expect("a file and a name");
        let text = std::fs::read_to_string(here.join(format!("tests/proxy/{file}.rs"))).expect("the file is there");
        assert!(text.contains(&format!("#[test]\nfn {name}()")), "{test} is not there");
    }
}

#[test]
fn a_reset_before_the_first_byte_is_told_and_nothing_is_sent_again() {
    let backend = Backend::new(|connection| {
        connection.request()?;
        connection.reset()
    });
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    for asked in 1..=2 {
        let answer = client.get("/horse/odds");
        assert_eq!((answer.status(), answer.json()["fault"].as_str()), (502, Some("backend_broken_answer")));
        assert_eq!(backend.requests().len(), asked);
    }
    proxy.until_in_flight(0);
}

#[test]
fn a_slow_answer_is_an_answer() {
    let backend = Backend::new(|connection| {
        connection.request()?;
        for byte in OK.bytes() {
            connection.say([byte])?;
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    });
    let proxy = Proxy::before(&backend);
    assert_eq!(proxy.client().get("/horse/odds").text(), "ok");
}

#[test]
fn a_storm_of_interim_answers_ends_with_the_answer() {
    let backend = Backend::answering(HINTS.repeat(5000) + OK);
    let proxy = Proxy::before(&backend);
    let mut client = proxy.client();
    for _ in 0..2 {
        let answer = client.get("/horse/odds");
        assert_eq!((answer.status(), answer.text().as_str(), answer.header("link")), (200, "ok", None));
    }
}

#[test]
fn a_storm_of_interim_answers_holds_up_nobody_else_and_ends_in_time() {
    let storm = Backend::new(|connection| {
        connection.request()?;
        let many = HINTS.repeat(1000);
        loop {
            connection.say(&many)?;
        }
    });
    let calm = Backend::answering(OK);
    let proxy = Setup::new()
        .listen("workers = 1")
        .product("storm", "/storm/", &[storm.address], "first_byte_timeout = \"5s\"")
        .product("calm", "/calm/", &[calm.address], "")
        .start();
    let (mut stormy, mut client) = (proxy.client(), proxy.client());
    stormy.say(get("/storm/"));
    storm.until_asked(1);
    for _ in 0..5 {
        assert_eq!(client.get("/calm/").status(), 200);
    }
    // All of that while the storm went on.
    let nothing_yet = stormy.wire().peek();
    assert!(matches!(nothing_yet, Err(ErrorKind::WouldBlock)), "{nothing_yet:?}");
    let answer = stormy.answer();
    assert_eq!((answer.status(), answer.json()["fault"].as_str()), (504, Some("backend_timeout")));
    proxy.until_in_flight(0);
}
