//! The whole proxy in this process, between scripted backends and raw clients.
#![allow(unreachable_pub, reason = "what one module of a test offers, others of the same test use")]

use std::time::{Duration, Instant};

mod wire;
mod client;
mod backend;
mod proxy;

mod certificates;
mod http2_client;
mod http2_backend;
mod requests;
mod answers;
mod browsers;
mod bodies;
mod connections;
mod smuggling;
mod bounds;
mod strain;
mod slow_clients;
mod dormant;
mod spread;
mod tls;
mod http2;
mod http2_abuse;
mod grpc;
mod proxy_protocol;
mod leaving;
mod backend_faults;
mod balance;
mod homes;
mod priorities;
mod health;
mod outliers;
mod members;
mod names;
mod shift;
mod outage;
mod hints;
mod broken_answers;
mod fault_table;
mod bets;
mod kept_bets;
mod lost_bets;
mod retries;
mod passes;
mod one_customer;
mod queue;
mod handover;
mod classes;
mod identity;
mod orders;
mod observe;
mod signals;
mod events;
mod schedule;
mod reads;
mod admin;
mod journal;
mod drain;
mod upgrades;
mod streams;
mod backend_tls;
mod backend_http2;
mod backend_http2_faults;
mod access_log;
mod access_log_http2;
mod trace;
mod neighbours;
mod reload;
mod together;

/// Wait for something that happens soon; only what hangs takes long.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + wire::GUARD;
    while !holds() {
        assert!(Instant::now() < end, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
