//! A refusal or a fault as JSON (RFC 9457): for scripts and programs.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_TYPE, RETRY_AFTER, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::telling::Telling;
use super::words;
use super::{NO_STORE, PROXY_STATUS};
use crate::admission::Refusal;
use crate::proxy::body::AnswerBody;
use crate::proxy::settings::Language;

/// Everything that can be told, in one language: by product where it is a refusal.
pub(super) struct Problems {
    refusals: Vec<Vec<Canned>>,
    /// From the first telling that is no refusal.
    others: Vec<Canned>,
}

struct Canned {
    status: StatusCode,
    body: Bytes,
    headers: HeaderMap,
}

const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
const ACCEPT_LANGUAGE: HeaderValue = HeaderValue::from_static("Accept-Language");

impl Problems {
    /// `asked_for` when the language is one that the client named.
    pub(super) fn new<'a>(products: impl Iterator<Item = &'a str>, language: Language, asked_for: bool) -> Problems {
        let canned = |telling, product| Canned::new(telling, product, language, asked_for);
        let is_refusal = |telling: &Telling| matches!(telling, Telling::Refusal { .. });
        let refusals =
            |product| Telling::all().filter(is_refusal).map(|telling| canned(telling, Some(product))).collect();
        Problems {
            refusals: products.map(refusals).collect(),
            others: Telling::all()
                .filter(|telling| !is_refusal(telling))
                .map(|telling| canned(telling, None))
                .collect(),
        }
    }

    /// `product` counts where a refusal is told.
    pub(super) fn answer(&self, telling: Telling, product: usize) -> Response<AnswerBody> {
        let canned = match telling {
            Telling::Refusal { .. } => &self.refusals[product][telling.index()],
            Telling::Fault(_) | Telling::UnknownOutcome | Telling::NotSent(_) => {
                &self.others[telling.index() - 2 * Refusal::COUNT]
            }
        };
        let mut response = Response::new(AnswerBody::full(canned.body.clone()));
        *response.status_mut() = canned.status;
        *response.headers_mut() = canned.headers.clone();
        response
    }
}

impl Canned {
    fn new(telling: Telling, product: Option<&str>, language: Language, asked_for: bool) -> Canned {
        let body = problem(telling, product, language).to_string();
        let headers = [(CONTENT_TYPE, PROBLEM), (CACHE_CONTROL, NO_STORE), (PROXY_STATUS, telling.proxy_status())];
        let mut headers: HeaderMap = headers.into_iter().collect();
        if asked_for {
            headers.insert(CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
            headers.insert(VARY, ACCEPT_LANGUAGE);
        }
        if let Telling::Refusal { .. } = telling {
            // Written over in every answer: a header that is there already costs no room.
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Canned { status: telling.status(), body: Bytes::from(body), headers }
    }
}

pub(super) fn problem(telling: Telling, product: Option<&str>, language: Language) -> Value {
    let (kind, name) = match telling {
        Telling::Refusal { .. } => ("refusal", telling.name()),
        Telling::Fault(_) | Telling::UnknownOutcome | Telling::NotSent(_) => ("fault", telling.name()),
    };
    let title = telling.words(language).title;
    let mut problem = json!({
        "type": format!("urn:sluss:{kind}:{name}"), "title": title, "detail": detail(telling, language), kind: name,
    });
    // A lost answer has the status of how it was lost.
    if telling != Telling::UnknownOutcome {
        problem["status"] = telling.status().as_u16().into();
    }
    if let Some(product) = product {
        problem["product"] = product.into();
    }
    if telling.is_bet_not_placed() {
        problem["bet"] = "not_placed".into();
    } else if telling == Telling::UnknownOutcome {
        problem["bet"] = "unknown".into();
    }
    problem
}

fn detail(telling: Telling, language: Language) -> String {
    let mut detail = telling.words(language).what.to_owned();
    let come_back = words::come_back(telling, language);
    let not_placed = telling.is_bet_not_placed().then(|| words::not_placed(language));
    for sentence in [come_back, not_placed].into_iter().flatten() {
        detail.push(' ');
        detail.push_str(sentence);
    }
    detail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_bet_says_that_no_money_was_taken_and_other_refusals_do_not_speak_of_money() {
        for (language, money) in [(Language::English, "no money was taken"), (Language::Swedish, "inga pengar")] {
            for telling in Telling::all() {
                let problem = problem(telling, Some("horse-racing"), language);
                let detail = problem["detail"].as_str().unwrap_or_default();
                assert_eq!(detail.contains(money), telling.is_bet_not_placed(), "{telling:?}: {detail}");
                assert_eq!(problem["bet"] == "not_placed", telling.is_bet_not_placed());
            }
        }
    }

    #[test]
    fn names_are_the_same_in_every_language() {
        for telling in Telling::all() {
            let [swedish, english] = Language::ALL.map(|language| problem(telling, None, language));
            for name in ["type", "refusal", "fault", "bet", "status"] {
                assert_eq!(swedish[name], english[name], "{telling:?}");
            }
            assert!(swedish["title"] != english["title"] && swedish["detail"] != english["detail"], "{telling:?}");
        }
    }
}
