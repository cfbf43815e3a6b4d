//! One line for each request, and what it became of.
//!
//! Everybody whom a request passes notes their part in its [`Trail`]; when the last of them lets go of it, the line is
//! written into the worker's own piece of paper, and a thread that does nothing else writes full pieces to the disk. On
//! the way of a request nothing is allocated, locked or waited for: when the disk is slower than the requests, lines are
//! dropped and counted. Why it is like this stands in `docs/decisions/0018-the-access-log.md`.
//!
//! Nothing in a line tells who somebody is: customers are numbers whose key is drawn at the start, a path is written without
//! its query, and no header is written but those that name requests.

mod trail;
pub(super) mod line;
mod writer;
pub(super) mod settings;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::{Rc, Weak};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::clock::Clock;
use super::headers::Peer;
use super::settings::Settings;
use crate::admission::Timestamp;
use crate::admission::random::Random;
use crate::telemetry::export::Registry;
use crate::telemetry::record::AccessLogMetrics;
use line::{Around, Line, MOST_LINE};
use settings::AccessLogSettings;
use trail::{Ended, Steps};
use writer::{Ends, PIECE, Piece, Writer};

pub(crate) use trail::{Told, Trail, TunnelEnd};

/// The way to the thread that writes. There is one for as long as the proxy runs, whatever becomes of its settings.
pub struct AccessLog {
    /// By worker; whoever has taken theirs has it.
    ends: Mutex<Vec<Option<Ends>>>,
    metrics: AccessLogMetrics,
}

/// The thread that writes, to be waited for when everything else is down.
pub struct Writing(JoinHandle<()>);

/// One worker's part, under one configuration.
pub(crate) struct Book {
    settings: Arc<Settings>,
    log: AccessLogSettings,
    pad: Rc<Pad>,
}

/// What a worker writes on, and its way to the writer: the same for as long as the log is.
struct Pad {
    clock: Clock,
    number: usize,
    paper: RefCell<Paper>,
    to_writer: SyncSender<Piece>,
    empty: Receiver<Vec<u8>>,
    /// Trails that are over, for requests to come.
    spare: RefCell<Vec<Rc<RefCell<Steps>>>>,
    /// The drain time is over: what ends now is cut.
    cut: Cell<bool>,
    metrics: AccessLogMetrics,
}

/// A piece that is being written on.
struct Paper {
    bytes: Vec<u8>,
    lines: u64,
    wall: Wall,
    random: Random,
}

/// The clock on the wall, looked at once a second.
struct Wall {
    looked: Timestamp,
    /// Nanoseconds since 1970 at that time.
    nanos: u64,
    /// The second that was written last.
    second: u64,
    written: [u8; 19],
}

/// Trails that are kept for requests to come: as many as a worker serves at once on a busy day.
const MOST_SPARE: usize = 1024;
/// How long lines may lie in a worker's hands.
const HAND_OVER_EVERY: Duration = Duration::from_millis(200);
/// How long a proxy that goes down waits for a disk or a pipe that does not take its lines.
const LAST_WORDS: Duration = Duration::from_secs(2);
const NANOS: u64 = 1_000_000_000;

impl AccessLog {
    /// Open what the settings name, if they name anything, and begin to write.
    ///
    /// # Errors
    /// When the file cannot be opened, or a thread cannot be had.
    pub fn open(settings: &Settings, registry: &Registry) -> io::Result<Option<(Arc<AccessLog>, Writing)>> {
        // The metrics are there whether anybody uses them or not, or a board would miss them.
        let metrics = AccessLogMetrics::new(registry);
        let Some(log) = &settings.access_log else { return Ok(None) };
        let workers = settings.listen.workers.get() as usize;
        let (writer, ends) = Writer::open(&log.target, workers, log.memory, metrics.clone())?;
        let thread = std::thread::Builder::new().name("access-log".into()).spawn(|| writer.run())?;
        let ends = Mutex::new(ends.into_iter().map(Some).collect());
        Ok(Some((Arc::new(AccessLog { ends, metrics }), Writing(thread))))
    }
}

impl Writing {
    /// Wait until the last line has been written, unless it takes too long: nobody's shutdown hangs on a full pipe. To be
    /// called when all workers have ended.
    pub fn wait(self) {
        let by = Instant::now() + LAST_WORDS;
        while !self.0.is_finished() {
            if Instant::now() >= by {
                return tracing::error!("the last lines of the access log are lost: nothing takes them");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Book {
    /// The book of this worker, if one is kept. What lies in it is handed over again and again, from the runtime this is
    /// called on.
    pub(crate) fn open(
        log: Option<&Arc<AccessLog>>,
        settings: &Arc<Settings>,
        clock: Clock,
        number: usize,
    ) -> Option<Rc<Book>> {
        let (log, kept) = log.zip(settings.access_log.as_ref())?;
        let ends = log.ends.lock().unwrap_or_else(PoisonError::into_inner).get_mut(number)?.take()?;
        let pad = Rc::new(Pad {
            clock,
            number,
            paper: RefCell::new(Paper::new(clock.now(), number as u64)),
            to_writer: ends.to_writer,
            empty: ends.empty,
            spare: RefCell::default(),
            cut: Cell::new(false),
            metrics: log.metrics.clone(),
        });
        tokio::task::spawn_local(keep_handing_over(Rc::downgrade(&pad)));
        Some(Rc::new(Book { settings: settings.clone(), log: kept.clone(), pad }))
    }

    /// The same under other settings; what has begun under these goes by their names.
    pub(crate) fn succeeded_by(&self, settings: &Arc<Settings>) -> Option<Rc<Book>> {
        let log = settings.access_log.clone()?;
        Some(Rc::new(Book { settings: settings.clone(), log, pad: self.pad.clone() }))
    }

    /// A request has come.
    pub(crate) fn begin(self: &Rc<Self>, parts: &http::request::Parts, peer: &Peer, came: Timestamp) -> Trail {
        Trail::begin(self, parts, peer.secure, came)
    }

    /// What is still under way is cut from now on.
    pub(crate) fn cut(&self) {
        self.pad.cut.set(true);
    }

    fn spare(&self) -> Rc<RefCell<Steps>> {
        self.pad.spare.borrow_mut().pop().unwrap_or_default()
    }

    fn keep(&self, steps: Rc<RefCell<Steps>>) {
        let mut spare = self.pad.spare.borrow_mut();
        if steps.borrow_mut().clear() && spare.len() < MOST_SPARE {
            spare.push(steps);
        }
    }

    /// A request has ended.
    fn write(&self, steps: &Steps) {
        let pad = &*self.pad;
        let paper = &mut *pad.paper.borrow_mut();
        let ended = steps.ended(pad.cut.get());
        let one_in = self.log.one_in;
        let weight = match ended {
            Ended::Answered => one_in.answered,
            Ended::Refused => one_in.refused,
            _ => one_in.failed,
        };
        let weight = weight.get();
        if weight > 1 && paper.random.below(weight.into()) > 0 {
            return;
        }
        if paper.bytes.len() + MOST_LINE > PIECE && !pad.turn(paper) {
            return pad.metrics.no_room.increment(1);
        }
        let now = pad.clock.now();
        let mut line = Line(&mut paper.bytes);
        let (second, micros) = paper.wall.at(now);
        line.begin(second, micros);
        line::write(&mut line, steps, &Around { settings: &self.settings, ended, weight, now });
        paper.lines += 1;
    }
}

/// Hand over what lies there, again and again, as long as anybody writes on it.
async fn keep_handing_over(pad: Weak<Pad>) {
    loop {
        tokio::time::sleep(HAND_OVER_EVERY).await;
        let Some(pad) = pad.upgrade() else { return };
        let paper = &mut *pad.paper.borrow_mut();
        if !paper.bytes.is_empty() {
            pad.turn(paper);
        }
    }
}

impl Pad {
    /// Send a piece of paper off and take an empty one; not when there is none.
    fn turn(&self, paper: &mut Paper) -> bool {
        let Ok(mut bytes) = self.empty.try_recv() else { return false };
        // Once for each piece: it keeps its room.
        bytes.reserve(PIECE);
        self.send(std::mem::replace(&mut paper.bytes, bytes), std::mem::take(&mut paper.lines));
        true
    }

    fn send(&self, bytes: Vec<u8>, lines: u64) {
        // There is room for every piece there is, so it fails only when nobody writes any more.
        if self.to_writer.try_send(Piece { worker: self.number, bytes, lines }).is_err() {
            self.metrics.no_room.increment(lines);
        }
    }
}

impl Drop for Pad {
    fn drop(&mut self) {
        let paper = self.paper.get_mut();
        let (bytes, lines) = (std::mem::take(&mut paper.bytes), paper.lines);
        if lines > 0 {
            self.send(bytes, lines);
        }
    }
}

impl Paper {
    fn new(now: Timestamp, seed: u64) -> Paper {
        Paper { bytes: Vec::with_capacity(PIECE), lines: 0, wall: Wall::look(now), random: Random::new(seed) }
    }
}

impl Wall {
    fn look(now: Timestamp) -> Wall {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanos = since.as_nanos() as u64;
        let second = nanos / NANOS;
        Wall { looked: now, nanos, second, written: line::second(second as i64) }
    }

    /// The second that it is now, as it is written, and the microseconds since.
    fn at(&mut self, now: Timestamp) -> (&[u8], u32) {
        if now.since(self.looked) >= Duration::from_secs(1) {
            *self = Wall::look(now);
        }
        let nanos = self.nanos + now.since(self.looked).as_nanos() as u64;
        let second = nanos / NANOS;
        if second != self.second {
            (self.second, self.written) = (second, line::second(second as i64));
        }
        (&self.written, (nanos % NANOS / 1000) as u32)
    }
}
