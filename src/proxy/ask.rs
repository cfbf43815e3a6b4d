//! Asking admission for a turn, and waiting for it.

use std::rc::Rc;

use http::request::Parts;
use http::uri::PathAndQuery;

use super::Worker;
use super::access_log::Trail;
use super::admit::{Admitted, Asked};
use super::classify::Classified;
use super::upload::RequestBody;
use crate::admission::{Class, Customer, Refused, Timestamp};

/// Ask admission; wait if it says so. A client that hangs up takes this future with it.
///
/// `name` is what the request is known by; it is asked only when it has to wait, or may be one that waits already.
pub(super) async fn admitted(
    worker: &Rc<Worker>,
    what: &Classified,
    name: impl Fn() -> u64,
    arrived: Timestamp,
    trail: &Trail,
) -> Result<Admitted, Refused> {
    let Classified { product, class, .. } = *what;
    let (gate, id) = worker.gate(product);
    let metrics = &worker.metrics.products[product];
    metrics.arrivals[class.index()].increment(1);
    let arrival = what.arrival(id);
    trail.arrives(arrived);
    let waiting = match gate.ask(arrival, arrived) {
        Asked::Admitted(admitted) => {
            metrics.proceeded[class.index()].increment(1);
            trail.passes(arrived);
            return Ok(admitted);
        }
        Asked::Refused { refused, again } => match again.then(|| gate.take_over(&arrival, name(), arrived)).flatten() {
            Some(waiting) => waiting,
            None => {
                metrics.refused(class, refused.refusal, true);
                return Err(refused);
            }
        },
        Asked::Observed(mut admitted, decided) => {
            metrics.decided(class, decided);
            trail.is_observed(decided, arrived);
            admitted.on_refusal(|| would_refuse(worker, product, class));
            return Ok(admitted);
        }
        Asked::Waiting { waiting, again } if may_come_again(what) => {
            let name = name();
            // Where it waits already, the place it was given now is left.
            again.then(|| gate.take_over(&arrival, name, arrived)).flatten().unwrap_or_else(|| {
                gate.name(&waiting, name);
                waiting
            })
        }
        Asked::Waiting { waiting, .. } => waiting,
    };
    metrics.waited[class.index()].increment(1);
    trail.waits();
    // Counted when this future is dropped with its connection.
    let mut left = LeftQueue(Some(&metrics.left[class.index()]));
    let decision = waiting.await;
    left.0 = None;
    match decision {
        Ok(mut admitted) => {
            let waited = admitted.since().since(arrived);
            metrics.queue_seconds[class.index()].record(waited.as_secs_f64());
            trail.passes(admitted.since());
            admitted.on_refusal(|| would_refuse(worker, product, class));
            Ok(admitted)
        }
        Err(refused) => {
            metrics.refused(class, refused.refusal, false);
            Err(refused)
        }
    }
}

/// Whether it is a step of somebody of whom it can be told that they ask again: behind an address may be two.
fn may_come_again(what: &Classified) -> bool {
    what.class.is_of_a_journey() && matches!(what.customer, Customer::Account(_))
}

/// Counts a no that is not told, because nothing is refused just now.
fn would_refuse(worker: &Worker, product: usize, class: Class) -> impl FnOnce(Refused) + Send + use<> {
    let metrics = worker.metrics.clone();
    move |refused| metrics.products[product].would_refuse(class, refused.refusal)
}

/// What a request is known by among its customer's: what it asks for, with all it says. 0 when it has not come whole.
pub(super) fn name(worker: &Worker, parts: &Parts, body: &RequestBody) -> u64 {
    let target = parts.uri.path_and_query().map(PathAndQuery::as_str);
    body.whole(|body| worker.shared.hashes.of((parts.method.as_str(), target, body))).unwrap_or(0)
}

struct LeftQueue<'a>(Option<&'a metrics::Counter>);

impl Drop for LeftQueue<'_> {
    fn drop(&mut self) {
        if let Some(left) = self.0 {
            left.increment(1);
        }
    }
}
