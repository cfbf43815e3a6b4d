//! What backends answer, and who is left out for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::super::backend::Backend;
use super::super::balance::Policy;
use super::super::balance::outliers::Heard;
use super::Standing;
use crate::admission::Timestamp;
use crate::telemetry::record::LeftOut;

/// How often time alone is asked whether it has changed something.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Standing {
    /// What came back from `backend`, or that nothing did.
    pub(in crate::proxy) fn heard(&self, backend: &Arc<Backend>, good: bool, took: Duration, now: Timestamp) {
        if self.settings.policy == Policy::PeakEwma {
            backend.peak.heard(took, now);
        }
        if self.settings.outliers.is_some() || self.settings.slow_start.is_some() || backend.priority() > 0 {
            backend.count(good);
        }
        if good {
            return backend.answered();
        }
        let streak = backend.erred();
        if let Some(outliers) = &self.settings.outliers
            && streak >= outliers.consecutive.get()
            && streak.is_multiple_of(outliers.consecutive.get())
            && !self.others_fail_too(backend)
            && streak >= outliers.enough_in_a_row(self.heard_of_others(backend))
        {
            self.leave_out(backend, LeftOut::Consecutive);
        }
    }

    /// Whether the last answers of at least half of the others were errors: then it is not this one that is ill. Others are
    /// those of its level: whoever stands by has not been asked, and is no better for that.
    fn others_fail_too(&self, backend: &Arc<Backend>) -> bool {
        let beside = self.beside(backend);
        let others = || beside.iter().filter(|other| !Arc::ptr_eq(other, backend) && other.is_sound());
        let doubted = others().filter(|other| other.is_doubted()).count();
        doubted * 2 >= others().count().max(1)
    }

    /// What was heard of the others of its level since answers were last compared.
    fn heard_of_others(&self, backend: &Arc<Backend>) -> Heard {
        let beside = self.beside(backend);
        let others = beside.iter().filter(|other| !Arc::ptr_eq(other, backend)).map(|other| other.heard_so_far());
        others.fold(Heard::default(), sum)
    }

    /// All of its level.
    fn beside(&self, backend: &Backend) -> Vec<Arc<Backend>> {
        let priority = backend.priority();
        self.backends().iter().filter(|one| one.priority() == priority).cloned().collect()
    }

    /// Leave a backend out for its answers, if so many may be.
    fn leave_out(&self, backend: &Arc<Backend>, why: LeftOut) {
        let Some(outliers) = &self.settings.outliers else { return };
        // Under the lock, or two that fail together would both be the last that may go.
        let time = self.gate.with(|domain, now| {
            let beside = self.beside(backend);
            let out = beside.iter().filter(|one| one.is_left_out(now)).count() as u32;
            if backend.is_left_out(now) || !outliers.may_leave_out(out, beside.len() as u32) {
                return None;
            }
            let time = backend.leave_out(outliers, now);
            self.count(domain, now);
            Some(time)
        });
        self.metrics.left_out(why, time.is_some());
        let name = &backend.settings.name;
        match time {
            Some(time) => tracing::warn!(backend = name, why = why.name(), ?time, "a backend answers badly: left out"),
            None => tracing::debug!(backend = name, why = why.name(), "it answers badly, but no more may be left out"),
        }
    }

    /// Compare answers, and let time have its effect, for ever.
    pub(super) async fn keep_comparing(self: Arc<Self>) {
        let mut compared = self.clock.now();
        loop {
            sleep(LOOK_EVERY).await;
            self.look(&mut compared, self.clock.now());
        }
    }

    /// Let time have its effect, and compare answers if that is due.
    pub(super) fn look(&self, compared: &mut Timestamp, now: Timestamp) {
        if self.backends().iter().any(|backend| backend.is_in_motion()) {
            self.tell();
        }
        if let Some(outliers) = &self.settings.outliers
            && now.since(*compared) >= outliers.interval
        {
            *compared = now;
            self.compare(now);
        }
    }

    fn compare(&self, now: Timestamp) {
        let (Some(outliers), backends) = (&self.settings.outliers, self.backends()) else { return };
        let heard: Vec<Heard> = backends.iter().map(|backend| backend.take_heard()).collect();
        for (backend, own) in backends.iter().zip(&heard) {
            let own = *own;
            let beside = backends.iter().zip(&heard).filter(|(other, _)| other.priority() == backend.priority());
            let all = beside.map(|(_, heard)| *heard).fold(Heard::default(), sum);
            if outliers.falls_behind(own, all) {
                self.leave_out(backend, LeftOut::Behind);
            } else {
                backend.forgive(now);
            }
        }
    }
}

fn sum(all: Heard, one: Heard) -> Heard {
    Heard { answers: all.answers + one.answers, errors: all.errors + one.errors }
}
