//! Orders at the admin address, from the bytes of a request to what was done.

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use http::Request;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};

use super::text::Still;
use crate::admin::control::Control;
use crate::admin::reload::{Kept, Reloading};
use crate::admin::server;
use crate::admin::wall::Wall;
use crate::config;
use crate::journal::{Journal, Memory};
use crate::proxy::fuzzing::{OPEN, head, made};
use crate::proxy::workers::Published;
use crate::run::Gates;
use crate::telemetry::export::Registry;

struct Office {
    runtime: Runtime,
    control: Arc<Control>,
    router: axum::Router,
}

impl Office {
    fn new() -> Office {
        let config = config::parse(OPEN, Path::new("sluss.toml"), &Still).expect("it can be read");
        let (registry, kept) = (Registry::new(), Kept::of(&config));
        let shared = Arc::new(made(config.proxy, &registry));
        // A wall clock that stands still, so that one input does one thing.
        let wall = Wall::showing(|| jiff::Timestamp::from_second(1_724_500_000).expect("it is a time"));
        let schedule = (config.schedule, &config.events[..]);
        // There is no file that it could read again, so nothing is ever published.
        let (log, _) = mpsc::unbounded_channel();
        let (taken_up, hears) = mpsc::unbounded_channel();
        let (publish, _) = watch::channel(Published { shared: shared.clone(), taken_up });
        let gates = Gates::new(shared.clock, Journal::off(), log, registry.clone());
        let reloading = Reloading::new(None, gates, (publish, hears), kept, &registry);
        let control = Control::new(shared, registry, Journal::off(), wall, schedule, &Memory::default(), reloading);
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        Office { runtime, router: server::router(control.clone()), control }
    }
}

thread_local! {
    static OFFICE: Office = Office::new();
}

/// A request at the admin address, in the words of HTTP.
pub fn admin(data: &[u8]) {
    let Some((parts, body)) = head(data) else { return };
    let request = Request::from_parts(parts, Body::from(body.to_vec()));
    OFFICE.with(|office| {
        let answer = office.runtime.block_on(TowerToHyperService::new(office.router.clone()).call(request));
        let status = answer.expect("an answer, whatever was asked").status();
        assert!(status.as_u16() < 500 || status.as_u16() == 503, "{status}");
        // Whatever was ordered, it can be told.
        assert_eq!(office.control.status().products.len(), 2);
    });
}
