//! The journal's file, and the thread that writes it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use super::memory::Memory;
use super::record::Line;

/// What the thread is to do.
pub(super) enum Errand {
    Write(Line, Option<Told>),
    GiveAway(Told),
    TakeBack(Option<Told>),
    /// It stays with the other process, who writes down what is ordered.
    Leave,
}

pub(super) type Told = tokio::sync::oneshot::Sender<io::Result<()>>;

/// The file, and the lock that makes it ours.
pub(super) struct Book {
    file: File,
    _lock: File,
}

impl Book {
    pub(super) fn open(path: &Path) -> io::Result<(Book, Memory)> {
        let lock = lock(path)?;
        let memory = match fs::read(path) {
            Ok(bytes) => Memory::read(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Memory::default(),
            Err(error) => return Err(error),
        };
        Ok((Book { file: rewrite(path, &memory)?, _lock: lock }, memory))
    }
}

/// Where the journal's thread works.
pub(super) struct Desk {
    path: PathBuf,
    /// Not here while another process has it.
    book: Option<Book>,
    /// What is to be written when it comes back. Only what a proxy does by itself: it takes no orders meanwhile.
    held: Vec<(Line, Option<Told>)>,
    /// It will not come back.
    left: bool,
}

impl Desk {
    pub(super) fn at(path: &Path, book: Book) -> Desk {
        Desk { path: path.to_owned(), book: Some(book), held: Vec::new(), left: false }
    }

    pub(super) fn work(mut self, incoming: &mpsc::Receiver<Errand>) {
        for errand in incoming {
            match errand {
                Errand::Write(line, told) => self.write(line, told),
                Errand::GiveAway(told) => {
                    self.book = None;
                    let _ = told.send(Ok(()));
                }
                Errand::Leave => {
                    self.left = true;
                    self.held.drain(..).for_each(|(_, told)| done(told));
                }
                Errand::TakeBack(told) => {
                    let taken = self.take_back();
                    if let Err(error) = &taken {
                        tracing::error!(%error, "cannot take the journal back: a restart will not know what happens from now on");
                    }
                    told.map(|told| told.send(taken));
                }
            }
        }
    }

    fn write(&mut self, line: Line, told: Option<Told>) {
        if self.left {
            return done(told);
        }
        let Some(book) = &mut self.book else { return self.held.push((line, told)) };
        let written = append(&mut book.file, &line).and_then(|()| book.file.sync_data());
        if let Err(error) = &written {
            tracing::error!(%error, "cannot write to the journal: a restart will not know about this");
        }
        if let Some(told) = told {
            let _ = told.send(written);
        }
    }

    fn take_back(&mut self) -> io::Result<()> {
        if self.book.is_none() {
            // What stands in it is ours, and known.
            self.book = Some(Book::open(&self.path)?.0);
        }
        for (line, told) in std::mem::take(&mut self.held) {
            self.write(line, told);
        }
        Ok(())
    }
}

fn done(told: Option<Told>) {
    if let Some(told) = told {
        let _ = told.send(Ok(()));
    }
}

fn append(file: &mut File, line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)
}

/// The last word on each thing in a fresh file that takes the old one's place whole; the old one, with who
/// ordered what and why, is kept beside it.
fn rewrite(path: &Path, memory: &Memory) -> io::Result<File> {
    let (fresh, old) = (beside(path, ".new"), beside(path, ".old"));
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&fresh)?;
    for record in memory.records() {
        append(&mut file, &Line { at: jiff::Timestamp::now(), record })?;
    }
    file.sync_data()?;
    if path.exists() {
        fs::copy(path, &old)?;
    }
    fs::rename(&fresh, path)?;
    // The new name must survive a power cut as well as what is in the file.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()?;
    Ok(file)
}

/// Held as long as the journal is written: a second proxy would take the file away from under the first.
fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(beside(path, ".lock"))?;
    file.try_lock().map_err(|_| io::Error::other("another Sluss is writing it"))?;
    Ok(file)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
