//! Bets while one process makes way for another: one of the two decides at any time, and the other asks it.
//!
//! ```text
//!   the old process                                 the new process
//!   decides                                         its requests with a key wait
//!     tells all that it knows        ── known ──▶
//!   asks for each request with a key ── ask ────▶   decides, for its own requests and for those of the other
//!     hears whether it is the first  ◀── told ──
//!     tells what came of each it had ── settled ▶   whoever waits for it hears so
//!   ends                                            what it had not told is unknown
//! ```
//!
//! When the new process ends before the old one, nobody knows what it has sent: the old one says so.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::words::{self, BetWord, Told};
use super::{Bets, Copied, First, Heard, Known, Word};
use crate::admission::once::{Bet, Settled};
use crate::telemetry::record::Duplicate;

/// A word and what stands beside it, on its way to the other process.
pub(crate) type Said = (BetWord, Bytes);

/// Where bets are decided, when that is another process.
pub(crate) struct Elsewhere {
    to: mpsc::UnboundedSender<Said>,
    asked: Mutex<HashMap<u64, Waits>>,
    number: AtomicU64,
}

/// Who waits for a word from there.
struct Waits {
    tell: oneshot::Sender<Word>,
    bet: Bet,
    bets: Arc<Bets>,
}

/// Bets that the process before this one has sent, or is about to, by their keys.
#[derive(Clone, Default)]
pub(crate) struct Lent(Arc<Mutex<HashMap<u64, Box<First>>>>);

/// Requests with a key wait until this is gone: what is known of them is on its way.
pub(crate) struct Expecting {
    known: Arc<Mutex<Known>>,
    _waited_for: watch::Sender<()>,
}

impl Elsewhere {
    /// There, where what is said into `to` is heard.
    pub(crate) fn new(to: mpsc::UnboundedSender<Said>) -> Arc<Elsewhere> {
        Arc::new(Elsewhere { to, asked: Mutex::default(), number: AtomicU64::new(0) })
    }

    /// Whose turn it is; nothing when nobody is there any more who could tell.
    pub(super) async fn word(&self, bets: &Arc<Bets>, bet: Bet) -> Option<Word> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        self.asked().insert(number, Waits { tell, bet, bets: bets.clone() });
        if self.to.send((BetWord::Ask { number, bet: bet.into() }, Bytes::new())).is_err() {
            self.asked().remove(&number);
        }
        told.await.ok()
    }

    /// It has been told what came of a bet that is this process's.
    pub(super) fn settled(&self, key: u64, unknown: bool, how: &Settled<Arc<Copied>>, heard: Option<&Heard>) {
        // Where nobody hears it, nobody asks either.
        let _ = self.to.send(BetWord::settled(key, unknown, how, heard));
    }

    /// It has said this. Whoever asked and is gone has not sent anything.
    pub(crate) fn said(self: &Arc<Self>, word: BetWord, body: Bytes) {
        let BetWord::Told { number, told, answer } = word else { return };
        let Some(Waits { tell, bet, bets }) = self.asked().remove(&number) else { return };
        let word = match told {
            Told::First { unknown } => Word::First(Box::new(First::there(bets, bet, unknown, self.clone()))),
            Told::Hears { hears, verdict } => Word::Heard(hears.heard(words::copied(answer, body)), verdict.into()),
            Told::Full => Word::Full,
        };
        let _ = tell.send(word);
    }

    /// It says nothing any more.
    pub(crate) fn is_gone(&self) {
        self.asked().clear();
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<u64, Waits>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bets {
    /// From now on bets are decided there, and this is all that is known of them.
    pub(crate) fn are_decided(&self, elsewhere: Arc<Elsewhere>) -> Vec<Said> {
        let now = self.clock.now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.elsewhere = Some(elsewhere);
        let all = known.once.to_hand_over(now);
        drop(known);
        all.into_iter().map(|(bet, handed)| BetWord::known(bet, handed)).collect()
    }

    /// What another process knows is on its way.
    pub(crate) fn expect(&self) -> Expecting {
        let (waited_for, waits) = watch::channel(());
        self.known.lock().unwrap_or_else(PoisonError::into_inner).expected = Some(waits);
        Expecting { known: self.known.clone(), _waited_for: waited_for }
    }
}

impl Drop for Expecting {
    fn drop(&mut self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).expected = None;
    }
}

impl Lent {
    /// The process before this one has said this; what it hears to it goes into `to`. Tasks that take their time go into
    /// `tasks`, which end with it.
    pub(crate) fn said(
        &self,
        bets: &Arc<Bets>,
        (word, body): Said,
        to: &mpsc::UnboundedSender<Said>,
        tasks: &mut JoinSet<()>,
    ) {
        match word {
            BetWord::Known { bet, state, answer } => self.known(bets, bet.into(), state, (answer, body)),
            BetWord::Ask { number, bet } => {
                let (lent, bets, to) = (self.clone(), bets.clone(), to.clone());
                tasks.spawn(async move {
                    // Fails when there is nobody left to hear it: what was lent comes back then.
                    let _ = to.send(lent.asked(bets, number, bet.into()).await);
                });
            }
            BetWord::Settled { key, unknown, how, heard, answer } => {
                let Some(mut first) = self.lock().remove(&key) else { return };
                let copy = words::copied(answer, body);
                let heard = heard.map(|hears| hears.heard(copy.clone()));
                first.was_settled_there(unknown, how.settled(copy), heard);
            }
            BetWord::Told { .. } => {}
        }
    }

    fn known(&self, bets: &Arc<Bets>, bet: Bet, state: words::State, (answer, body): (Option<words::Head>, Bytes)) {
        let (tell, waiting) = watch::channel(None);
        let handed = state.handed(answer, body);
        if let Some(token) = bets.with(|once, now| once.take_over(bet, handed, now, || waiting)) {
            self.lend(bet.key, Box::new(First::new(bets.clone(), token, tell, bet.honoured)));
        }
    }

    async fn asked(&self, bets: Arc<Bets>, number: u64, bet: Bet) -> Said {
        let mut verdict = Duplicate::Answered;
        match bets.word(bet, |duplicate| verdict = duplicate).await {
            Word::First(first) => {
                let unknown = first.was_sent_before();
                self.lend(bet.key, first);
                (BetWord::Told { number, told: Told::First { unknown }, answer: None }, Bytes::new())
            }
            Word::Heard(heard, _) => BetWord::told(number, &heard, verdict),
            Word::Full => (BetWord::Told { number, told: Told::Full, answer: None }, Bytes::new()),
        }
    }

    /// What is not settled is as good as sent.
    fn lend(&self, key: u64, mut first: Box<First>) {
        first.is_sent(true);
        self.lock().insert(key, first);
    }

    /// The other has ended: nobody knows what came of what it has not told.
    pub(crate) fn comes_back(&self) {
        let lent = std::mem::take(&mut *self.lock());
        drop(lent);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Box<First>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
