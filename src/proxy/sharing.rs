//! Several requests on one connection: which of them is being served, and what comes of all that the client says.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::ledger::Held;

/// What a client may do of which nothing comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Requests taken back before they were answered, beyond those that were.
    pub(crate) taken_back: u32,
    /// Bytes since the last that was of use.
    pub(crate) chatter: usize,
}

/// What is known of the requests on one connection.
pub(crate) struct Sharing {
    bounds: Bounds,
    taken_back: Cell<u32>,
    chatter: Cell<usize>,
    /// What was given of answers and has not left yet: it lies with h2, also when whoever gave it is done.
    lying: RefCell<Held>,
    /// Bytes that have left.
    left: Cell<u64>,
    /// The stream whose task runs just now.
    running: RefCell<Option<Rc<Stream>>>,
}

/// One request and its answer, as its client takes it.
#[derive(Debug)]
pub(crate) struct Stream {
    /// No more bytes of its answer are given at once: how fast a client takes it is seen when it has taken a piece.
    piece: usize,
    answered: Cell<bool>,
    /// There is something of its answer, and nobody asks for more: the client has not made room for it.
    lies: Cell<bool>,
    /// Bytes of its answer that were asked for.
    given: Cell<u64>,
    overdue: Cell<bool>,
}

impl Sharing {
    /// `lying` accounts for what waits to leave: nothing so far.
    pub(crate) fn new(bounds: Bounds, lying: Held) -> Sharing {
        Sharing {
            bounds,
            taken_back: Cell::new(0),
            chatter: Cell::new(0),
            lying: RefCell::new(lying),
            left: Cell::new(0),
            running: RefCell::default(),
        }
    }

    /// So many bytes of an answer are given.
    pub(super) fn gives(&self, bytes: u64) {
        self.progress();
        self.lying.borrow_mut().grow(bytes as usize);
    }

    /// So many bytes have left.
    pub(super) fn leaves(&self, bytes: u64) {
        self.left.update(|left| left + bytes);
        self.lying.borrow_mut().shrink(bytes as usize);
    }

    /// All has left that could: of what was given and did not, its streams have ended.
    pub(super) fn has_left(&self) {
        let mut lying = self.lying.borrow_mut();
        let all = lying.bytes();
        lying.shrink(all);
    }

    /// Bytes that have left so far.
    pub(crate) fn left(&self) -> u64 {
        self.left.get()
    }

    /// Bytes that have left when what lies there now has.
    pub(crate) fn will_have_left(&self) -> u64 {
        self.left.get() + self.lying.borrow().bytes() as u64
    }

    /// While this stream's task runs, what is asked is asked by it.
    pub(crate) fn run<T>(&self, stream: &Rc<Stream>, task: impl FnOnce() -> T) -> T {
        *self.running.borrow_mut() = Some(stream.clone());
        let result = task();
        *self.running.borrow_mut() = None;
        result
    }

    /// A request has come; its stream.
    pub(super) fn asked(&self) -> Option<Rc<Stream>> {
        self.progress();
        self.running.borrow().clone()
    }

    /// A stream is over.
    pub(crate) fn ended(&self, stream: &Stream) {
        let before = self.taken_back.get();
        self.taken_back.set(if stream.answered.get() { before.saturating_sub(1) } else { before + 1 });
    }

    pub(super) fn heard(&self, bytes: usize) {
        self.chatter.set(self.chatter.get().saturating_add(bytes));
    }

    pub(super) fn progress(&self) {
        self.chatter.set(0);
    }

    /// Whether the client has said too much of which nothing came.
    pub(crate) fn is_abused(&self) -> bool {
        self.taken_back.get() > self.bounds.taken_back || self.chatter.get() > self.bounds.chatter
    }
}

impl Stream {
    pub(crate) fn new(piece: usize) -> Stream {
        Stream {
            piece,
            answered: Cell::new(false),
            lies: Cell::new(false),
            given: Cell::new(0),
            overdue: Cell::new(false),
        }
    }

    pub(super) fn piece(&self) -> usize {
        self.piece
    }

    pub(super) fn gives(&self, bytes: u64) {
        self.answered.set(true);
        self.lies.set(true);
        self.given.update(|given| given + bytes);
    }

    pub(super) fn awaits(&self) {
        self.lies.set(false);
    }

    /// Whether the last that was given lies where the client should make room for it.
    pub(crate) fn lies_unread(&self) -> bool {
        self.lies.get()
    }

    /// How much was given.
    pub(crate) fn given(&self) -> u64 {
        self.given.get()
    }

    /// The client has taken too long over it, so it ends here.
    pub(crate) fn gives_up(&self) {
        self.overdue.set(true);
    }

    pub(super) fn is_overdue(&self) -> bool {
        self.overdue.get()
    }
}
