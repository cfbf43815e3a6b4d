//! Readers in the simulated world: what memory answers, who fetches, and who waits for that.
//!
//! The proxy's part of it, with [`Reads`] deciding as it does there. Bytes are nothing here: of an answer there is only
//! how long it is good.

use std::collections::BTreeMap;

use super::requests::{Part, Request, Ticket, Waits};
use super::{Due, World};
use crate::admission::reads::{Flight, Kept, Landed, Life, ObjectKey, Patience, Reads, Verdict};
use crate::admission::{Arrival, Timestamp};
use crate::sim::clients::Ended;
use crate::sim::law::{Knock, No, Word};

/// What memory has, and what is under way.
#[derive(Debug, Default)]
pub(super) struct Memory {
    reads: Reads,
    objects: BTreeMap<ObjectKey, Object>,
}

#[derive(Debug, Default)]
struct Object {
    kept: Option<Kept>,
    flight: Option<Flight>,
    waiting: Vec<Ticket>,
}

/// What came of a fetch.
pub(super) enum Fetched {
    /// An answer to this request.
    Done(Request),
    /// No answer, or one that says that there is none.
    Failed,
    Refused(No),
}

impl World<'_> {
    /// A device asks for what is anybody's.
    pub(super) fn read(&mut self, request: Request, object: ObjectKey, arrival: Arrival) {
        let now = self.now;
        let Some(memory) = &mut self.memory else { return };
        let kept = memory.objects.entry(object).or_default().kept;
        match memory.reads.ask(object, kept, true, now) {
            Verdict::Serve { .. } => self.served_from_memory(&request, now),
            Verdict::Pass => self.asks_alone(request, arrival),
            Verdict::Follow(patience) => self.awaits(request, object, Waits::Follows, patience),
            Verdict::Lead(flight, patience) => {
                self.object(object).flight = Some(flight);
                self.awaits(request, object, Waits::First, patience);
                self.fetch(request, object, arrival);
            }
        }
    }

    fn served_from_memory(&mut self, request: &Request, now: Timestamp) {
        self.record.served(request.crowd, now.since(request.sent), std::time::Duration::ZERO, now);
        self.ended(request.device, Ended::Served);
    }

    fn asks_alone(&mut self, request: Request, arrival: Arrival) {
        let ticket = self.requests.begin(request);
        self.knock(ticket, arrival);
        if self.requests.is_awaited(ticket) {
            let timeout = self.scenario.crowds[usize::from(request.crowd)].timeout;
            self.agenda.put(self.now + timeout, Due::HangsUp(ticket));
        }
        self.hear();
    }

    /// Wait for what is fetched.
    fn awaits(&mut self, request: Request, object: ObjectKey, waits: Waits, patience: Patience) {
        let ticket = self.requests.begin(Request { part: Part::Waits(object, waits), ..request });
        self.object(object).waiting.push(ticket);
        let timeout = self.scenario.crowds[usize::from(request.crowd)].timeout;
        match patience {
            Patience::Or(patience) if patience < timeout => self.agenda.put(self.now + patience, Due::Settles(ticket)),
            Patience::Or(_) | Patience::ToTheEnd => self.agenda.put(self.now + timeout, Due::HangsUp(ticket)),
        }
    }

    /// A request that nobody in particular waits for.
    fn fetch(&mut self, first: Request, object: ObjectKey, arrival: Arrival) {
        let ticket = self.requests.begin(Request { part: Part::Fetches(object), ..first });
        self.knock(ticket, arrival);
        self.hear();
    }

    fn knock(&mut self, ticket: Ticket, arrival: Arrival) {
        match self.law.arrive(Knock { request: ticket.id, arrival }, self.now) {
            Word::Pass => self.pass(ticket.id),
            Word::Wait => self.requests.wait(),
            Word::Refuse(no) => self.refused(ticket.id, no),
        }
    }

    /// A reader settles for what there is.
    pub(super) fn settle(&mut self, ticket: Ticket) {
        let Some(request) = self.requests.find(ticket).copied() else { return };
        let Part::Waits(object, waits) = request.part else { return };
        self.requests.end(ticket.id);
        self.waits_no_more(waits);
        self.hears(&request, object, &Fetched::Failed);
    }

    pub(super) fn waits_no_more(&mut self, waits: Waits) {
        if let (Waits::Follows, Some(memory)) = (waits, &mut self.memory) {
            memory.reads.leave();
        }
    }

    /// A fetch is over, and all who wait hear what came of it.
    pub(super) fn lands(&mut self, object: ObjectKey, fetched: Fetched) {
        let now = self.now;
        let terms = |request: &Request| {
            let product = self.scenario.crowds[usize::from(request.crowd)].product;
            self.scenario.products[usize::from(product.0)].cache
        };
        let kept = match &fetched {
            Fetched::Done(request) => terms(request).map(|terms| {
                let life =
                    Life { age: Default::default(), fresh: terms.fresh, stale: terms.stale, while_fetched: None };
                Kept::new(request.passed, life)
            }),
            Fetched::Failed | Fetched::Refused(_) => None,
        };
        let Some(memory) = &mut self.memory else { return };
        let known = memory.objects.entry(object).or_default();
        known.kept = kept.or(known.kept);
        let landed = if kept.is_some() { Landed::Shared } else { Landed::Failed };
        if let Some(flight) = known.flight.take() {
            memory.reads.land(flight, landed, now);
        }
        for ticket in std::mem::take(&mut known.waiting) {
            let Some(request) = self.requests.find(ticket).copied() else { continue };
            let Part::Waits(_, waits) = request.part else { continue };
            self.requests.end(ticket.id);
            self.waits_no_more(waits);
            self.hears(&request, object, &fetched);
        }
    }

    /// A reader is told what came of it, or gets what there is.
    fn hears(&mut self, request: &Request, object: ObjectKey, fetched: &Fetched) {
        let now = self.now;
        let good = self.object(object).kept.is_some_and(|kept| kept.is_good(now));
        match fetched {
            Fetched::Done(_) => self.served_from_memory(request, now),
            Fetched::Failed | Fetched::Refused(_) if good => self.served_from_memory(request, now),
            Fetched::Failed => {
                self.record.count(request.crowd, now).failed += 1;
                self.ended(request.device, Ended::Failed);
            }
            Fetched::Refused(no) => {
                self.record.refused(request.crowd, *no, now);
                self.ended(request.device, Ended::Refused(no.retry_after));
            }
        }
    }

    fn object(&mut self, object: ObjectKey) -> &mut Object {
        let memory = self.memory.as_mut().expect("whoever reads here has been found to be answered from memory");
        memory.objects.entry(object).or_default()
    }
}
