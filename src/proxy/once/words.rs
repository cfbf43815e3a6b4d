//! What two processes say to each other about bets, while one makes way for the other.
//!
//! Bodies of answers go beside the words, as they are. What one does not know of the other's words, such as the name of a
//! fault that came later, is read as what promises least.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use super::{Copied, Heard};
use crate::admission::once::{Bet, Handed, Settled};
use crate::admission::{Refusal, Refused};
use crate::proxy::fault::Fault;
use crate::telemetry::record::Duplicate;

/// One of them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BetWord {
    /// The old one knows this.
    Known { bet: Asked, state: State, answer: Option<Head> },
    /// A request at the old one asks for this. It is answered by the same number.
    Ask { number: u64, bet: Asked },
    /// What the new one says to that.
    Told { number: u64, told: Told, answer: Option<Head> },
    /// What came of a bet that the old one sent, or was to send.
    Settled { key: u64, unknown: bool, how: How, heard: Option<Hears>, answer: Option<Head> },
}

/// A bet, by the numbers that both make of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    key: u64,
    request: u64,
    body: Option<u64>,
    honoured: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    InFlight,
    Answered { left_ms: u64 },
    Unknown { left_ms: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Told {
    /// Send it, and tell what came of it.
    First { unknown: bool },
    /// It hears this.
    Hears { hears: Hears, verdict: Verdict },
    /// There is no room to know it.
    Full,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    InFlight,
    Answered,
    Unknown,
    Reused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    Unsent,
    /// With the answer that stands beside it, if it is to be kept.
    Answered {
        kept: bool,
    },
    Lost,
}

/// What duplicates hear.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Hears {
    /// The answer that stands beside it.
    Answer,
    Refused {
        refusal: String,
        retry_after_ms: u64,
    },
    Fault {
        fault: String,
        after_ms: u64,
    },
}

/// The head of an answer. Values of headers are bytes, each a character here.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

impl From<Bet> for Asked {
    fn from(Bet { key, request, body, honoured }: Bet) -> Asked {
        Asked { key, request, body, honoured }
    }
}

impl From<Asked> for Bet {
    fn from(Asked { key, request, body, honoured }: Asked) -> Bet {
        Bet { key, request, body, honoured }
    }
}

impl BetWord {
    pub(super) fn known(bet: Bet, handed: Handed<Arc<Copied>>) -> (BetWord, Bytes) {
        let (state, copy) = match handed {
            Handed::InFlight => (State::InFlight, None),
            Handed::Answered(left, copy) => (State::Answered { left_ms: ms(left) }, copy.map(|(copy, _)| copy)),
            Handed::Unknown(left) => (State::Unknown { left_ms: ms(left) }, None),
        };
        let (answer, body) = beside(copy.as_deref());
        (BetWord::Known { bet: bet.into(), state, answer }, body)
    }

    pub(super) fn settled(
        key: u64,
        unknown: bool,
        how: &Settled<Arc<Copied>>,
        heard: Option<&Heard>,
    ) -> (BetWord, Bytes) {
        let told = match heard {
            Some(Heard::Answer(copy)) => Some(copy),
            _ => None,
        };
        let (how, copy) = match how {
            Settled::Unsent => (How::Unsent, told),
            Settled::Lost => (How::Lost, told),
            // What is kept is what is told.
            Settled::Answered(copy) => (How::Answered { kept: copy.is_some() }, copy.as_ref().map(|(copy, _)| copy)),
        };
        let (answer, body) = beside(copy.map(Arc::as_ref));
        (BetWord::Settled { key, unknown, how, heard: heard.map(Hears::of), answer }, body)
    }

    pub(super) fn told(number: u64, heard: &Heard, verdict: Duplicate) -> (BetWord, Bytes) {
        let copy = match heard {
            Heard::Answer(copy) => Some(copy),
            _ => None,
        };
        let (answer, body) = beside(copy.map(Arc::as_ref));
        let told = Told::Hears { hears: Hears::of(heard), verdict: verdict.into() };
        (BetWord::Told { number, told, answer }, body)
    }
}

impl State {
    /// With the answer that stands beside it. One that cannot be read was one all the same.
    pub(super) fn handed(self, answer: Option<Head>, body: Bytes) -> Handed<Arc<Copied>> {
        match self {
            State::InFlight => Handed::InFlight,
            State::Answered { left_ms } => Handed::Answered(Duration::from_millis(left_ms), kept(copied(answer, body))),
            State::Unknown { left_ms } => Handed::Unknown(Duration::from_millis(left_ms)),
        }
    }
}

impl How {
    pub(super) fn settled(self, copy: Option<Arc<Copied>>) -> Settled<Arc<Copied>> {
        match self {
            How::Unsent => Settled::Unsent,
            How::Answered { kept: true } => Settled::Answered(kept(copy)),
            How::Answered { kept: false } => Settled::Answered(None),
            How::Lost => Settled::Lost,
        }
    }
}

impl Hears {
    fn of(heard: &Heard) -> Hears {
        match heard {
            Heard::Answer(_) => Hears::Answer,
            Heard::Refused(Refused { refusal, retry_after }) => {
                Hears::Refused { refusal: refusal.name().to_owned(), retry_after_ms: ms(*retry_after) }
            }
            Heard::Fault(fault) => {
                let after = if let Fault::NoAnswer(after) = fault { *after } else { Duration::ZERO };
                Hears::Fault { fault: fault.name().to_owned(), after_ms: ms(after) }
            }
        }
    }

    pub(super) fn heard(self, copy: Option<Arc<Copied>>) -> Heard {
        match self {
            Hears::Answer => copy.map_or(Heard::Fault(Fault::AnsweredElsewhere), Heard::Answer),
            Hears::Refused { refusal, retry_after_ms } => Heard::Refused(Refused {
                refusal: *Refusal::ALL.iter().find(|known| known.name() == refusal).unwrap_or(&Refusal::ShuttingDown),
                retry_after: Duration::from_millis(retry_after_ms),
            }),
            Hears::Fault { fault, after_ms } => Heard::Fault(named(&fault, Duration::from_millis(after_ms))),
        }
    }
}

/// A fault that duplicates hear, by its name.
fn named(fault: &str, after: Duration) -> Fault {
    let known =
        [Fault::Unreachable, Fault::BrokenAnswer, Fault::OutOfDescriptors, Fault::KeyReused, Fault::AnsweredElsewhere];
    match known.into_iter().chain([Fault::NoAnswer(after)]).find(|known| known.name() == fault) {
        Some(known) => known,
        None => Fault::OutcomeUnknown,
    }
}

impl From<Duplicate> for Verdict {
    fn from(duplicate: Duplicate) -> Verdict {
        match duplicate {
            Duplicate::InFlight => Verdict::InFlight,
            Duplicate::Answered => Verdict::Answered,
            Duplicate::Unknown => Verdict::Unknown,
            Duplicate::Reused => Verdict::Reused,
        }
    }
}

impl From<Verdict> for Duplicate {
    fn from(verdict: Verdict) -> Duplicate {
        match verdict {
            Verdict::InFlight => Duplicate::InFlight,
            Verdict::Answered => Duplicate::Answered,
            Verdict::Unknown => Duplicate::Unknown,
            Verdict::Reused => Duplicate::Reused,
        }
    }
}

fn beside(copy: Option<&Copied>) -> (Option<Head>, Bytes) {
    let Some(Copied { status, headers, body }) = copy else { return (None, Bytes::new()) };
    let value = |value: &HeaderValue| value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
    let headers = headers.iter().map(|(name, one)| (name.as_str().to_owned(), value(one))).collect();
    (Some(Head { status: status.as_u16(), headers }), body.clone())
}

/// The answer that stands beside a word, if it can be read.
pub(super) fn copied(head: Option<Head>, body: Bytes) -> Option<Arc<Copied>> {
    let Head { status, headers } = head?;
    let value = |text: &str| text.chars().map(|character| u8::try_from(character).ok()).collect::<Option<Vec<u8>>>();
    let header = |(name, one): (String, String)| {
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_bytes(&value(&one)?).ok()?))
    };
    let headers: HeaderMap = headers.into_iter().map(header).collect::<Option<_>>()?;
    Some(Arc::new(Copied { status: StatusCode::from_u16(status).ok()?, headers, body }))
}

fn kept(copy: Option<Arc<Copied>>) -> Option<(Arc<Copied>, usize)> {
    copy.map(|copy| (copy.clone(), copy.bytes()))
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt() -> Arc<Copied> {
        let mut headers = HeaderMap::new();
        headers.append("set-cookie", HeaderValue::from_static("a=1"));
        headers.append("set-cookie", HeaderValue::from_bytes(b"n=G\xe4vle").expect("bytes that a header may have"));
        Arc::new(Copied { status: StatusCode::CREATED, headers, body: Bytes::from_static(b"\x00\xffreceipt") })
    }

    fn over(word: &BetWord) -> BetWord {
        serde_json::from_slice(&serde_json::to_vec(word).expect("words")).expect("the same words")
    }

    #[test]
    fn an_answer_is_the_same_on_the_other_side_whatever_bytes_are_in_it() {
        let bet = Bet { key: 1, request: u64::MAX, body: None, honoured: true };
        let handed = Handed::Answered(Duration::from_secs(5), Some((receipt(), 7)));
        let (word, body) = BetWord::known(bet, handed);
        let BetWord::Known { bet: there, state, answer } = over(&word) else { panic!("another word") };
        assert_eq!(Bet::from(there), bet);
        let Handed::Answered(left, Some((copy, bytes))) = state.handed(answer, body) else { panic!("it is answered") };
        let own = receipt();
        assert_eq!((left, bytes), (Duration::from_secs(5), own.bytes()));
        assert_eq!((copy.status, &copy.headers, &copy.body), (own.status, &own.headers, &own.body));
    }

    #[test]
    fn what_is_heard_is_the_same_on_the_other_side_and_what_is_strange_promises_nothing() {
        let refused = Refused { refusal: Refusal::Parked, retry_after: Duration::from_secs(3) };
        let faults = [Fault::Unreachable, Fault::BrokenAnswer, Fault::NoAnswer(Duration::from_secs(2))];
        let heard = faults.into_iter().chain([Fault::OutcomeUnknown, Fault::AnsweredElsewhere]).map(Heard::Fault);
        for heard in heard.chain([Heard::Refused(refused), Heard::Answer(receipt())]) {
            let (word, body) = BetWord::settled(1, true, &Settled::Lost, Some(&heard));
            let BetWord::Settled { heard: Some(hears), answer, how, .. } = over(&word) else { panic!("another word") };
            let there = hears.heard(copied(answer, body));
            assert_eq!((format!("{there:?}"), how), (format!("{heard:?}"), How::Lost));
        }
        let strange = Hears::Fault { fault: "eaten_by_a_dog".into(), after_ms: 1 };
        assert!(matches!(strange.heard(None), Heard::Fault(Fault::OutcomeUnknown)));
        assert!(matches!(Hears::Answer.heard(None), Heard::Fault(Fault::AnsweredElsewhere)));
    }
}
