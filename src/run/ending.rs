//! The end of a proxy: going down, or making way for the process that follows.
//!
//! Going down, readiness is off first, and everybody is still let in for `[listen] notice`, so that a balancer sees it. Then
//! the sockets close behind those who wait in them, who waits for a turn is told to go elsewhere, and those who are connected
//! are told one after the other over `spread`. Making way, nobody who waits is told anything: they are served in their turn.

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::Running;
use crate::admin::control::Control;
use crate::handover::{NoOrders, Predecessor, Program, Successor};
use crate::proxy::settings::ListenSettings;
use crate::proxy::workers::Leaving;

/// How long the journal may take over its last lines: a process that does not end keeps its successor waiting.
const LAST_ORDERS: Duration = Duration::from_secs(10);

/// Makes the end of a proxy come sooner.
pub struct Hurry {
    /// The journal is waited for until nobody holds this.
    control: Weak<Control>,
    workers: watch::Sender<Option<Leaving>>,
    drain: Duration,
}

/// The process that takes requests instead of this one.
pub struct Followed {
    /// It.
    pub by: Successor,
    /// What is ordered is ordered of it.
    no_orders: NoOrders,
}

/// How this process ends, when another takes requests.
pub struct Way {
    /// Whether clients' and operators' sockets are the other's.
    handed_over: (bool, bool),
    _no_orders: NoOrders,
}

impl Followed {
    /// It, and how to make way for it.
    pub fn split(self) -> (Successor, Way) {
        let handed_over = (self.by.clients, self.by.admin);
        (self.by, Way { handed_over, _no_orders: self.no_orders })
    }
}

impl Running {
    /// Go down: not ready any more, those who wait are told, what is in flight finishes within `[listen] drain`.
    pub fn stop(self) {
        self.control.set_ready(false);
        let ListenSettings { notice, spread, drain, .. } = self.control.shared().settings.listen;
        std::thread::sleep(notice);
        self.hurry().shut_down();
        // An upgrade that was broken off may have given it away.
        self.control.journal.take_back_unseen();
        self.control.journal_knees();
        self.end(Leaving { handed_over: false, spread, deadline: Instant::now() + drain });
    }

    /// Make way for a process that takes requests: those who wait are served in their turn, and everybody is told to leave
    /// for it.
    pub fn make_way(self, way: Way) {
        let ListenSettings { spread, upgrade, .. } = self.control.shared().settings.listen;
        let (handed_over, office) = way.handed_over;
        self.control.journal.leave();
        let _ = self.door.send(office);
        self.end(Leaving { handed_over, spread, deadline: Instant::now() + upgrade.drain });
    }

    /// Pass what is ordered on to the process before this one, as long as there is one. Until then nothing can be ordered.
    pub async fn follow(&mut self, predecessor: Option<Predecessor>) {
        if let Some(predecessor) = predecessor
            && let Err(error) = self.control.handover.follow(predecessor).await
        {
            tracing::warn!(%error, "the process before this one has ended already");
        }
        self.no_orders = None;
    }

    /// What makes the end come sooner.
    pub fn hurry(&self) -> Hurry {
        let drain = self.control.shared().settings.listen.drain;
        Hurry { control: Arc::downgrade(&self.control), workers: self.workers.door(), drain }
    }

    /// Have another process made of `program` that takes requests instead of this one. Until it does, and when it does not,
    /// all is as it was.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn be_followed(&self, program: &Program) -> Result<Followed, String> {
        let within = self.control.shared().settings.listen.upgrade.ready_within;
        let deadline = Instant::now() + within;
        let late = || format!("the new process was not ready within {within:?} ([upgrade] ready_within)");
        let mut trial = program.start(&self.sockets)?;
        timeout_at(deadline, trial.sound()).await.unwrap_or_else(|_| Err(late()))?;
        let no_orders = timeout_at(deadline, self.control.handover.no_orders()).await;
        let no_orders = no_orders.map_err(|_| "an order that is being carried out does not end".to_owned())?;
        self.give_journal().await?;
        match timeout_at(deadline, trial.go(self.control.shared().keys())).await.unwrap_or_else(|_| Err(late())) {
            Ok(by) => Ok(Followed { by, no_orders }),
            Err(why) => Err(self.take_journal_back(why).await),
        }
    }

    /// Its last word is written first.
    async fn give_journal(&self) -> Result<(), String> {
        self.control.journal_knees();
        let given = self.control.journal.give_away().await;
        given.map_err(|error| format!("the journal cannot be handed over: {error}"))
    }

    async fn take_journal_back(&self, why: String) -> String {
        match self.control.journal.take_back().await {
            Ok(()) => why,
            Err(error) => format!(
                "{why}; and the journal cannot be written any more ({error}), so a restart will forget what is ordered from \
                 now on: restart this proxy when it suits you"
            ),
        }
    }

    fn end(self, leaving: Leaving) {
        // Or those who come would wait in them for nobody.
        drop(self.sockets);
        let _ = self.workers.door().send(Some(leaving));
        self.workers.join();
        self.control.handover.farewell();
        let _ = self.stop.send(true);
        let _ = self.office.join();
        let replaced = self.control.reloading.take_replaced();
        // Gates and the control hold the journal; its thread ends with the last of them.
        drop(self.control);
        if let Some(journal) = self.journal
            && !ends_within(journal, LAST_ORDERS)
        {
            tracing::error!("the journal's thread has not ended: what was ordered last may not be on the disk");
        }
        for writing in self.writing.into_iter().chain(replaced) {
            writing.wait();
        }
    }
}

/// Whether a thread ends in time.
fn ends_within(thread: JoinHandle<()>, most: Duration) -> bool {
    let begun = Instant::now();
    while !thread.is_finished() && begun.elapsed() < most {
        std::thread::sleep(Duration::from_millis(5));
    }
    thread.is_finished() && thread.join().is_ok()
}

impl Hurry {
    /// Who waits for a turn is told that there is none any more, and what is in flight has `[listen] drain` at most.
    pub fn shut_down(&self) {
        let Some(control) = self.control.upgrade() else { return };
        for gate in &control.shared().gates {
            gate.with(|domain, now| domain.shut_down(now));
        }
        let latest = Instant::now() + self.drain;
        let sooner = |leaving: &mut Leaving| leaving.deadline = leaving.deadline.min(latest);
        self.workers.send_modify(|leaving| leaving.iter_mut().for_each(sooner));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_thread_that_does_not_end_is_not_waited_for_for_ever() {
        let (end, ended) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || assert!(ended.recv().is_err()));
        assert!(!ends_within(thread, Duration::from_millis(50)));
        drop(end);
        assert!(ends_within(std::thread::spawn(|| {}), Duration::from_secs(30)));
    }
}
