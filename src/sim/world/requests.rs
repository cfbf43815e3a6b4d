//! Requests that are alive: waiting at the law, or at work in the plant.

use crate::admission::Timestamp;
use crate::admission::reads::ObjectKey;
use crate::sim::backend::JobId;
use crate::sim::law::RequestId;

/// A request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) device: u32,
    pub(super) crowd: u16,
    pub(super) step: u8,
    /// Whether its client is still there to hear the answer.
    pub(super) heard: bool,
    pub(super) sent: Timestamp,
    /// When it passed; until then when it was sent.
    pub(super) passed: Timestamp,
    /// What the plant does for it, once it has passed.
    pub(super) job: Option<JobId>,
    pub(super) part: Part,
}

/// What a request is to the object that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It asks for itself alone.
    Alone,
    /// It waits for what is fetched; the first of them was asked to see to that, and is not counted.
    Waits(ObjectKey, Waits),
    /// It fetches for all who wait: nobody's own.
    Fetches(ObjectKey),
}

/// Whether a wait counts towards the bound on those who follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    First,
    Follows,
}

/// Which request this was: its place, and how often the place had been used before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub(super) id: RequestId,
    generation: u32,
}

/// All that are alive, in a slab.
#[derive(Debug, Default)]
pub(super) struct Requests {
    slots: Vec<(u32, Option<Request>)>,
    free: Vec<RequestId>,
    /// Whose each job is, by the job's number in the plant.
    jobs: Vec<Option<RequestId>>,
    waiting: usize,
}

impl Request {
    pub(super) fn new(device: u32, crowd: u16, step: u8, now: Timestamp) -> Request {
        Request { device, crowd, step, heard: true, sent: now, passed: now, job: None, part: Part::Alone }
    }
}

impl Requests {
    pub(super) fn begin(&mut self, request: Request) -> Ticket {
        let id = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            RequestId(self.slots.len() as u32 - 1)
        });
        let slot = &mut self.slots[id.index()];
        slot.1 = Some(request);
        Ticket { id, generation: slot.0 }
    }

    /// The end of a request, once.
    pub(super) fn end(&mut self, id: RequestId) -> Request {
        let slot = &mut self.slots[id.index()];
        slot.0 = slot.0.wrapping_add(1);
        let request = slot.1.take().expect("a request ends once");
        self.free.push(id);
        if let Some(job) = request.job {
            self.jobs[job_index(job)] = None;
        }
        request
    }

    pub(super) fn get(&self, id: RequestId) -> &Request {
        self.slots[id.index()].1.as_ref().expect("only who is alive is asked about")
    }

    /// The request of a ticket, while it is alive.
    pub(super) fn find(&self, ticket: Ticket) -> Option<&Request> {
        let (generation, request) = &self.slots[ticket.id.index()];
        request.as_ref().filter(|_| *generation == ticket.generation)
    }

    /// Whether its client still waits for the answer.
    pub(super) fn is_awaited(&self, ticket: Ticket) -> bool {
        self.find(ticket).is_some_and(|request| request.heard)
    }

    pub(super) fn ticket(&self, id: RequestId) -> Ticket {
        Ticket { id, generation: self.slots[id.index()].0 }
    }

    pub(super) fn wait(&mut self) {
        self.waiting += 1;
    }

    pub(super) fn stop_waiting(&mut self) {
        self.waiting -= 1;
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn work(&mut self, id: RequestId, job: JobId, now: Timestamp) {
        let request = self.slots[id.index()].1.as_mut().expect("only who is alive can pass");
        (request.job, request.passed) = (Some(job), now);
        let index = job_index(job);
        if self.jobs.len() <= index {
            self.jobs.resize(index + 1, None);
        }
        self.jobs[index] = Some(id);
    }

    pub(super) fn of_job(&self, job: JobId) -> Option<RequestId> {
        self.jobs.get(job_index(job)).copied().flatten()
    }

    /// The client has gone; the request goes on.
    pub(super) fn unheard(&mut self, id: RequestId) {
        if let Some(request) = &mut self.slots[id.index()].1 {
            request.heard = false;
        }
    }

    /// The most that were alive at once.
    pub(super) fn most_alive(&self) -> usize {
        self.slots.len()
    }
}

/// The plant numbers jobs densely in the lower half.
fn job_index(job: JobId) -> usize {
    (job & u64::from(u32::MAX)) as usize
}
