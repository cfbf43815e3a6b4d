//! The way of a request. [`serve`] is the whole of it, in the order in which a request meets its parts:
//! read this first.
//!
//! One async function and not a stack of tower services: the compiler makes one state machine of it without a
//! box, and it can be read from top to bottom (`docs/decisions/0002-one-function-not-a-stack.md`).

pub mod settings;
pub mod clock;
mod ledger;
mod strain;
mod room;
mod neighbours;
pub mod descriptors;
pub mod listener;
mod spread;
mod connection;
mod dormant;
mod secrecy;
mod transport;
mod opening;
mod proxy_header;
pub mod tls;
pub mod keys;
mod http2;
mod watch;
mod sharing;
pub mod shared;
mod worker;
pub mod workers;
mod receive;
pub mod classify;
pub mod event;
pub(crate) mod identity;
mod reads;
pub mod admit;
mod ask;
mod observe;
pub(crate) mod once;
mod lookup;
pub(crate) mod backend;
mod balance;
pub(crate) mod standing;
pub(crate) mod health;
pub(crate) mod names;
mod upload;
mod upstream;
mod hints;
mod stream;
mod streams;
mod upgrade;
mod tunnel;
mod exchange;
mod body;
mod patience;
mod quiet;
mod headers;
pub mod fault;
mod answer;
pub mod access_log;
pub(crate) mod trace;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;

use std::convert::Infallible;
use std::rc::Rc;

use http::request::Parts;
use http::{HeaderValue, Request, Response};
use hyper::body::{Body, Incoming};

use admit::Admitted;
use ask::admitted;
use body::AnswerBody;
use classify::Classified;
use exchange::Answered;
use fault::{Fault, Unanswered};
use headers::{Peer, Seen};
use once::{First, Keyed, Turn};
use upload::{ReadFirst, RequestBody};
use watch::Watch;

use crate::admission::{Class, Refused, Timestamp};

pub use settings::Settings;
pub(crate) use worker::Worker;

/// One request, from its head to the head of its answer.
async fn serve(
    worker: Rc<Worker>,
    peer: Rc<Peer>,
    watch: Rc<Watch>,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Infallible> {
    // The connection rests again when the answer has been written.
    let resting = watch.busy();
    let (mut parts, incoming) = request.into_parts();
    let came = worker.clock.now();
    // Whoever lets go of it last ends it, and then there is a line in the access log.
    let trail = worker.trail(&parts, &peer, came);
    let id = worker.name(&mut parts.headers, &trail);
    let mut answer = match receive::check(&mut parts, &incoming, &worker.settings.listen.limits, &peer) {
        Err(bad) => {
            if !incoming.is_end_stream() {
                watch.leave_unread(watch.asked());
            }
            let reader = worker.answers().reader(&Seen::look(&parts.headers).wishes, &parts);
            worker.fault(Fault::BadRequest(bad), None, reader)
        }
        Ok(seen) => {
            let mut body = RequestBody::new(incoming, &parts.headers, &worker, &watch, &trail);
            let reader = worker.answers().reader(&seen.wishes, &parts);
            match worker.preflight(&parts, &seen, reader) {
                Some(answer) => answer,
                // 2  which product, class, customer, event
                None => match worker.classify(&parts, seen, reader, &peer) {
                    Err(fault) => worker.fault(fault, None, reader),
                    Ok(mut what) => {
                        trail.is(&what);
                        handle(&worker, &peer, &mut what, (&mut parts, &mut body), came).await
                    }
                },
            }
        }
    };
    worker.tell_name(&mut answer, id);
    if watch.is_parting() || watch.is_unread() {
        headers::part(&mut answer);
    }
    let status = answer.status();
    answer.body_mut().belongs_to(resting, trail, status);
    Ok(answer)
}

/// What is left of a request. It stays where it is until it is sent: each function it were given to would copy it twice.
type Rest<'a> = (&'a mut Parts, &'a mut RequestBody);

/// A request that belongs to a product.
async fn handle(
    worker: &Rc<Worker>,
    peer: &Peer,
    what: &mut Classified,
    (parts, body): Rest<'_>,
    came: Timestamp,
) -> Response<AnswerBody> {
    // 2b  what memory answers goes no further, and costs less than a no
    if let Some(answer) = reads::answer(worker, peer, what, parts, body.is_empty()).await {
        body.trail().is_from_memory();
        return answer;
    }
    let mut answer = go_on(worker, peer, what, (parts, body), came).await;
    if what.cache.is_some() {
        reads::note_bypass(&mut answer);
    }
    answer
}

/// A request that asks to pass.
async fn go_on(
    worker: &Rc<Worker>,
    peer: &Peer,
    what: &mut Classified,
    (parts, body): Rest<'_>,
    came: Timestamp,
) -> Response<AnswerBody> {
    // 1  our own strain comes before everything else that could be done for it
    let keyed = worker.bets().and_then(|bets| bets.keyed(what, &worker.settings.products[what.product], parts));
    let keyed = keyed.as_ref();
    if let Some(refused) = worker.strain.refuses(what.class, !body.is_empty())
        && !once::is_known(worker, keyed)
    {
        return overloaded(worker, *what, refused);
    }
    // A seat is asked for when the request is there, but a no is told before the rest of it is waited for.
    if !body.is_empty() {
        if let Some(refused) = refused_already(worker, *what, keyed) {
            return refuse(worker, *what, refused);
        }
        let most = worker.settings.listen.limits.waiting_body_bytes;
        match body.read_first(most, first_read(what, keyed), || worker.strain.keeps(what.class)).await {
            Ok(None) => {}
            Ok(Some(_)) if once::is_known(worker, keyed) => {}
            Ok(Some(refused)) => return overloaded(worker, *what, refused),
            Err(broken) => return worker.fault(broken.into(), Some(what.class), what.reader),
        }
    }
    // 2½ what was asked for before is not sent again
    let first = match once::turn(worker, what, keyed, body).await {
        Turn::Go(first) => first,
        Turn::Told(answer) => {
            body.trail().is_duplicate();
            return answer;
        }
    };
    // 2  and what only its body says: which event, what it costs
    let events = event::told(worker, what, parts, body);
    let waited_before = !body.is_empty() || keyed.is_some() || what.cache.is_some();
    let arrived = if waited_before { worker.clock.now() } else { came };
    // 3-5  lifecycle, queue, limit: admission decides
    let mut admitted = match admitted(worker, what, || ask::name(worker, parts, body), arrived, body.trail()).await {
        Ok(admitted) => admitted,
        Err(refused) => return once::refused(worker, *what, keyed, first, refused),
    };
    admitted.is_for(events);
    let waited = admitted.since().since(arrived);
    // 6-7  a backend, a connection, the answer
    match forward(worker, peer, what, (parts, body), admitted, first).await {
        Err(Unanswered::Fault(fault)) => worker.fault_of(fault, *what, keyed),
        Err(Unanswered::Refused(refused)) => {
            worker.metrics.products[what.product].refused(what.class, refused.refusal, false);
            refuse(worker, *what, refused)
        }
        Ok(mut answered) => {
            let status = answered.response.status();
            identity::hear(worker, what, status, answered.response.headers_mut());
            let mut answer = answered.relay();
            if !waited.is_zero() {
                answer.headers_mut().append("server-timing", waiting_entry(waited));
            }
            answer
        }
    }
}

/// A call of gRPC may go on for as long as both sides please, and begins with its first message. A bet is looked at whole.
fn first_read(what: &Classified, keyed: Option<&Keyed>) -> ReadFirst {
    let may_stream = what.reader.is_grpc() && what.class != Class::Commit && keyed.is_none();
    if may_stream { ReadFirst::OneMessage } else { ReadFirst::All }
}

/// The no of a proxy that must look after itself, before admission is asked.
fn overloaded(worker: &Worker, what: Classified, refused: Refused) -> Response<AnswerBody> {
    refused_at_once(worker, what, refused);
    refuse(worker, what, refused)
}

fn refuse(worker: &Worker, what: Classified, refused: Refused) -> Response<AnswerBody> {
    worker.shared.identity.refused(what.customer, refused.refusal);
    worker.answers().refuse(what.product, what.class, refused, what.reader)
}

/// The no that a request hears whose body has still to come.
fn refused_already(worker: &Worker, what: Classified, keyed: Option<&Keyed>) -> Option<Refused> {
    let (gate, id) = worker.gate(what.product);
    let refused = gate.would_refuse(&what.arrival(id), worker.clock.now())?;
    if once::is_known(worker, keyed) {
        return None;
    }
    refused_at_once(worker, what, refused);
    Some(refused)
}

fn refused_at_once(worker: &Worker, what: Classified, refused: Refused) {
    let metrics = &worker.metrics.products[what.product];
    metrics.arrivals[what.class.index()].increment(1);
    metrics.refused(what.class, refused.refusal, true);
}

/// Send the request on and wait for the head of its answer.
async fn forward(
    worker: &Rc<Worker>,
    peer: &Peer,
    what: &Classified,
    (parts, body): Rest<'_>,
    admitted: Admitted,
    first: Option<Box<First>>,
) -> Result<Answered, Unanswered> {
    let pool = worker.pool_of(what.product, admitted.pool()).await;
    let offer = worker.offer(what, parts, body, first.as_deref()).filter(|_| pool.may_switch());
    let (parts, body) = (receive::taken(parts), body.taken());
    let mut request = receive::to_backend(parts, what.seen, body, peer, &worker.identities, pool.host());
    if let Some(offer) = offer {
        offer.put_on(&mut request);
    }
    if exchange::is_carried(request.method(), first.as_deref()) {
        exchange::Carried::new(pool, request, admitted, what.customer, first).await
    } else {
        pool.exchange(request, admitted, what.customer, first).await
    }
}

/// The `Server-Timing` entry that says how long the customer waited for their turn.
fn waiting_entry(waited: std::time::Duration) -> HeaderValue {
    HeaderValue::try_from(format!("queue;dur={}", waited.as_millis())).expect("digits are plain ASCII")
}
