//! Starting the process that follows.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::inherited::{ADMIN, CLIENTS, KNOWN, PREDECESSOR};
use super::words::{self, Leave, News};
use crate::proxy::keys::Keys;

/// What was started as this process, to be started again as it is then.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// The listening sockets of this process.
#[derive(Debug)]
pub struct Sockets {
    /// Where clients come in.
    pub clients: Vec<TcpListener>,
    /// Where operators come in.
    pub admin: TcpListener,
}

/// A process that was started and is not ready. It is ended when this is dropped.
pub struct Trial {
    started: Started,
    words: BufReader<UnixStream>,
    known: StdUnixStream,
}

/// A process that does not outlive this.
struct Started(Option<Child>);

/// A process that takes requests.
#[derive(Debug)]
pub struct Successor {
    /// Its number.
    pub process: u32,
    /// Whether it does so through the clients' sockets that it was handed.
    pub clients: bool,
    /// The same of the operators' socket.
    pub admin: bool,
    /// What it says from now on, by HTTP; closed when this process ends, so that it knows.
    pub(super) words: UnixStream,
    /// Where it hears what we know.
    pub(super) known: StdUnixStream,
}

/// The first descriptor that is handed over, as systemd has it.
const FIRST: i32 = 3;
/// The longest word of another process.
const LONGEST_WORD: u64 = 64 << 10;

impl Sockets {
    /// Another hold on these.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn of(clients: &[TcpListener], admin: &TcpListener) -> io::Result<Sockets> {
        let clients = clients.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?;
        Ok(Sockets { clients, admin: admin.try_clone()? })
    }
}

impl Program {
    /// This process's. For its start: later another file may lie at the path.
    pub fn of_this_process() -> io::Result<Program> {
        let running = std::env::current_exe()?;
        let mut arguments = std::env::args_os();
        // What was called may be a link, which an upgrade turns to the next version.
        let called = arguments.next().and_then(|called| find(Path::new(&called)));
        let same = called.filter(|called| called.canonicalize().is_ok_and(|path| path == running));
        Ok(Program { path: same.unwrap_or(running), arguments: arguments.collect() })
    }

    /// Start it, with these sockets.
    ///
    /// # Errors
    /// What is wrong with the file at its path, or with this machine.
    pub fn start(&self, sockets: &Sockets) -> Result<Trial, String> {
        self.spawn(sockets).map_err(|error| format!("cannot start {}: {error}", self.path.display()))
    }

    fn spawn(&self, sockets: &Sockets) -> io::Result<Trial> {
        let (ours, theirs) = StdUnixStream::pair()?;
        let (known, to_be_known) = StdUnixStream::pair()?;
        let clients = sockets.clients.iter().map(|socket| (CLIENTS, socket.try_clone().map(OwnedFd::from)));
        let admin = (ADMIN, sockets.admin.try_clone().map(OwnedFd::from));
        let handed: Vec<_> =
            clients.chain([admin, (KNOWN, Ok(to_be_known.into())), (PREDECESSOR, Ok(theirs.into()))]).collect();
        let names: Vec<&str> = handed.iter().map(|(name, _)| *name).collect();
        let (count, names) = (handed.len() as i32, names.join(":"));
        // std opens a descriptor while it starts a process, which must not be one of those that are replaced there.
        let _taken = take_descriptors_below(FIRST + count)?;
        let mapped = (FIRST..).zip(handed).map(|(child_fd, (_, fd))| Ok(FdMapping { parent_fd: fd?, child_fd }));
        let child = Command::new(&self.path)
            .args(&self.arguments)
            .env("LISTEN_FDS", count.to_string())
            .env("LISTEN_FDNAMES", names)
            .env_remove("LISTEN_PID")
            .env_remove("WATCHDOG_PID")
            .fd_mappings(mapped.collect::<io::Result<_>>()?)
            .map_err(io::Error::other)?
            .spawn()?;
        // Whatever happens from here on, it does not stay behind.
        let started = Started(Some(child));
        ours.set_nonblocking(true)?;
        Ok(Trial { started, words: BufReader::new(UnixStream::from_std(ours)?), known })
    }
}

impl Trial {
    /// Comes back when it has all it can have beside us, and wants the journal.
    ///
    /// # Errors
    /// Why it does not start.
    pub async fn sound(&mut self) -> Result<(), String> {
        match self.hear().await? {
            News::Sound => Ok(()),
            other => Err(strange(&other)),
        }
    }

    /// Let it go on with our keys; comes back when it takes requests.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn go(mut self, keys: Keys) -> Result<Successor, String> {
        let line = words::line(&Leave::Go { keys }).map_err(|error| error.to_string())?;
        // Its end is told by what is heard next.
        let _ = self.words.get_mut().write_all(&line).await;
        match self.hear().await? {
            News::Ready { clients, admin } => Ok(self.ready(clients, admin)),
            other => Err(strange(&other)),
        }
    }

    fn ready(mut self, clients: bool, admin: bool) -> Successor {
        // Not ours to end any more.
        let process = self.started.0.take().map_or(0, |child| child.id());
        Successor { process, clients, admin, words: self.words.into_inner(), known: self.known }
    }

    async fn hear(&mut self) -> Result<News, String> {
        let mut line = Vec::new();
        let heard = (&mut self.words).take(LONGEST_WORD).read_until(b'\n', &mut line).await;
        match heard {
            Ok(1..) => match serde_json::from_slice(&line) {
                Ok(News::Failed { why }) => Err(format!("the new process does not start: {why}")),
                Ok(news) => Ok(news),
                Err(error) => Err(format!("the new process speaks another language ({error}): is it Sluss?")),
            },
            Ok(0) | Err(_) => Err(self.how_it_ended().await),
        }
    }

    /// It has closed its end without a word.
    async fn how_it_ended(&mut self) -> String {
        for _ in 0..50 {
            match self.started.0.as_mut().map(Child::try_wait) {
                Some(Ok(Some(status))) => return format!("the new process ended before it was ready ({status})"),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        "the new process knows nothing of being handed over to: is it Sluss, of this version or later?".into()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn strange(news: &News) -> String {
    format!("the new process said {news:?} out of turn: is it Sluss, of this version or later?")
}

/// The file that is meant by a name on a command line.
fn find(called: &Path) -> Option<PathBuf> {
    if called.components().count() > 1 || called.is_absolute() {
        return std::path::absolute(called).ok();
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders).map(|folder| folder.join(called)).find(|path| path.is_file())
}

/// Files that are open as long as they are held, so that what is opened next has none of these numbers.
fn take_descriptors_below(end: i32) -> io::Result<Vec<File>> {
    let mut taken = Vec::new();
    loop {
        let file = File::open("/dev/null")?;
        if file.as_raw_fd() >= end {
            return Ok(taken);
        }
        taken.push(file);
    }
}
