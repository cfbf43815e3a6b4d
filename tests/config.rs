//! The configuration from outside: what a bad file is told, what the examples mean, and that the
//! reference tells the truth.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use sluss::config::{self, Config, ConfigError, Resolver, Surroundings};

#[path = "config/bad.rs"]
mod bad;
#[path = "config/files.rs"]
mod files;
#[path = "config/meaning.rs"]
mod meaning;
#[path = "config/reference.rs"]
mod reference;

/// A made-up machine: four cores, a few files, a resolver that knows four names.
#[derive(Clone, Debug, Default)]
struct MadeUp {
    files: BTreeMap<PathBuf, Vec<u8>>,
    state_directory: Option<PathBuf>,
}

impl MadeUp {
    fn with(mut self, path: &str, text: impl AsRef<[u8]>) -> MadeUp {
        self.files.insert(PathBuf::from(path), text.as_ref().to_vec());
        self
    }
}

impl Surroundings for MadeUp {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.get(path).cloned().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn resolver(&self) -> Resolver {
        Resolver::new(|host| {
            let known: &[(&str, &[[u8; 4]])] = &[
                ("localhost", &[[127, 0, 0, 1]]),
                ("horse.internal", &[[10, 1, 0, 1]]),
                ("horse-.internal", &[[10, 1, 0, 9]]),
                ("sport.internal", &[[10, 1, 0, 2]]),
                ("three.internal", &[[10, 1, 0, 3], [10, 1, 0, 4], [10, 1, 0, 5]]),
            ];
            let found = known.iter().find(|(name, _)| *name == host);
            let found = found.ok_or_else(|| io::Error::other("no such host"))?;
            Ok(found.1.iter().map(|ip| IpAddr::from(*ip)).collect())
        })
    }

    fn state_directory(&self) -> Option<PathBuf> {
        self.state_directory.clone()
    }

    fn cores(&self) -> NonZeroU32 {
        NonZeroU32::new(4).unwrap()
    }

    fn memory(&self) -> u64 {
        8 << 30
    }

    fn time_zone(&self, name: &str) -> Option<TimeZone> {
        (name == "Europe/Helsinki").then(|| TimeZone::posix("EET-2EEST,M3.5.0/3,M10.5.0/4").expect("a sound rule"))
    }
}

/// Check a text as if it were `demo.toml` on the made-up machine.
fn parse(text: &str, around: &MadeUp) -> Result<Config, ConfigError> {
    config::parse(text, Path::new("demo.toml"), around)
}

#[track_caller]
fn good(text: &str) -> Config {
    parse(text, &MadeUp::default()).unwrap_or_else(|error| panic!("{error}\n\nin\n{text}"))
}

/// A file of this repository.
fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text_of(path: &str) -> String {
    let path = in_repository(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
