//! What a backend is to those who look.

/// Why a backend is asked, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It has its whole share.
    Serving,
    /// It has come (back) and gets more by and by.
    Starting,
    /// It is well, and others serve: those of a lower priority number.
    Standby,
    /// It does not accept connections.
    Refusing,
    /// It fails its checks.
    FailingChecks,
    /// It answered worse than the others.
    LeftOut,
    /// A person has taken it out of use.
    Drained,
}

impl Presence {
    /// All of them.
    pub(crate) const ALL: [Presence; 7] = [
        Presence::Serving,
        Presence::Starting,
        Presence::Standby,
        Presence::Refusing,
        Presence::FailingChecks,
        Presence::LeftOut,
        Presence::Drained,
    ];

    /// In metrics and status.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Presence::Serving => "serving",
            Presence::Starting => "starting",
            Presence::Standby => "standby",
            Presence::Refusing => "refusing",
            Presence::FailingChecks => "failing_checks",
            Presence::LeftOut => "ejected",
            Presence::Drained => "drained",
        }
    }

    /// Whether it is asked, or would be if its level were.
    pub(crate) const fn is_there(self) -> bool {
        matches!(self, Presence::Serving | Presence::Starting | Presence::Standby)
    }
}
