//! The first of several requests that are the same: what it hears, all hear.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, RETRY_AFTER, TRAILER};
use http::response::Parts;
use http::{HeaderValue, StatusCode};
use tokio::sync::watch;

use super::{Bets, Copied, Elsewhere, Heard};
use crate::admission::Refused;
use crate::admission::once::{Bet, Settled, Token};
use crate::proxy::fault::Fault;

/// A request that goes on for all that are the same. Dropped, it was never sent, or its answer is lost.
pub(crate) struct First {
    bets: Arc<Bets>,
    /// Until it is settled.
    leave: Option<Leave>,
    tell: watch::Sender<Option<Heard>>,
    honoured: bool,
    /// A byte of it may have left.
    sent: bool,
    answer: Option<Answer>,
}

/// Who gave leave to send it, and hears how it ended.
enum Leave {
    Here(Token),
    There { key: u64, unknown: bool, by: Arc<Elsewhere> },
}

/// An answer that is being copied.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: BytesMut,
    meaning: Meaning,
}

/// What an answer says of the request that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// It is over, one way or the other.
    Done,
    /// Nothing was done, and it may be asked for again.
    NotDone,
    /// The backend does not know either.
    Unclear,
}

impl First {
    pub(super) fn new(bets: Arc<Bets>, token: Token, tell: watch::Sender<Option<Heard>>, honoured: bool) -> First {
        First { bets, leave: Some(Leave::Here(token)), tell, honoured, sent: false, answer: None }
    }

    /// With leave of another process, where its duplicates wait.
    pub(super) fn there(bets: Arc<Bets>, bet: Bet, unknown: bool, by: Arc<Elsewhere>) -> First {
        let leave = Some(Leave::There { key: bet.key, unknown, by });
        First { bets, leave, tell: watch::channel(None).0, honoured: bet.honoured, sent: false, answer: None }
    }

    /// A byte may have left, or it is certain that none has.
    pub(crate) fn is_sent(&mut self, sent: bool) {
        self.sent = sent;
    }

    /// It is refused before a byte of it has left. What it hears: that, unless it was sent before.
    pub(crate) fn refused(&mut self, refused: Refused) -> Result<Refused, Fault> {
        if self.was_sent_before() {
            self.settle(Settled::Unsent, Some(Heard::Fault(Fault::OutcomeUnknown)));
            return Err(Fault::OutcomeUnknown);
        }
        self.settle(Settled::Unsent, Some(Heard::Refused(refused)));
        Ok(refused)
    }

    /// It had no answer. What it hears: that, unless it was sent before and not now.
    pub(crate) fn failed(&mut self, fault: Fault) -> Fault {
        match fault {
            // The backend cannot have acted on half a request. Who else asks has a whole one.
            Fault::BadRequest(_) | Fault::ClientTimeout => self.settle(Settled::Unsent, None),
            fault if self.sent => self.settle(Settled::Lost, Some(Heard::Fault(fault))),
            _ if self.was_sent_before() => {
                self.settle(Settled::Unsent, Some(Heard::Fault(Fault::OutcomeUnknown)));
                return Fault::OutcomeUnknown;
            }
            fault => self.settle(Settled::Unsent, Some(Heard::Fault(fault))),
        }
        fault
    }

    /// The head of the answer is there, as the client gets it.
    pub(crate) fn answered(&mut self, head: &Parts) {
        // A value is a part of the buffer that the head was read into, and would keep all of it.
        let copied = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).ok();
        let kept = head.headers.iter().filter(|(name, _)| **name != TRAILER);
        let headers = kept.filter_map(|(name, value)| Some((name.clone(), copied(value)?))).collect();
        let meaning = Meaning::of(head.status, &head.headers, self.honoured);
        self.answer = Some(Answer { status: head.status, headers, body: BytesMut::new(), meaning });
    }

    /// A piece of the answer is there.
    pub(crate) fn hears(&mut self, piece: &Bytes) {
        let most = self.bets.settings.answer_bytes;
        let Some(answer) = &mut self.answer else { return };
        if answer.body.len() + piece.len() <= most {
            answer.body.extend_from_slice(piece);
            return;
        }
        let (settled, heard) = match answer.meaning {
            Meaning::Done => (Settled::Answered(None), Some(Heard::Fault(Fault::AnsweredElsewhere))),
            Meaning::NotDone => (Settled::Unsent, None),
            Meaning::Unclear => (Settled::Lost, Some(Heard::Fault(Fault::OutcomeUnknown))),
        };
        self.answer = None;
        self.settle(settled, heard);
    }

    /// The answer is whole.
    pub(crate) fn ends(&mut self) {
        let Some(Answer { status, headers, body, meaning }) = self.answer.take() else { return };
        let copied = Arc::new(Copied { status, headers, body: body.freeze() });
        let settled = match meaning {
            Meaning::Done => Settled::Answered(Some((copied.clone(), copied.bytes()))),
            Meaning::NotDone => Settled::Unsent,
            Meaning::Unclear => Settled::Lost,
        };
        self.settle(settled, Some(Heard::Answer(copied)));
    }

    pub(super) fn was_sent_before(&self) -> bool {
        match &self.leave {
            Some(Leave::Here(token)) => token.is_unknown(),
            Some(Leave::There { unknown, .. }) => *unknown,
            None => false,
        }
    }

    /// The process that sent it, or was to, has told how it ended there.
    pub(super) fn was_settled_there(&mut self, unknown: bool, how: Settled<Arc<Copied>>, heard: Option<Heard>) {
        self.leave = match self.leave.take() {
            Some(Leave::Here(token)) => Some(Leave::Here(token.of_unknown(unknown))),
            other => other,
        };
        self.settle(how, heard);
    }

    /// Known first and told then: who hears nothing asks again at once.
    fn settle(&mut self, how: Settled<Arc<Copied>>, heard: Option<Heard>) {
        match self.leave.take() {
            Some(Leave::Here(token)) => self.bets.settle(token, how, heard.as_ref()),
            Some(Leave::There { key, unknown, by }) => by.settled(key, unknown, &how, heard.as_ref()),
            None => return,
        }
        if heard.is_some() {
            self.tell.send_replace(heard);
        }
    }
}

impl Drop for First {
    fn drop(&mut self) {
        if self.sent {
            self.settle(Settled::Lost, Some(Heard::Fault(Fault::BrokenAnswer)));
        } else {
            self.settle(Settled::Unsent, None);
        }
    }
}

impl Meaning {
    /// What the backend says stands, and a 5xx does not say that nothing was done: proxies between us and it say 502, 503
    /// and 504 of requests whose answer they have lost.
    fn of(status: StatusCode, headers: &HeaderMap<HeaderValue>, honoured: bool) -> Meaning {
        match status.as_u16() {
            // Who are you, what was that, not now: the request itself has not been looked at.
            401 | 407 | 408 | 425 | 429 => Meaning::NotDone,
            503 if headers.contains_key(RETRY_AFTER) => Meaning::NotDone,
            // Who honours keys says so of one that is still in work.
            409 if honoured => Meaning::Unclear,
            500..=599 => Meaning::Unclear,
            _ => Meaning::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_that_asks_to_come_again_says_that_nothing_was_done() {
        let (plain, mut invites) = (HeaderMap::new(), HeaderMap::new());
        invites.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        let of = |status: u16, headers: &HeaderMap, honoured| {
            Meaning::of(StatusCode::from_u16(status).expect("a status"), headers, honoured)
        };
        for status in 200..600 {
            let not_done = matches!(status, 401 | 407 | 408 | 425 | 429);
            let expected = match status {
                _ if not_done => Meaning::NotDone,
                500.. => Meaning::Unclear,
                _ => Meaning::Done,
            };
            assert_eq!(of(status, &plain, false), expected, "{status}");
            assert_eq!(of(status, &invites, false) == Meaning::NotDone, not_done || status == 503, "{status}");
        }
        assert_eq!((of(409, &plain, false), of(409, &plain, true)), (Meaning::Done, Meaning::Unclear));
    }
}
