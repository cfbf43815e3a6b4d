//! Asking admission for a turn, and waiting for it.

use std::rc::Rc;

use super::Worker;
use super::admit::{Admitted, Asked};
use super::classify::Classified;
use crate::admission::{Class, Refused, Timestamp};

/// Ask admission; wait if it says so. A client that hangs up takes this future with it.
pub(super) async fn admitted(worker: &Rc<Worker>, what: Classified, arrived: Timestamp) -> Result<Admitted, Refused> {
    let Classified { product, class, .. } = what;
    let (gate, id) = worker.gate(product);
    let metrics = &worker.metrics.products[product];
    metrics.arrivals[class.index()].increment(1);
    let asked = gate.ask(what.arrival(id), arrived);
    let waiting = match asked {
        Asked::Admitted(admitted) => {
            metrics.proceeded[class.index()].increment(1);
            return Ok(admitted);
        }
        Asked::Refused(refused) => {
            metrics.refused(class, refused.refusal, true);
            return Err(refused);
        }
        Asked::Observed(mut admitted, decided) => {
            metrics.decided(class, decided);
            admitted.on_refusal(|| would_refuse(worker, product, class));
            return Ok(admitted);
        }
        Asked::Waiting(waiting) => waiting,
    };
    metrics.waited[class.index()].increment(1);
    // Counted when this future is dropped with its connection.
    let mut left = LeftQueue(Some(&metrics.left[class.index()]));
    let decision = waiting.await;
    left.0 = None;
    match decision {
        Ok(mut admitted) => {
            let waited = admitted.since().since(arrived);
            metrics.queue_seconds[class.index()].record(waited.as_secs_f64());
            admitted.on_refusal(|| would_refuse(worker, product, class));
            Ok(admitted)
        }
        Err(refused) => {
            metrics.refused(class, refused.refusal, false);
            Err(refused)
        }
    }
}

/// Counts a no that is not told, because nothing is refused just now.
fn would_refuse(worker: &Worker, product: usize, class: Class) -> impl FnOnce(Refused) + Send + use<> {
    let metrics = worker.metrics.clone();
    move |refused| metrics.products[product].would_refuse(class, refused.refusal)
}

struct LeftQueue<'a>(Option<&'a metrics::Counter>);

impl Drop for LeftQueue<'_> {
    fn drop(&mut self) {
        if let Some(left) = self.0 {
            left.increment(1);
        }
    }
}
