//! What parts of the proxy promise each for itself holds where they meet.

use std::net::SocketAddr;

use serde_json::Value;

use super::access_log::Log;
use super::backend::{Backend, OK};
use super::http2_client::{Asked, Http2};
use super::until;

const ERROR: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";

/// Says of itself that it is well, and answers customers with this.
fn saying(answer: &'static str) -> Backend {
    Backend::new(move |connection| {
        while let Some(request) = connection.request()? {
            connection.say(if request.start().contains("/health") { OK } else { answer })?;
        }
        Ok(())
    })
}

/// Ask for this twelve times at once on one connection. How many were answered with an error.
fn rush(client: &mut Http2, path: &str) -> usize {
    let asked: Vec<Asked> = (0..12).map(|_| client.get(path)).collect();
    asked.into_iter().map(Asked::answer).filter(|answer| answer.status() >= 500).count()
}

#[test]
fn the_log_shows_of_requests_over_http_2_which_backend_they_met_and_when_it_was_left_out() {
    let (log, backends) = (Log::new(), [saying(ERROR), saying(OK), saying(OK)]);
    let addresses: Vec<SocketAddr> = backends.iter().map(|backend| backend.address).collect();
    let keys = "limit = 30\n[product.health]\npath = \"/health\"\ninterval = \"50ms\"\n\
                [product.outliers]\nconsecutive = 5\nfirst = \"1m\"";
    let proxy = log.setup("").product("horse-racing", "/horse/", &addresses, keys).start();
    let mut client = Http2::to(proxy.address());
    let (mut asked, mut errors) = (0, 0);
    until("it is ejected", || {
        (asked, errors) = (asked + 12, errors + rush(&mut client, "/horse/before"));
        proxy.status().backends[0].state == "ejected"
    });
    for _ in 0..5 {
        assert_eq!(rush(&mut client, "/horse/after"), 0);
    }
    until("all are checked", || backends.iter().all(|backend| said(backend, "/health") > 0));
    let names: Vec<String> = proxy.status().backends.into_iter().map(|backend| backend.name).collect();
    let lines = log.after(proxy);
    assert_eq!(lines.len(), asked + 60, "a line each, and none for a check");
    assert!(lines.iter().all(|line| line["protocol"] == "HTTP/2" && line["ended"] == "answered"), "{lines:#?}");
    for (backend, name) in backends.iter().zip(&names) {
        let of_it: Vec<&Value> = lines.iter().filter(|line| line["backend"] == name.as_str()).collect();
        assert_eq!(of_it.len(), said(backend, "/horse/"), "{name}");
        let failing = *name == names[0];
        assert!(of_it.iter().all(|line| (line["status"] == 500) == failing), "{of_it:#?}");
        assert!(!failing || of_it.iter().all(|line| line["path"] == "/horse/before"), "{of_it:#?}");
    }
    assert_eq!(said(&backends[0], "/horse/"), errors);
}

/// How often a backend was asked for something that begins so.
fn said(backend: &Backend, path: &str) -> usize {
    backend.requests().iter().filter(|request| request.start().contains(path)).count()
}
