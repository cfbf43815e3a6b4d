//! What a service manager hears (`sd_notify`), where one listens: `NOTIFY_SOCKET` is set.

use std::time::Duration;

use sd_notify::NotifyState;

/// Requests are taken.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("taking requests")]);
}

/// Requests are taken by this process from now on, which ours started; ours finishes what it has.
pub(crate) fn followed_by(process: u32) {
    tell(&[NotifyState::MainPid(process)]);
}

/// The configuration is being read again (`Type=notify-reload` waits for this, and then for [`ready`]).
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now, NotifyState::Status("reading the configuration again")]),
        Err(error) => tracing::warn!(%error, "cannot tell the service manager when the configuration is read"),
    }
}

/// The configuration was read again, and counts, or nothing was changed: requests are taken either way.
pub(crate) fn reloaded(taken_up: bool) {
    let status = if taken_up {
        "taking requests"
    } else {
        "taking requests; the configuration cannot be taken up (sluss status)"
    };
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// How often a service manager that watches us wants to hear [`alive`]; nothing where none does.
pub(crate) fn watched() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// The thread that operators talk to goes on.
pub(crate) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// Going down.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("finishing what is in flight")]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
}
