//! A refusal or a fault as a page: for a person who navigated here, with or without scripts.
//!
//! Pages are rendered when the proxy starts. An answer is a copy with the time to come back put in, for in a rush it
//! is people who come.

use std::fmt::Write;

use http::header::{
    CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, RETRY_AFTER, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Response};
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use minijinja::{Environment, context};

use super::telling::Telling;
use super::{NO_STORE, PROXY_STATUS, words};
use crate::proxy::body::AnswerBody;
use crate::proxy::settings::{Language, Link, PageSettings};

/// Every page, shared by all workers: an answer copies from it and counts no references.
pub(crate) struct Pages {
    /// By language, then by [`Telling::index`].
    pages: [Vec<Page>; Language::COUNT],
    time_zone: TimeZone,
}

/// One page in one language.
struct Page {
    parts: Vec<Part>,
    /// Bytes of all parts together.
    length: usize,
    headers: HeaderMap,
}

/// A piece of a page, and whose answers have it.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    only: Only,
    piece: Piece,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    Always,
    /// There is a time to come back, and the page comes back by itself.
    Reloads,
    /// There is a time to come back, and it does not.
    Waits,
}

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The seconds to wait, in digits.
    Seconds,
    /// How long to wait, in words.
    Wait,
    /// The time to come back.
    Clock,
}

/// What is put in when the answer is given.
struct Coming {
    seconds: usize,
    /// The page comes back by itself.
    reloads: bool,
    clock: Time,
}

// Stand for what is put in later, and for where parts begin. Nobody writes them: a private use area of Unicode.
const SECONDS: char = '\u{E000}';
const WAIT: char = '\u{E001}';
const CLOCK: char = '\u{E002}';
const ALWAYS: char = '\u{E003}';
const RELOADS: char = '\u{E004}';
const WAITS: char = '\u{E005}';

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// No script, nothing from elsewhere, and no style but ours. A test tells the hash when the style has changed.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'sha256-An25KrJ0Q1ajK+i88LF2F1Nzl/JAWt6YDWkqmiG++7Q='; base-uri 'none'; form-action 'none'",
);
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const CHOSEN_BY: HeaderValue = HeaderValue::from_static("Accept-Language, Accept, Sec-Fetch-Mode, X-Requested-With");
/// Other sites need not know where somebody was turned away.
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");

impl Pages {
    pub(crate) fn new(settings: &PageSettings) -> Pages {
        let mut templates = Environment::new();
        templates.add_template("page.html", TEMPLATE).expect("the template is tested");
        let page = |language, telling| Page::new(&templates, settings, language, telling);
        let all = |language| Telling::all().map(|telling| page(language, telling)).collect();
        Pages { pages: Language::ALL.map(all), time_zone: settings.time_zone.clone() }
    }

    /// With no seconds there is no coming back; `reloads` when the page may do so by itself.
    pub(super) fn answer(
        &self,
        telling: Telling,
        language: Language,
        seconds: usize,
        reloads: bool,
    ) -> Response<AnswerBody> {
        let page = &self.pages[language.index()][telling.index()];
        let coming = (seconds > 0).then(|| Coming { seconds, reloads, clock: self.clock_in(seconds) });
        let mut response = Response::new(AnswerBody::full(page.text(language, coming).into()));
        *response.status_mut() = telling.status();
        *response.headers_mut() = page.headers.clone();
        response
    }

    /// What a customer's clock shows when so many seconds are over.
    fn clock_in(&self, seconds: usize) -> Time {
        // The second told has come, not just begun to come.
        let then = Timestamp::now().saturating_add(SignedDuration::from_millis(seconds as i64 * 1000 + 999));
        self.time_zone.to_datetime(then.expect("a length of time without calendar units")).time()
    }
}

impl Page {
    fn new(templates: &Environment<'_>, settings: &PageSettings, language: Language, telling: Telling) -> Page {
        let said = telling.words(language);
        let link = |link: &Link| context! { href => link.href.as_str(), text => link.text[language.index()].as_str() };
        let page = templates.get_template("page.html").and_then(|page| {
            page.render(context! {
                language => language.tag(), title => said.title, what => said.what, name => telling.name(),
                bet => telling.is_bet_not_placed().then(|| words::not_placed(language)),
                links => settings.links.iter().map(link).collect::<Vec<_>>(), style => STYLE,
                seconds => SECONDS, wait => WAIT, clock => CLOCK, always => ALWAYS, reloads => RELOADS, waits => WAITS,
            })
        });
        let page = page.expect("the template names only what it is given");
        Page { length: page.len(), parts: parts(&page), headers: headers(language, telling) }
    }

    fn text(&self, language: Language, coming: Option<Coming>) -> String {
        let mut text = String::with_capacity(self.length + ROOM);
        for Part { only, piece } in &self.parts {
            match (only, &coming) {
                (Only::Always, _) => {}
                (Only::Reloads, Some(coming)) if coming.reloads => {}
                (Only::Waits, Some(coming)) if !coming.reloads => {}
                (Only::Reloads | Only::Waits, _) => continue,
            }
            match (piece, &coming) {
                (Piece::Text(piece), _) => text.push_str(piece),
                (Piece::Seconds, Some(coming)) => push(&mut text, format_args!("{}", coming.seconds)),
                (Piece::Wait, Some(coming)) => coming.push_wait(&mut text, language),
                (Piece::Clock, Some(coming)) => coming.push_clock(&mut text),
                (Piece::Seconds | Piece::Wait | Piece::Clock, None) => {}
            }
        }
        text
    }
}

impl Coming {
    fn push_clock(&self, text: &mut String) {
        let (hour, minute, second) = (self.clock.hour(), self.clock.minute(), self.clock.second());
        push(text, format_args!("{hour:02}:{minute:02}:{second:02}"));
    }

    /// How long it is, as people say it.
    fn push_wait(&self, text: &mut String, language: Language) {
        let (number, [one, many]) = if self.seconds < 2 * 60 {
            (self.seconds, SECOND[language.index()])
        } else {
            (self.seconds.div_ceil(60), MINUTE[language.index()])
        };
        push(text, format_args!("{number} {}", if number == 1 { one } else { many }));
    }
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a string takes any text");
}

/// The pieces of a rendered page.
fn parts(page: &str) -> Vec<Part> {
    let mut only = Only::Always;
    let mut parts = Vec::new();
    for piece in page.split_inclusive(|c| (SECONDS..=WAITS).contains(&c)) {
        let text = piece.trim_end_matches(|c| (SECONDS..=WAITS).contains(&c));
        if !text.is_empty() {
            parts.push(Part { only, piece: Piece::Text(text.to_owned()) });
        }
        let put_in = match piece.chars().next_back() {
            Some(SECONDS) => Piece::Seconds,
            Some(WAIT) => Piece::Wait,
            Some(CLOCK) => Piece::Clock,
            Some(ALWAYS) => {
                only = Only::Always;
                continue;
            }
            Some(RELOADS) => {
                only = Only::Reloads;
                continue;
            }
            Some(WAITS) => {
                only = Only::Waits;
                continue;
            }
            _ => continue,
        };
        parts.push(Part { only, piece: put_in });
    }
    parts
}

fn headers(language: Language, telling: Telling) -> HeaderMap {
    let all = [
        (CONTENT_TYPE, HTML),
        (CONTENT_LANGUAGE, HeaderValue::from_static(language.tag())),
        (VARY, CHOSEN_BY),
        (CACHE_CONTROL, NO_STORE),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, SAME_ORIGIN),
        (X_CONTENT_TYPE_OPTIONS, NO_SNIFF),
        (PROXY_STATUS, telling.proxy_status()),
        // Written over or taken off in every answer.
        (RETRY_AFTER, HeaderValue::from_static("1")),
    ];
    all.into_iter().collect()
}

/// One and many, by [`Language::index`].
const SECOND: [[&str; 2]; Language::COUNT] = [["sekund", "sekunder"], ["second", "seconds"]];
const MINUTE: [[&str; 2]; Language::COUNT] = [["minut", "minuter"], ["minute", "minutes"]];
/// Bytes for what is put in.
const ROOM: usize = 96;

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::admission::Refusal;

    const COME_BACK: fn(usize, bool) -> Option<Coming> =
        |seconds, reloads| Some(Coming { seconds, reloads, clock: Time::constant(14, 6, 9, 862_767_644) });

    fn page(language: Language, telling: Telling, coming: Option<Coming>) -> String {
        let pages = Pages::new(&PageSettings::default());
        pages.pages[language.index()][telling.index()].text(language, coming)
    }

    fn not_your_turn(bet: bool) -> Telling {
        Telling::Refusal { refusal: Refusal::NotYourTurn, bet }
    }

    #[test]
    fn the_policy_lets_our_style_in() {
        let hash = BASE64_STANDARD.encode(Sha256::digest(STYLE));
        assert!(POLICY.to_str().unwrap().contains(&format!("'sha256-{hash}'")), "write {hash} into POLICY");
    }

    #[test]
    fn every_page_has_a_heading_a_language_and_nothing_left_open() {
        for language in Language::ALL {
            for telling in Telling::all() {
                for coming in [None, COME_BACK(12, true), COME_BACK(12, false)] {
                    let page = page(language, telling, coming);
                    assert!(page.starts_with(&format!("<!doctype html>\n<html lang=\"{}\">", language.tag())));
                    assert_eq!(page.matches("<h1>").count(), 1);
                    assert!(page.contains(&format!("<style>{STYLE}</style>")), "the hash is that of the style alone");
                    assert!(page.contains(telling.words(language).what) && page.contains(telling.name()));
                    assert!(!page.contains(|c| (SECONDS..=WAITS).contains(&c)) && !page.contains("<script"));
                    assert_eq!(page.contains(words::not_placed(language)), telling.is_bet_not_placed());
                }
            }
        }
    }

    #[test]
    fn a_page_comes_back_after_the_time_told_and_says_that_it_does() {
        let page = page(Language::English, not_your_turn(false), COME_BACK(12, true));
        assert!(page.contains("<meta http-equiv=\"refresh\" content=\"12\">"), "{page}");
        assert!(page.contains("This page reloads by itself in 12 seconds, at <time>14:06:09</time>."), "{page}");
    }

    #[test]
    fn a_page_that_was_posted_to_tells_the_time_and_stays() {
        let page = page(Language::Swedish, not_your_turn(true), COME_BACK(600, false));
        assert!(page.contains("Försök igen om 10 minuter, klockan <time>14:06:09</time>."), "{page}");
        assert!(!page.contains("refresh") && !page.contains("laddas om"), "{page}");
    }

    #[test]
    fn a_page_without_a_time_to_come_back_neither_tells_one_nor_comes_back() {
        let page = page(Language::English, Telling::Fault(crate::proxy::fault::Fault::NoProduct), None);
        assert!(!page.contains("<time>") && !page.contains("refresh"), "{page}");
    }

    #[test]
    fn a_wait_is_told_as_people_say_it() {
        for (seconds, sv, en) in [
            (1, "1 sekund", "1 second"),
            (119, "119 sekunder", "119 seconds"),
            (120, "2 minuter", "2 minutes"),
            (121, "3 minuter", "3 minutes"),
        ] {
            for (language, said) in Language::ALL.into_iter().zip([sv, en]) {
                let mut text = String::new();
                COME_BACK(seconds, true).expect("there is one").push_wait(&mut text, language);
                assert_eq!(text, said);
            }
        }
    }
}
