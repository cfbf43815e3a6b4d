//! What is known of one request, written down by everybody it passes, each for their own part.
//!
//! Whoever lets go of it last ends it, and then there is a line: the answer's body, when the answer has gone to the
//! connection or broken off; the exchange with a backend, when it goes on although its client has hung up. So there is
//! one line for each request, whatever becomes of it, and no place that has to remember to write it.

use std::cell::RefCell;
use std::rc::Rc;

use http::request::Parts;
use http::{Method, StatusCode, Version};

use super::Book;
use crate::admission::{Class, Customer, EventKey, Refusal, Timestamp};
use crate::proxy::admit::Decided;
use crate::proxy::classify::Classified;
use crate::proxy::fault::Fault;
use crate::proxy::patience::BodyError;

/// A request's trail; nothing but a null pointer where no access log is kept.
#[derive(Clone, Default)]
pub(crate) struct Trail(Option<Rc<RefCell<Steps>>>);

/// What a request has left on its way.
#[derive(Default)]
pub(super) struct Steps {
    /// Where its line will stand; whoever reuses these steps for another request sets it anew.
    pub(super) book: Option<Rc<Book>>,
    pub(super) begun: Timestamp,
    /// Its path, trace and id, and the name of the backend it was sent to, one behind the other. Copied: a part of the
    /// buffer that the head was read into would keep all of it.
    text: Vec<u8>,
    /// Where in it each of the first three ends.
    ends: [usize; 3],
    pub(super) method: Method,
    pub(super) version: Version,
    /// It came through TLS.
    pub(super) secure: bool,
    pub(super) what: Option<What>,
    pub(super) verdict: Option<Verdict>,
    /// What was decided although it went on, or what it was told.
    pub(super) refusal: Option<Refusal>,
    pub(super) fault: Option<&'static str>,
    pub(super) arrived: Option<Timestamp>,
    pub(super) admitted: Option<Timestamp>,
    pub(super) attempts: u32,
    pub(super) first_byte: Option<Timestamp>,
    pub(super) backend_done: Option<Timestamp>,
    /// What the backend said, for when the client does not hear it.
    pub(super) backend_status: Option<StatusCode>,
    pub(super) status: Option<StatusCode>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    ended: Option<Ended>,
}

/// What a request is.
#[derive(Clone, Copy)]
pub(super) struct What {
    pub(super) product: usize,
    pub(super) class: Class,
    pub(super) customer: Customer,
    pub(super) event: Option<EventKey>,
}

/// How it was decided whether a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Proceed,
    Wait,
    Refuse,
    /// Memory answered, or a fetch for all who asked.
    Memory,
    /// It was asked for before, and heard what that heard.
    Duplicate,
}

/// What we said by ourselves, in place of a backend.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Told {
    Refusal(Refusal),
    Fault(Fault),
}

/// How a request ended, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// All of a backend's answer, or of one from memory, has gone to the connection.
    Answered,
    /// It heard a refusal.
    Refused,
    /// It heard a fault.
    Fault,
    /// The client hung up before that.
    ClientGone,
    /// The client took too long to read its answer.
    ClientSlow,
    /// The backend's connection broke within its answer, or what came was no HTTP.
    BackendReset,
    /// The backend closed its connection before all of its answer had come.
    ShortBody,
    /// The answer did not go on in time.
    TimedOut,
    /// The proxy went down, and its drain time was over.
    CutOnDrain,
    /// A tunnel that its client ended.
    ClientClosed,
    /// A tunnel that its backend ended.
    BackendClosed,
    /// A tunnel in which nothing moved for too long, or that had been there for as long as one may.
    TunnelIdle,
}

/// How a tunnel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TunnelEnd {
    /// The client said its last first.
    ByClient,
    /// The backend did.
    ByBackend,
    /// The client's connection broke, or all of it was cut.
    ClientGone,
    /// The client did not read.
    ClientSlow,
    /// The backend's connection broke.
    BackendReset,
    /// Nothing moved for too long, or it had been there for as long as one may.
    Idle,
}

/// No more of a path is written down.
const MOST_PATH: usize = 1024;
/// A trail is kept for another request unless it has grown beyond this.
const MOST_KEPT: usize = 512;

impl Trail {
    /// Of a request of our own: nobody follows it.
    pub(crate) fn none() -> Trail {
        Trail(None)
    }

    /// A request has come.
    pub(super) fn begin(book: &Rc<Book>, parts: &Parts, secure: bool, came: Timestamp) -> Trail {
        let mut steps = book.spare();
        let new = Rc::get_mut(&mut steps).expect("nobody else has a spare one").get_mut();
        new.book = Some(book.clone());
        new.begun = came;
        new.method = parts.method.clone();
        new.version = parts.version;
        new.secure = secure;
        let path =
            if book.log.query { parts.uri.path_and_query().map_or("", |all| all.as_str()) } else { parts.uri.path() };
        new.text.extend_from_slice(&path.as_bytes()[..path.len().min(MOST_PATH)]);
        new.ends = [new.text.len(); 3];
        Trail(Some(steps))
    }

    /// It is a part of this trace; told before its id.
    pub(crate) fn is_of_trace(&self, trace: &[u8]) {
        self.note(|steps| {
            steps.text.extend_from_slice(trace);
            (steps.ends[1], steps.ends[2]) = (steps.text.len(), steps.text.len());
        });
    }

    /// This is its id.
    pub(crate) fn has_id(&self, id: &[u8]) {
        self.note(|steps| {
            steps.text.extend_from_slice(id);
            steps.ends[2] = steps.text.len();
        });
    }

    /// It is this.
    pub(crate) fn is(&self, what: &Classified) {
        let Classified { product, class, customer, event, .. } = *what;
        self.note(|steps| steps.what = Some(What { product, class, customer, event }));
    }

    /// It asks to pass.
    pub(crate) fn arrives(&self, now: Timestamp) {
        self.note(|steps| steps.arrived = Some(now));
    }

    /// It waits.
    pub(crate) fn waits(&self) {
        self.note(|steps| steps.verdict = Some(Verdict::Wait));
    }

    /// It goes on, and may have had to wait before.
    pub(crate) fn passes(&self, now: Timestamp) {
        self.note(|steps| {
            steps.verdict.get_or_insert(Verdict::Proceed);
            steps.admitted = Some(now);
        });
    }

    /// It goes on although this was decided.
    pub(crate) fn is_observed(&self, decided: Decided, now: Timestamp) {
        self.note(|steps| {
            let (verdict, refusal) = match decided {
                Decided::Proceed => (Verdict::Proceed, None),
                Decided::Wait => (Verdict::Wait, None),
                Decided::Refuse(refused) => (Verdict::Refuse, Some(refused.refusal)),
            };
            (steps.verdict, steps.refusal, steps.admitted) = (Some(verdict), refusal, Some(now));
        });
    }

    /// Memory answers.
    pub(crate) fn is_from_memory(&self) {
        self.note(|steps| steps.verdict = Some(Verdict::Memory));
    }

    /// It hears what an earlier one with its key heard.
    pub(crate) fn is_duplicate(&self) {
        self.note(|steps| steps.verdict = Some(Verdict::Duplicate));
    }

    /// It is sent to a backend, perhaps once more.
    pub(crate) fn is_sent_to<'a>(&self, backend: impl FnOnce() -> &'a str) {
        self.note(|steps| {
            steps.attempts += 1;
            steps.text.truncate(steps.ends[2]);
            steps.text.extend_from_slice(backend().as_bytes());
        });
    }

    /// The head of the backend's answer is there.
    pub(crate) fn hears(&self, status: StatusCode, now: Timestamp) {
        self.note(|steps| (steps.backend_status, steps.first_byte) = (Some(status), Some(now)));
    }

    /// The exchange with the backend is over.
    pub(crate) fn backend_is_done(&self, now: Timestamp) {
        self.note(|steps| steps.backend_done = Some(now));
    }

    /// The backend's answer broke off.
    pub(crate) fn breaks_off(&self, error: BodyError) {
        self.ends(match error {
            BodyError::Stalled => Ended::TimedOut,
            BodyError::Short => Ended::ShortBody,
            BodyError::Broken | BodyError::TooLarge => Ended::BackendReset,
        });
    }

    /// The connection went on as a tunnel, which has ended.
    pub(crate) fn tunnel_ends(&self, how: TunnelEnd) {
        self.ends(match how {
            TunnelEnd::ByClient => Ended::ClientClosed,
            TunnelEnd::ByBackend => Ended::BackendClosed,
            TunnelEnd::ClientGone => Ended::ClientGone,
            TunnelEnd::ClientSlow => Ended::ClientSlow,
            TunnelEnd::BackendReset => Ended::BackendReset,
            TunnelEnd::Idle => Ended::TunnelIdle,
        });
    }

    /// So much of its body has come.
    pub(crate) fn comes(&self, bytes: u64) {
        self.note(|steps| steps.bytes_in += bytes);
    }

    /// So much of its answer's body has left.
    pub(crate) fn leaves(&self, bytes: u64) {
        self.note(|steps| steps.bytes_out += bytes);
    }

    /// The head of its answer is there. What we `told` by ourselves was no backend's.
    pub(crate) fn is_answered(&self, status: StatusCode, told: Option<Told>) {
        self.note(|steps| {
            steps.status = Some(status);
            match told {
                Some(Told::Refusal(refusal)) => {
                    steps.refusal = Some(refusal);
                    // Who waited before has waited; whoever never came to ask was refused all the same.
                    steps.verdict.get_or_insert(Verdict::Refuse);
                }
                Some(Told::Fault(fault)) => steps.fault = Some(fault.name()),
                None => {}
            }
        });
    }

    /// Some of its answer will not leave any more, because nobody takes it; `slow` when that is for having waited too
    /// long.
    pub(crate) fn is_left_over(&self, slow: bool) {
        let Some(steps) = &self.0 else { return };
        let bodyless = steps.borrow().is_bodyless();
        // The connection never asks for a body that must not be sent.
        if !bodyless {
            self.ends(if slow { Ended::ClientSlow } else { Ended::ClientGone });
        }
    }

    /// The first word stands.
    fn ends(&self, ended: Ended) {
        self.note(|steps| {
            steps.ended.get_or_insert(ended);
        });
    }

    fn note(&self, what: impl FnOnce(&mut Steps)) {
        if let Some(steps) = &self.0 {
            what(&mut steps.borrow_mut());
        }
    }
}

impl Drop for Trail {
    /// A branch where no log is kept.
    #[inline]
    fn drop(&mut self) {
        if let Some(steps) = self.0.take() {
            let_go(steps);
        }
    }
}

/// Whoever lets go last ends it.
#[inline(never)]
fn let_go(steps: Rc<RefCell<Steps>>) {
    if Rc::strong_count(&steps) > 1 {
        return;
    }
    let book = steps.borrow_mut().book.take();
    if let Some(book) = book {
        book.write(&steps.borrow());
        book.keep(steps);
    }
}

impl Steps {
    pub(super) fn path(&self) -> &[u8] {
        &self.text[..self.ends[0]]
    }

    /// Empty when it is known by none, like the id.
    pub(super) fn trace(&self) -> &[u8] {
        &self.text[self.ends[0]..self.ends[1]]
    }

    pub(super) fn id(&self) -> &[u8] {
        &self.text[self.ends[1]..self.ends[2]]
    }

    /// The name of the backend it was sent to; empty when it was sent to none.
    pub(super) fn backend(&self) -> &[u8] {
        &self.text[self.ends[2]..]
    }

    pub(super) fn ended(&self, cut: bool) -> Ended {
        match (self.ended, self.status) {
            (None | Some(Ended::ClientGone), None) | (Some(Ended::ClientGone), _) if cut => Ended::CutOnDrain,
            (Some(ended), _) => ended,
            (None, None) => Ended::ClientGone,
            (None, Some(_)) if self.fault.is_some() => Ended::Fault,
            // In observe-only a refusal is decided, and the backend's answer given.
            (None, Some(_)) if self.refusal.is_some() && self.attempts == 0 => Ended::Refused,
            (None, Some(_)) => Ended::Answered,
        }
    }

    fn is_bodyless(&self) -> bool {
        let status = self.status.map_or(0, |status| status.as_u16());
        self.method == Method::HEAD || matches!(status, 100..=199 | 204 | 304)
    }

    /// As new; false when it is better thrown away.
    pub(super) fn clear(&mut self) -> bool {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let keep = text.capacity() <= MOST_KEPT;
        *self = Steps { text, ..Steps::default() };
        keep
    }
}

impl Verdict {
    pub(super) fn name(self) -> &'static str {
        match self {
            Verdict::Proceed => "proceed",
            Verdict::Wait => "wait",
            Verdict::Refuse => "refuse",
            Verdict::Memory => "memory",
            Verdict::Duplicate => "duplicate",
        }
    }
}

impl Ended {
    pub(super) fn name(self) -> &'static str {
        match self {
            Ended::Answered => "answered",
            Ended::Refused => "refused",
            Ended::Fault => "fault",
            Ended::ClientGone => "client_gone",
            Ended::ClientSlow => "client_slow",
            Ended::BackendReset => "backend_reset",
            Ended::ShortBody => "short_body",
            Ended::TimedOut => "timed_out",
            Ended::CutOnDrain => "cut_on_drain",
            Ended::ClientClosed => "client_closed",
            Ended::BackendClosed => "backend_closed",
            Ended::TunnelIdle => "tunnel_idle",
        }
    }
}
