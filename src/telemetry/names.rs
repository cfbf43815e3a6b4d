//! Every metric, its kind, its labels and what it tells. Code and dashboards know no other names.
//!
//! `sluss_<room>_<what>_<unit>`; counters end in `_total`. Labels are enums or configured names, never
//! customers or paths.

/// What kind of series a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets.
    Histogram,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it tells, in one sentence.
    pub tells: &'static str,
}

macro_rules! table {
    ($($id:ident = $name:literal, $kind:ident, [$($label:literal),*], $tells:literal;)*) => {
        $(#[doc = $tells] pub const $id: Metric =
            Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], tells: $tells };)*
        /// Every metric there is.
        pub const ALL: &[Metric] = &[$($id),*];
    };
}

table! {
    ARRIVALS = "sluss_proxy_arrivals_total", Counter, ["product", "class"],
        "Requests that asked to pass.";
    FAULTS = "sluss_proxy_faults_total", Counter, ["fault"],
        "Requests answered with an error that is not a refusal, by whose fault and where.";
    PREFLIGHTS = "sluss_proxy_preflights_total", Counter, [],
        "Browsers that asked what a script of another origin may do, and were answered here.";
    BODIES_UNREAD = "sluss_proxy_bodies_unread_total", Counter, ["product", "wanted", "reason"],
        "Bodies that did not say which event they are for, or what they cost, by reason; the backend judges them.";
    CONNECTIONS = "sluss_proxy_connections", Gauge, [],
        "Client connections open now.";
    CONNECTIONS_DORMANT = "sluss_proxy_connections_dormant", Gauge, [],
        "Of these, those that rest and hold next to no memory.";
    WORKER_CONNECTIONS = "sluss_proxy_worker_connections", Gauge, ["worker"],
        "Client connections that each worker serves.";
    CONNECTIONS_ACCEPTED = "sluss_proxy_connections_accepted_total", Counter, [],
        "Client connections accepted.";
    CONNECTIONS_CLOSED = "sluss_proxy_connections_closed_total", Counter, ["reason"],
        "Client connections that we closed before the client did, by reason.";
    TLS_HANDSHAKES = "sluss_proxy_tls_handshakes_total", Counter, ["outcome"],
        "TLS handshakes: full, resumed with a ticket, or failed.";
    CERTIFICATES = "sluss_proxy_certificate_changes_total", Counter, ["change"],
        "Changed certificate files: reloaded, or rejected for a mistake.";
    CERTIFICATE_END = "sluss_proxy_certificate_end_time_seconds", Gauge, [],
        "When the first certificate runs out, as a Unix time; absent without TLS (NaN).";
    CONNECTIONS_MOST = "sluss_proxy_connections_limit", Gauge, [],
        "Client connections that may be open: as configured, or as many as the file descriptors allow.";
    CANNOT_ACCEPT = "sluss_proxy_accept_failures_total", Counter, ["reason"],
        "Connections that could not be accepted, for want of descriptors or for another reason.";
    MEMORY = "sluss_proxy_memory_bytes", Gauge, [],
        "Memory held for connections and for bodies of those who wait, as it is accounted for.";
    MEMORY_MOST = "sluss_proxy_memory_limit_bytes", Gauge, [],
        "Memory that may be held for them.";
    ACCESS_LOG_LINES = "sluss_proxy_access_log_lines_total", Counter, ["fate"],
        "Lines of the access log: written, dropped because the disk or pipe does not keep up (no_room), or not written for an error (failed).";
    TOKENS = "sluss_proxy_tokens_total", Counter, ["verdict"],
        "Signed tokens of customers: remembered, verified, or why they do not count.";
    SESSIONS_BOUND = "sluss_proxy_sessions_bound_total", Counter, [],
        "Sessions that the answer to a login has bound to a customer.";
    SESSIONS = "sluss_proxy_sessions", Gauge, [],
        "Sessions that are bound, as of the last that was.";
    LEARNT = "sluss_proxy_customers_learnt_total", Counter, ["product"],
        "Logins by which somebody who was known otherwise, or not at all, became a customer who is known.";
    MACHINE_ARRIVALS = "sluss_proxy_machine_arrivals_total", Counter, ["machine"],
        "Requests of a machine.";
    MACHINE_REFUSALS = "sluss_proxy_machine_refusals_total", Counter, ["machine", "refusal"],
        "Requests of a machine that were turned away, by name.";
    LAG_SECONDS = "sluss_proxy_lag_seconds", Histogram, ["worker"],
        "How late a worker comes to its own timer: everything else on it is late by as much.";
    READS = "sluss_proxy_reads_total", Counter, ["product", "answer"],
        "Reads that memory may answer: fresh, stale, coalesced (with another's), miss (asked for all), refused (as the one that asked for all), bypass (went their own way).";
    CACHE = "sluss_proxy_cache_bytes", Gauge, [],
        "Bytes of answers kept in memory.";
    CACHE_MOST = "sluss_proxy_cache_limit_bytes", Gauge, [],
        "Bytes of answers that may be kept.";
    VERDICTS = "sluss_admission_verdicts_total", Counter, ["product", "class", "verdict"],
        "What admission said to an arrival: proceed, wait or refuse. In observe-only it was said to nobody.";
    REFUSALS = "sluss_admission_refusals_total", Counter, ["product", "class", "refusal"],
        "Requests turned away, at once or after waiting, by name.";
    WOULD_REFUSE = "sluss_admission_would_refuse_total", Counter, ["product", "class", "refusal"],
        "Requests that would have been turned away but went on, because nothing is refused in observe-only.";
    LEFT_QUEUE = "sluss_admission_left_queue_total", Counter, ["product", "class"],
        "Requests whose client hung up while they waited.";
    QUEUE_SECONDS = "sluss_admission_queue_seconds", Histogram, ["product", "class"],
        "How long those who had to wait did so until they passed; those who passed at once are not in it.";
    QUEUE_LENGTH = "sluss_admission_queue_length", Gauge, ["product", "class"],
        "Requests that wait now.";
    PASSES = "sluss_admission_passes", Gauge, ["product"],
        "Customers who have begun: their next steps go before those who have not.";
    PROMISED_TURNS = "sluss_admission_promised_turns", Gauge, ["product"],
        "Customers who have not begun and whose turn is kept: they wait, or were told when to come back.";
    IN_FLIGHT = "sluss_admission_in_flight_seats", Gauge, ["product"],
        "Seats that a product holds now under the limits.";
    RESERVE_IN_USE = "sluss_admission_reserve_seats", Gauge, ["product"],
        "Seats that protected and settling requests hold now of their reserve.";
    LIMIT = "sluss_admission_limit_seats", Gauge, ["resource", "kind"],
        "How many seats of a pool or budget may be in use now.";
    LIMIT_SOURCE = "sluss_admission_limit_source", Gauge, ["resource", "kind", "source"],
        "1 for who says what that limit is, 0 for the others: operator, hint (a backend said so lately) or found.";
    HINTS = "sluss_admission_hints_total", Counter, ["resource", "verdict"],
        "What backends said of a budget: taken, clamped to its range, unreadable, or ignored.";
    IN_USE = "sluss_admission_in_use_seats", Gauge, ["resource", "kind"],
        "How many seats of a pool or budget are in use now.";
    STATE = "sluss_admission_state", Gauge, ["product", "state"],
        "1 for the state that a product is in, 0 for the others.";
    RAMP = "sluss_admission_ramp_seats", Gauge, ["product"],
        "The ceiling on a product's seats while it ramps; absent otherwise (NaN).";
    SHARE = "sluss_admission_share_per_cent", Gauge, ["product", "site"],
        "Of what a product lets through, how much a site is to have; only where a product has several.";
    SHIFT = "sluss_admission_shift_state", Gauge, ["product", "site", "state"],
        "1 for what a shift of a share to this site waits for, 0 for the others; none is 1 while nothing moves.";
    SHIFT_STEPS = "sluss_admission_shift_steps_total", Counter, ["product", "site", "step"],
        "Steps of shifts to this site: forward, back, or by what it ended: arrived, stopped, taken_back, gave_up.";
    TRANSITIONS = "sluss_admission_transitions_total", Counter, ["product", "to"],
        "Moves from one state to another, by the state reached.";
    BYPASS = "sluss_admission_bypass", Gauge, [],
        "1 while everything but plain proxying is off.";
    OBSERVE_ONLY = "sluss_admission_observe_only", Gauge, [],
        "1 while everything is decided and measured and nothing refused.";
    SIGNALS = "sluss_admission_signals_total", Counter, ["verdict"],
        "Close signals for events: believed, implausible or unknown.";
    SCHEDULE_CHANGES = "sluss_schedule_changes_total", Counter, ["change"],
        "Changes to the schedule: events put in, moved or removed over the API, files reloaded, files rejected for a mistake.";
    CONFIG_RELOADS = "sluss_config_reloads_total", Counter, ["result"],
        "How often the configuration was read again: taken_up, or rejected for a mistake or for what takes a new process.";
    CONFIG_TIME = "sluss_config_taken_up_time_seconds", Gauge, [],
        "When the configuration that counts was taken up, as seconds since 1970: the start, or the last reload.";
    NEXT_STOP = "sluss_schedule_next_stop_seconds", Gauge, ["product"],
        "Time to the next betting stop of an open event of a product; absent when there is none (NaN).";
    UPGRADES_FAILED = "sluss_proxy_upgrades_failed_total", Counter, [],
        "Upgrades of the binary that came to nothing: this process went on. One that succeeds is another process.";
    ALARMS = "sluss_admission_alarms", Gauge, [],
        "Matters that a person should look at: events parked on an implausible signal, products without a backend, frozen ramps.";
    UPSTREAM_SECONDS = "sluss_upstream_answer_seconds", Histogram, ["pool"],
        "From the admission of a request to the head of its answer, connecting and sending included.";
    UPSTREAM_ANSWERS = "sluss_upstream_answers_total", Counter, ["pool", "status"],
        "Answers of backends by status class.";
    UPSTREAM_OPENED = "sluss_upstream_connections_opened_total", Counter, ["pool"],
        "Connections opened to backends.";
    UPSTREAM_CONNECT_FAILED = "sluss_upstream_connect_failures_total", Counter, ["pool"],
        "Connections that a backend did not accept.";
    UPSTREAM_BROKEN = "sluss_upstream_broken_total", Counter, ["pool"],
        "Answers that broke off, before or after they began.";
    UPSTREAM_TIMEOUTS = "sluss_upstream_timeouts_total", Counter, ["pool"],
        "Answers that did not begin in time.";
    UPSTREAM_OUTSTANDING = "sluss_upstream_outstanding", Gauge, ["backend"],
        "Requests under way at a backend now.";
    UPSTREAM_ASIDE = "sluss_upstream_set_aside", Gauge, ["backend"],
        "1 while a backend is not asked: it does not accept connections, fails its checks, is ejected for its answers, or is drained.";
    UPSTREAM_STATE = "sluss_upstream_backend_state", Gauge, ["backend", "state"],
        "1 for what a backend is, 0 for the rest: serving, starting (it gets its share by and by), standby (those of a lower priority number serve), refusing, failing_checks, ejected or drained.";
    UPSTREAM_WEIGHT = "sluss_upstream_backend_weight", Gauge, ["backend"],
        "The weight of a backend beside the others, as configured or ordered.";
    UPSTREAM_PRIORITY = "sluss_upstream_backend_priority", Gauge, ["backend"],
        "The priority of a backend: those of 0 serve, and those of the next number what is missing when too few are there.";
    UPSTREAM_FAILOVER = "sluss_upstream_failover_per_cent", Gauge, ["pool"],
        "What backends of another priority than the first serve, in per cent of what the pool serves now.";
    UPSTREAM_CHECKS = "sluss_upstream_checks_total", Counter, ["pool", "verdict"],
        "Health checks, passed or failed.";
    UPSTREAM_EJECTIONS = "sluss_upstream_ejections_total", Counter, ["pool", "reason"],
        "Backends ejected for their answers: consecutive (so many errors in a row) or behind (fewer good answers than the others).";
    UPSTREAM_EJECTIONS_WITHHELD = "sluss_upstream_ejections_withheld_total", Counter, ["pool"],
        "Backends that would have been ejected had not as many been as may be.";
    UPSTREAM_LOOKUPS = "sluss_upstream_lookups_total", Counter, ["pool", "verdict"],
        "Lookups of the names of backends: same, changed, or failed (the last known addresses stay).";
    UPSTREAM_PANIC = "sluss_upstream_panic", Gauge, ["pool"],
        "1 while so few backends of a pool are there that those ejected for their answers are used all the same.";
    UPSTREAM_RETRIES = "sluss_upstream_retries_total", Counter, ["pool"],
        "Further connections tried for requests that were never sent.";
    UPSTREAM_RETRIES_WITHHELD = "sluss_upstream_retries_withheld_total", Counter, ["pool"],
        "Requests that were never sent and not tried again, because the retry budget was used up.";
    UPSTREAM_SEATLESS = "sluss_upstream_streams_without_seat", Gauge, ["pool"],
        "Streams (tunnels, and bodies without an end in sight) that have given their seats back and go on.";
    UPSTREAM_KEPT_SEATS = "sluss_upstream_stream_seats_kept_total", Counter, ["pool"],
        "Times that a stream kept its seat for a while longer, because as many go on without one as may.";
    UPSTREAM_TLS_FAILURES = "sluss_upstream_tls_failures_total", Counter, ["pool", "reason"],
        "Handshakes with backends that failed: unknown_issuer, wrong_name, expired, not_yet_valid, bad_certificate, turned_away, no_tls, no_http2 or broke_off.";
    ONCE_DUPLICATES = "sluss_once_duplicates_total", Counter, ["product", "verdict"],
        "Requests with the idempotency key of an earlier one: in_flight (it waits for the same answer), answered, unknown, or reused for another request.";
    ONCE_BETS = "sluss_once_bets", Gauge, [],
        "Requests with an idempotency key that are known now, in flight or kept.";
    ONCE_UNKNOWN = "sluss_once_unknown_bets", Gauge, [],
        "Those of them that were sent and whose answer was lost: they keep their room.";
    ONCE_BYTES = "sluss_once_answer_bytes", Gauge, [],
        "Memory held for their answers.";
    ONCE_FORGOTTEN = "sluss_once_forgotten_total", Counter, ["what"],
        "What made room before its time: an answer (who asks again hears that there was one), or a bet (it would be sent again).";
    BUILD = "sluss_build_info", Gauge, ["version"],
        "Always 1; the version is in the label.";
    RESIDENT = "process_resident_memory_bytes", Gauge, [],
        "Memory the proxy holds.";
    OPEN_FDS = "process_open_fds", Gauge, [],
        "File descriptors the proxy holds.";
    MAX_FDS = "process_max_fds", Gauge, [],
        "File descriptors the proxy may hold.";
    CPU_SECONDS = "process_cpu_seconds_total", Counter, [],
        "Processor time the proxy has used, in whole seconds.";
    START_TIME = "process_start_time_seconds", Gauge, [],
        "When the proxy started, as a Unix time.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_convention_and_stand_once() {
        for metric in ALL {
            let ours = metric.name.starts_with("sluss_") || metric.name.starts_with("process_");
            assert!(ours, "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            assert_eq!(ALL.iter().filter(|other| other.name == metric.name).count(), 1, "{}", metric.name);
        }
    }
}
