//! Room for new connections: who leaves for them, and how those are told for whom there is none.
//!
//! The usual complaint about a proxy at its bound is that connections nobody uses keep out those who want something. So when
//! fewer than a sixteenth are left, those go that have said nothing, or nothing more, for a second, the longest silent
//! first. Whoever still finds no room hears a 503 with a time to come back, and not the silence of a backlog, in which most would have
//! left by the time they are accepted.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::Worker;
use super::watch::Watch;

/// The most connections of a worker that are being told that there is no room; more are closed without a word.
pub(crate) const MOST_LEAVING: usize = 32;
/// Silent for as long as this, a connection is nobody's loss.
const SILENT: Duration = Duration::from_secs(1);
/// How long those who are turned away may take to hear it.
const HEAR: Duration = Duration::from_millis(500);
/// How often the connections are looked through.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// So large a part of the bound is kept free, and closed at a time.
const PART: usize = 16;

/// What a worker knows of its room.
#[derive(Default)]
pub(crate) struct Room {
    looked: Cell<Option<Instant>>,
    leaving: Rc<Cell<usize>>,
}

impl Worker {
    /// Whether somebody new can come in; close to the bound, room is made for those who follow.
    pub(crate) fn has_room(&self) -> bool {
        let (open, most) = (self.shared.connections(), self.settings.listen.connections.get() as usize);
        if open + (most / PART).max(1) > most {
            self.make_room();
        }
        open < most && !self.strain.shuts_the_door()
    }

    /// Close those who have been silent for longest.
    pub(crate) fn make_room(&self) {
        let now = Instant::now();
        if self.room.looked.get().is_some_and(|looked| now - looked < LOOK_EVERY) {
            return;
        }
        self.room.looked.set(Some(now));
        let most = (self.settings.listen.connections.get() as usize / PART).max(1);
        for watch in longest_silent(self.connections.watches(), most, now) {
            self.metrics.for_room.increment(1);
            watch.leave();
        }
    }

    /// Tell somebody that there is no room.
    pub(crate) fn turn_away(&self, stream: TcpStream) {
        self.metrics.too_many.increment(1);
        let leaving = self.room.leaving.clone();
        // Who would have to be told in secret is not: a handshake is what there is no room for.
        if self.shared.tls.is_some() || leaving.get() >= MOST_LEAVING {
            return;
        }
        leaving.set(leaving.get() + 1);
        let no = self.answers().no_room(self.strain.come_back());
        tokio::task::spawn_local(async move {
            let _ = timeout(HEAR, say(stream, no)).await;
            leaving.set(leaving.get() - 1);
        });
    }
}

/// Say it, and read what comes until the client has gone: closing on a client that still sends resets its connection,
/// and it may never see the answer.
async fn say(mut stream: TcpStream, no: Bytes) -> std::io::Result<()> {
    stream.write_all(&no).await?;
    stream.shutdown().await?;
    let mut unwanted = [0; 1024];
    while stream.read(&mut unwanted).await? > 0 {}
    Ok(())
}

/// At most so many of those who have been silent for long enough, the longest silent first.
fn longest_silent(watches: Vec<Rc<Watch>>, most: usize, now: Instant) -> Vec<Rc<Watch>> {
    let silent =
        |watch: Rc<Watch>| watch.silent_for(now).filter(|lasted| *lasted >= SILENT).map(|lasted| (lasted, watch));
    let mut silent: Vec<(Duration, Rc<Watch>)> = watches.into_iter().filter_map(silent).collect();
    if silent.len() > most {
        silent.select_nth_unstable_by_key(most, |(lasted, _)| std::cmp::Reverse(*lasted));
        silent.truncate(most);
    }
    silent.into_iter().map(|(_, watch)| watch).collect()
}
