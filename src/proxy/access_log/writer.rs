//! The thread that writes lines, and the pieces of paper that go to it and come back empty.
//!
//! There are so many pieces and no more. A worker that has filled one takes an empty one, and when none has come back,
//! because a disk is slow or a pipe is full, its lines are dropped and counted: nobody waits for a log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

use super::settings::Target;
use crate::telemetry::record::AccessLogMetrics;

/// Bytes of a piece of paper.
pub(super) const PIECE: usize = 64 << 10;
/// How often it is looked whether the file is still where it was.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the same trouble is told.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Lines of one worker.
pub(super) struct Piece {
    pub(super) worker: usize,
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
}

/// A worker's way to the writer and back.
pub(super) struct Ends {
    pub(super) to_writer: SyncSender<Piece>,
    pub(super) empty: Receiver<Vec<u8>>,
}

/// Writes until every worker has gone.
pub(super) struct Writer {
    out: Out,
    from_workers: Receiver<Piece>,
    to_workers: Vec<SyncSender<Vec<u8>>>,
    metrics: AccessLogMetrics,
    /// The last line was not written to its end.
    torn: bool,
    complained: Option<Instant>,
}

/// Where lines end up.
struct Out {
    file: File,
    /// Where the file is; nothing when it is the standard output.
    path: Option<PathBuf>,
    looked: Instant,
}

impl Writer {
    /// A writer, and for each worker the ends of its way to it.
    pub(super) fn open(
        target: &Target,
        workers: usize,
        memory: usize,
        metrics: AccessLogMetrics,
    ) -> io::Result<(Writer, Vec<Ends>)> {
        let each = (memory / PIECE / workers).max(2);
        // Nobody ever waits to send: there is room for every piece there is.
        let (to_writer, from_workers) = mpsc::sync_channel(each * workers);
        let way = |_| {
            let (back, empty) = mpsc::sync_channel(each);
            // The last is in the worker's hands.
            (1..each).for_each(|_| back.try_send(Vec::new()).expect("there is room for every piece"));
            (back, Ends { to_writer: to_writer.clone(), empty })
        };
        let (to_workers, ends) = (0..workers).map(way).unzip();
        let out = Out::open(target)?;
        Ok((Writer { out, from_workers, to_workers, metrics, torn: false, complained: None }, ends))
    }

    /// Write what comes until nobody can send any more.
    pub(super) fn run(mut self) {
        while let Ok(Piece { worker, mut bytes, lines }) = self.from_workers.recv() {
            let written = self.write(&bytes);
            let whole = if written == bytes.len() { lines } else { lines_in(&bytes[..written]) };
            self.metrics.written.increment(whole);
            self.metrics.failed.increment(lines - whole);
            bytes.clear();
            // Fails only when its worker has gone.
            let _ = self.to_workers[worker].try_send(bytes);
        }
    }

    /// How many bytes were written. The file is where it is said to be, however it was moved.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let result = self.out.follow().and_then(|()| {
            // Half a line of an earlier time must not spoil this one.
            if self.torn { self.out.file.write(b"\n").map(|_| ()) } else { Ok(()) }
        });
        let mut written = 0;
        let result = result.and_then(|()| {
            self.torn = false;
            while written < bytes.len() {
                match self.out.file.write(&bytes[written..]) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(more) => written += more,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        });
        if let Err(error) = result {
            self.torn |= written > 0 && bytes[written - 1] != b'\n';
            self.complain(&error);
        }
        written
    }

    fn complain(&mut self, error: &io::Error) {
        if self.complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY) {
            self.complained = Some(Instant::now());
            tracing::error!(%error, "the access log cannot be written: its lines are lost until it can");
        }
    }
}

impl Out {
    fn open(target: &Target) -> io::Result<Out> {
        let (file, path) = match target {
            // Ours alone: the one that is shared in this process writes by lines, behind a lock.
            Target::Stdout => (File::from(io::stdout().as_fd().try_clone_to_owned()?), None),
            Target::File(path) => (appended(path)?, Some(path.clone())),
        };
        Ok(Out { file, path, looked: Instant::now() })
    }

    /// Go on in a new file when the old one was moved or removed, as those who rotate logs do. No signal: one that is
    /// forgotten in a script, or sent before the move, fills a file that nobody sees until the disk is full.
    fn follow(&mut self) -> io::Result<()> {
        let Some(path) = self.path.as_deref().filter(|_| self.looked.elapsed() >= LOOK_EVERY) else { return Ok(()) };
        self.looked = Instant::now();
        let ours = self.file.metadata()?;
        let there = std::fs::metadata(path).ok();
        if there.is_none_or(|there| (there.dev(), there.ino()) != (ours.dev(), ours.ino())) {
            self.file = appended(path)?;
        }
        Ok(())
    }
}

fn lines_in(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn appended(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}
