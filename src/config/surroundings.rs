//! What a configuration depends on beyond its own text.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::error::Wrong;
use crate::proxy::names::Resolver;

/// Where a configuration is read: files beside it, a resolver, a machine.
pub trait Surroundings {
    /// The bytes of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// What finds the addresses of hosts, now and while the proxy runs.
    fn resolver(&self) -> Resolver;
    /// Where systemd lets the service keep its state, if it does.
    fn state_directory(&self) -> Option<PathBuf>;
    /// How many cores this process may use.
    fn cores(&self) -> NonZeroU32;
    /// How many bytes of memory this process may use; much where nobody says.
    fn memory(&self) -> u64;
    /// The time zone of this name, if it is known.
    fn time_zone(&self, name: &str) -> Option<TimeZone>;
}

/// The machine this runs on.
#[derive(Clone, Copy, Debug)]
pub struct ThisMachine;

/// Larger is no configuration: somebody named a log, or `/dev/zero`.
const MOST_BYTES: u64 = 1 << 20;

impl Surroundings for ThisMachine {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MOST_BYTES { Err(ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }

    fn resolver(&self) -> Resolver {
        Resolver::of_this_machine()
    }

    fn state_directory(&self) -> Option<PathBuf> {
        // systemd separates several directories by colons; the first is the service's own.
        let directories = std::env::var("STATE_DIRECTORY").ok()?;
        directories.split(':').next().filter(|first| !first.is_empty()).map(PathBuf::from)
    }

    fn cores(&self) -> NonZeroU32 {
        let cores = std::thread::available_parallelism().ok().and_then(|cores| u32::try_from(cores.get()).ok());
        cores.and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
    }

    fn memory(&self) -> u64 {
        // A container's bound, if there is one, and the machine's memory.
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let container = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse().ok());
        let machine = read("/proc/meminfo").and_then(|text| {
            let kib = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
            kib.trim().trim_end_matches("kB").trim().parse::<u64>().ok()?.checked_mul(1024)
        });
        container.into_iter().chain(machine).min().unwrap_or(UNKNOWN_MEMORY)
    }

    fn time_zone(&self, name: &str) -> Option<TimeZone> {
        TimeZone::get(name).ok()
    }
}

/// What is taken for the machine's memory where it does not say.
const UNKNOWN_MEMORY: u64 = 2 << 30;

/// A file as text, or why it cannot be used, in words that follow the file's name.
pub(crate) fn read_text(around: &dyn Surroundings, path: &Path) -> Result<String, Wrong> {
    let bytes = around.read(path).map_err(|error| unreadable(path, &error))?;
    String::from_utf8(bytes).map_err(|error| not_utf8(error.as_bytes(), error.utf8_error().valid_up_to()))
}

fn unreadable(path: &Path, error: &io::Error) -> Wrong {
    let shown = path.display();
    match error.kind() {
        ErrorKind::NotFound => Wrong::new("there is no such file", format!("check the path: `ls -l {shown}`")),
        ErrorKind::IsADirectory => Wrong::new("this is a directory, not a file", "name the file in it"),
        ErrorKind::PermissionDenied => Wrong::new(
            "the user that sluss runs as may not read it",
            format!("give that user leave to read it, and to enter every directory above: `namei -l {shown}`"),
        ),
        ErrorKind::FileTooLarge => Wrong::new("this is larger than 1 MiB, so it is no configuration", "check the path"),
        _ => Wrong::new(format!("it cannot be read: {error}"), format!("try `cat {shown}`")),
    }
}

fn not_utf8(bytes: &[u8], valid: usize) -> Wrong {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Wrong::new("the text is UTF-16", "save it as UTF-8");
    }
    let line = 1 + bytes[..valid].iter().filter(|byte| **byte == b'\n').count();
    let byte = bytes.get(valid).copied().unwrap_or_default();
    Wrong::new(
        format!("line {line} is not UTF-8 (byte 0x{byte:02x})"),
        "save it as UTF-8; an editor set to Latin-1 writes å, ä and ö like this",
    )
}
