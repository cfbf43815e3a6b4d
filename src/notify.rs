//! What a service manager hears (`sd_notify`), where one listens: `NOTIFY_SOCKET` is set.

use sd_notify::NotifyState;

/// Requests are taken.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("taking requests")]);
}

/// Requests are taken by this process from now on, which ours started; ours finishes what it has.
pub(crate) fn followed_by(process: u32) {
    tell(&[NotifyState::MainPid(process)]);
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
