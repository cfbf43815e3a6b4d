//! The boards in `dashboards/`: by the rules, and every query against a real Prometheus that scrapes a real proxy.

use std::collections::BTreeSet;

use sluss::telemetry::names;

#[path = "dashboards/board.rs"]
mod board;
#[path = "dashboards/rules.rs"]
mod rules;
#[path = "dashboards/processes.rs"]
mod processes;
#[path = "dashboards/scene.rs"]
mod scene;
#[path = "dashboards/queries.rs"]
mod queries;

/// Metrics that no board shows, and why.
const NOT_SHOWN: &[(&str, &str)] = &[
    (
        "sluss_proxy_accept_failures_total",
        "for an alert: nothing but an outage moves it, and the descriptors in use show that coming",
    ),
    (
        "sluss_admission_limit_source",
        "a word and no curve: `sluss status` says it beside the limit that the board shows",
    ),
    ("sluss_admission_passes", "for whoever asks how many are on their way; the board of the waiting line follows"),
    ("sluss_admission_promised_turns", "as the passes"),
    ("sluss_proxy_connections_dormant", "for whoever asks where the memory of idle connections has gone"),
    ("sluss_proxy_worker_connections", "for whoever asks why one core is busier than the other"),
    ("sluss_upstream_retries_total", "for whoever asks why a pool is given more than it is asked for"),
    (
        "sluss_upstream_streams_without_seat",
        "held against `[product.streams] most`; nothing in the scene that is played",
    ),
    ("sluss_upstream_stream_seats_kept_total", "for an alert: streams eat the limit from there on"),
    ("sluss_upstream_tls_failures_total", "for an alert; nothing in the clear, as in the scene that is played here"),
    ("sluss_upstream_retries_withheld_total", "for an alert: its pool has lost its backends, which the board shows"),
    ("sluss_proxy_upgrades_failed_total", "for an alert: whoever asked was told, and the alarm is on the board"),
    ("sluss_once_duplicates_total", "for support: how often customers ask again, and what they hear"),
    ("sluss_once_bets", "for an alert, held against `[once] bets`"),
    ("sluss_once_unknown_bets", "for an alert: every one of them is somebody's bet to be looked up"),
    ("sluss_once_answer_bytes", "for an alert, held against `[once] memory`"),
    ("sluss_once_forgotten_total", "for an alert: a bet in it would be placed twice if it is asked for again"),
    (
        "sluss_proxy_bodies_unread_total",
        "for whoever sets up `[event] from`, and for an alert: nothing but a site that changes its bodies moves it",
    ),
    ("sluss_proxy_reads_total", "nothing where no class has a cache, as in the scene that is played here"),
    ("sluss_proxy_cache_bytes", "as the reads"),
    ("sluss_proxy_cache_limit_bytes", "as the reads"),
    (
        "sluss_admission_share_per_cent",
        "nothing where no product has several sites, as in the scene that is played here",
    ),
    ("sluss_admission_shift_state", "as the share"),
    ("sluss_admission_shift_steps_total", "as the share"),
    ("sluss_admission_hints_total", "for whoever sets up hints and asks why none is taken: few have any"),
    (
        "sluss_proxy_preflights_total",
        "for whoever sets up [cors] and asks whether it answers: it costs and refuses nothing",
    ),
    (
        "sluss_proxy_access_log_lines_total",
        "for an alert: lines without room; nothing where no log is kept, as in the scene that is played here",
    ),
    ("sluss_proxy_tls_handshakes_total", "nothing without TLS, as in the scene that is played here"),
    (
        "sluss_proxy_certificate_changes_total",
        "for whoever renews certificates: the log and an alarm say which file is wrong",
    ),
    ("sluss_proxy_certificate_end_time_seconds", "for an alert, two weeks ahead"),
    ("sluss_upstream_backend_state", "the board shows who is set aside; `sluss status` and this say why"),
    ("sluss_upstream_backend_weight", "for whoever has weighed backends: it changes by order only"),
    ("sluss_upstream_backend_priority", "as configured or ordered; `sluss status` shows it"),
    ("sluss_upstream_failover_per_cent", "for an alert: nothing where no pool has priorities, as in the scene"),
    ("sluss_upstream_checks_total", "nothing where no pool is checked, as in the scene that is played here"),
    ("sluss_upstream_ejections_total", "nothing where no pool has outliers, as in the scene; who is out is set aside"),
    ("sluss_upstream_ejections_withheld_total", "as the ejections: for whoever chooses how many may be"),
    ("sluss_upstream_panic", "as the ejections"),
    ("sluss_upstream_lookups_total", "nothing where no backend has a name, as in the scene that is played here"),
    ("sluss_proxy_tokens_total", "for whoever sets up keys and asks why tokens do not count: few have any"),
    ("sluss_proxy_sessions_bound_total", "for whoever sets up sessions and asks why none is bound"),
    ("sluss_proxy_sessions", "for whoever chooses how many are kept"),
    ("sluss_proxy_customers_learnt_total", "for whoever sets up sessions and asks whether logins tell who it is"),
    ("sluss_proxy_machine_arrivals_total", "for whoever talks with the machine's owner: few have any"),
    ("sluss_proxy_machine_refusals_total", "for whoever talks with the machine's owner: few have any"),
];

#[test]
fn boards_keep_the_rules() {
    let wrong: Vec<String> = board::all().iter().flat_map(rules::broken).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_metric_is_shown() {
    let boards = board::all();
    let queries = boards.iter().flat_map(board::Board::queries);
    let shown: BTreeSet<&str> = queries.flat_map(|query| rules::metrics_of(&query.expression)).collect();
    for metric in names::ALL {
        let excused = NOT_SHOWN.iter().any(|(name, _)| *name == metric.name);
        assert_ne!(shown.contains(metric.name), excused, "{} is shown, or in NOT_SHOWN with a reason", metric.name);
    }
}

#[test]
fn rules_find_what_breaks_them() {
    let all = r#"job=~"$job", instance=~"$instance""#;
    let product = format!(r#"{all}, product=~"$product""#);
    let sound = format!("sum(rate(sluss_proxy_arrivals_total{{{product}}}[$__rate_interval]))");
    assert_eq!(rules::broken_in(&sound), Vec::<String>::new());
    for unsound in [
        sound.replace("arrivals", "rivals"),
        sound.replace("$__rate_interval", "5m"),
        sound.replace("rate(", "avg_over_time("),
        sound.replace(r#"job=~"$job", "#, ""),
        sound.replace(r#", product=~"$product""#, ""),
        format!("sum(sluss_proxy_arrivals_total{{{product}}})"),
        format!("rate(sluss_proxy_connections{{{all}}}[$__rate_interval])"),
        format!("sum(sluss_admission_queue_seconds{{{product}}})"),
        "up".to_owned(),
    ] {
        assert_ne!(rules::broken_in(&unsound), Vec::<String>::new(), "{unsound}");
    }
}

#[test]
fn every_query_has_data_in_a_real_prometheus() {
    let scene = scene::Scene::start();
    scene.play();
    let boards = board::all();
    queries::until_all_have_data(&scene.prometheus, &boards);
}
