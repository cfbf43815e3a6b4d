//! Files that people write, with nothing beside them but a few keys, tokens and names that are known.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::config::{self, ConfigError, Resolver, Surroundings};
use crate::sim::scenario;

/// A machine on which every file of these names is what it must be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Still;

/// The secret of tokens and machines.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
const ED25519: &str = include_str!("../../tests/keys/ed25519.pem");
const CHAIN: &str = include_str!("../../tests/keys/server.pem");
const KEY: &str = include_str!("../../tests/keys/server.key");
const SCHEDULE: &str = "[[event]]\nid = \"v75-1\"\nproduct = \"horse\"\nstop = 2024-08-24T16:20:00+02:00\n";

impl Surroundings for Still {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let text = match path.extension().and_then(|end| end.to_str()) {
            Some("token") => SECRET,
            Some("pub") => ED25519,
            Some("pem") => CHAIN,
            Some("key") => KEY,
            Some("toml") => SCHEDULE,
            _ => return Err(ErrorKind::NotFound.into()),
        };
        Ok(text.as_bytes().to_vec())
    }

    fn resolver(&self) -> Resolver {
        Resolver::new(|host| match host.ends_with(".example") {
            true => Ok(vec![IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))]),
            false => Err(ErrorKind::NotFound.into()),
        })
    }

    fn state_directory(&self) -> Option<PathBuf> {
        None
    }

    fn cores(&self) -> NonZeroU32 {
        NonZeroU32::MIN
    }

    fn memory(&self) -> u64 {
        1 << 30
    }

    fn time_zone(&self, name: &str) -> Option<TimeZone> {
        (name == "UTC").then_some(TimeZone::UTC)
    }
}

/// A configuration.
pub fn config(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match config::parse(text, Path::new("sluss.toml"), &Still) {
        Ok(config) => assert!(!config.proxy.products.is_empty(), "a proxy for nothing"),
        Err(error) => told(&error, text),
    }
}

/// A schedule of betting stops.
pub fn schedule(data: &[u8]) {
    /// The file and nothing else.
    struct Beside<'a>(&'a [u8]);
    impl Surroundings for Beside<'_> {
        fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
            Ok(self.0.to_vec())
        }
        fn resolver(&self) -> Resolver {
            Still.resolver()
        }
        fn state_directory(&self) -> Option<PathBuf> {
            None
        }
        fn cores(&self) -> NonZeroU32 {
            Still.cores()
        }
        fn memory(&self) -> u64 {
            Still.memory()
        }
        fn time_zone(&self, name: &str) -> Option<TimeZone> {
            Still.time_zone(name)
        }
    }
    let read = config::schedule::reread(Path::new("s.toml"), &["horse", "sport"], Duration::ZERO, &Beside(data));
    match (read, str::from_utf8(data)) {
        (Ok(events), _) => {
            config::schedule::doubts(&events, jiff::Timestamp::UNIX_EPOCH);
            assert!(events.iter().all(|event| event.product < 2), "a product that is not there");
        }
        (Err(error), Ok(text)) => told(&error, text),
        (Err(_), Err(_)) => {}
    }
}

/// A story to rehearse.
pub fn scenario(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Err(error) = scenario::parse(text, Path::new("story.toml")) {
        told(&error, text);
    }
}

/// What is wrong is told at a line that is there, with a word on what to write instead.
fn told(error: &ConfigError, text: &str) {
    assert!(!error.problems().is_empty(), "wrong, and nothing is");
    let lines = text.lines().count() + 1;
    for problem in error.problems() {
        assert!(problem.line() <= lines, "line {} of {problem:?}", problem.line());
        assert!(!problem.what().is_empty() && !problem.help().is_empty(), "{problem:?}");
    }
    // Written for a terminal: a file must not be able to write elsewhere on it.
    let shown = error.to_string();
    assert!(!shown.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{shown:?}");
}
