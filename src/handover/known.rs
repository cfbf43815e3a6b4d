//! What a process knows, for the one that follows: bets that were carried out or are under way, passes and promised turns,
//! whose sessions are whose.
//!
//! It goes over when the new process takes requests, on a way of its own beside that of orders. Until all of it is there,
//! the new one's requests with an idempotency key wait; from then on the new one [decides](crate::proxy::once) about bets
//! for both. The old one tells what it promises meanwhile, until it ends.
//!
//! Names stay where they are: what goes over are numbers that both processes make of them with the same key. Where the two
//! do not make the same number of the same name, or speak another version of this, nothing is handed over: the new process
//! goes on as after a restart, and both say so.

mod frames;

use std::collections::HashMap;
use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, BufWriter};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::admin::control::Control;
use crate::admission::Timestamp;
use crate::admission::passes::Held;
use crate::proxy::once::{Bets, Elsewhere, Expecting, Lent, Said};
use crate::proxy::shared::Shared;
use frames::{Frame, Hello, Holds, read, write};

/// Of what goes over. Another version is not understood.
const VERSION: u32 = 1;
/// How long all of it may take: so long requests with a key wait at the new process.
const WITHIN: Duration = Duration::from_secs(10);
/// How often the old process tells what it has promised since.
const AGAIN_EVERY: Duration = Duration::from_secs(1);
const AT_ONCE: usize = 500;
/// What is renewed by less is not told again.
const WORTH_TELLING_S: u64 = 10;

/// Whoever waits until everything has been told: its end of this is dropped then.
pub(super) type Farewell = std::sync::mpsc::Sender<()>;

/// Hand over what is known here, and tell what comes of it, until either process ends.
pub(super) async fn hand_over(
    stream: StdUnixStream,
    control: Weak<Control>,
    mut farewells: mpsc::UnboundedReceiver<Farewell>,
) {
    if let Err(error) = tell_all(stream, &control, &mut farewells).await {
        tracing::error!(
            %error,
            "ALARM: what is known here of bets, passes and sessions cannot be handed over any more: a bet that is asked for \
             again may be carried out again"
        );
    }
}

async fn tell_all(
    stream: StdUnixStream,
    control: &Weak<Control>,
    farewells: &mut mpsc::UnboundedReceiver<Farewell>,
) -> io::Result<()> {
    let Some(shared) = control.upgrade().map(|control| control.shared()) else { return Ok(()) };
    let (mut from, mut to) = halves(stream)?;
    let there = timeout(WITHIN, greet(&shared, &mut from, &mut to)).await??;
    let (say, mut said) = mpsc::unbounded_channel();
    let elsewhere = Elsewhere::new(say);
    let bets = shared.bets.as_ref().filter(|_| there.bets);
    // From here on the other decides, whatever becomes of this.
    let known = bets.map_or_else(Vec::new, |bets| bets.are_decided(elsewhere.clone()));
    let result = async {
        let bets = known.len();
        say_bets(&mut to, known).await?;
        let mut news = News::default();
        let (held, sessions) = news.tell(&shared, &mut to).await?;
        write(&mut to, &Frame::All, b"").await?;
        to.flush().await?;
        tracing::info!(bets, held, sessions, "what was known here was handed over");
        tokio::select! {
            told = tell_on(control, news, &mut said, farewells, &mut to) => told,
            heard = hear_on(&elsewhere, &mut from) => heard,
        }
    };
    let result = result.await;
    drop(said);
    elsewhere.is_gone();
    result
}

async fn tell_on(
    control: &Weak<Control>,
    mut news: News,
    said: &mut mpsc::UnboundedReceiver<Said>,
    farewells: &mut mpsc::UnboundedReceiver<Farewell>,
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    let mut again = interval(AGAIN_EVERY);
    again.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let farewell = tokio::select! {
            Some(word) = said.recv() => {
                say_bets(to, [word]).await?;
                None
            }
            farewell = farewells.recv() => farewell,
            _ = again.tick() => None,
        };
        while let Ok(word) = said.try_recv() {
            say_bets(to, [word]).await?;
        }
        if let Some(shared) = control.upgrade().map(|control| control.shared()) {
            news.tell(&shared, to).await?;
        }
        to.flush().await?;
        if farewell.is_some() {
            return Ok(());
        }
    }
}

async fn hear_on(elsewhere: &Arc<Elsewhere>, from: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    while let Some((frame, body)) = read(from).await? {
        if let Frame::Bet(word) = frame {
            elsewhere.said(word, body);
        }
    }
    Ok(())
}

/// Take over what the process before this one knows, and decide for both until it ends. Requests that are expecting it
/// wait no longer than [`WITHIN`].
pub(crate) async fn take_over(stream: StdUnixStream, control: Weak<Control>, expecting: Option<Expecting>) {
    let taken = take_all(stream, &control, expecting).await;
    if let Err(error) = taken {
        tracing::error!(
            %error,
            "ALARM: what the process before this one knows of bets, passes and sessions cannot be read: it is forgotten, as \
             after a restart, and a bet that is asked for again may be carried out again"
        );
    }
}

async fn take_all(stream: StdUnixStream, control: &Weak<Control>, expecting: Option<Expecting>) -> io::Result<()> {
    let Some(shared) = control.upgrade().map(|control| control.shared()) else { return Ok(()) };
    let (mut from, mut to) = halves(stream)?;
    let (say, mut said) = mpsc::unbounded_channel();
    let (control, bets) = (control.clone(), shared.bets.clone());
    let mut office = Office { control, bets, lent: Lent::default(), tasks: JoinSet::new(), say };
    timeout(WITHIN, async {
        greet(&shared, &mut from, &mut to).await?;
        while let Some((frame, body)) = read(&mut from).await? {
            if let Frame::All = frame {
                return Ok(());
            }
            office.hear(frame, body);
        }
        Err(io::Error::from(io::ErrorKind::UnexpectedEof))
    })
    .await??;
    drop(expecting);
    tracing::info!("what the process before this one knew is known here");
    let heard = async {
        while let Some((frame, body)) = read(&mut from).await? {
            office.hear(frame, body);
        }
        Ok(())
    };
    let told = async {
        while let Some(word) = said.recv().await {
            say_bets(&mut to, [word]).await?;
            to.flush().await?;
        }
        Ok(())
    };
    let result = tokio::select! {
        result = heard => result,
        result = told => result,
    };
    office.tasks.shutdown().await;
    office.lent.comes_back();
    result
}

/// Where the new process hears the old one.
struct Office {
    control: Weak<Control>,
    /// The last that were known here: the old process goes on asking when a reload here has taken `[once]` away.
    bets: Option<Arc<Bets>>,
    lent: Lent,
    tasks: JoinSet<()>,
    say: mpsc::UnboundedSender<Said>,
}

impl Office {
    fn hear(&mut self, frame: Frame, body: Bytes) {
        while self.tasks.try_join_next().is_some() {}
        let Some(shared) = self.control.upgrade().map(|control| control.shared()) else { return };
        match frame {
            Frame::Bet(word) => {
                self.bets = shared.bets.clone().or(self.bets.take());
                if let Some(bets) = &self.bets {
                    self.lent.said(bets, (word, body), &self.say, &mut self.tasks);
                }
            }
            Frame::Held { product, held } => keep(&shared, &product, &held),
            Frame::Sessions { cookie, sessions } => shared.identity.take_over(&cookie, &sessions),
            Frame::Hello(_) | Frame::All => {}
        }
    }
}

fn keep(shared: &Shared, product: &str, held: &[Holds]) {
    let Some(product) = shared.settings.products.iter().find(|known| known.name == product) else { return };
    let held: Vec<Held> = held.iter().map(|holds| Held::from(*holds)).collect();
    shared.gates[product.domain].with(|domain, now| domain.keep_promises(product.id, &held, now));
}

/// What has been told already: who holds what, with its end in seconds, and whose sessions are whose.
#[derive(Default)]
struct News {
    held: HashMap<(String, u64), (Option<u64>, u64)>,
    sessions: HashMap<u64, u64>,
}

impl News {
    /// Tell what has not been told: how much that was.
    async fn tell(&mut self, shared: &Shared, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<(usize, usize)> {
        let mut told = (0, 0);
        for product in &shared.settings.products {
            let all = shared.gates[product.domain].with(|domain, now| (domain.promises(product.id, now), now));
            let new = self.new_of(&product.name, all);
            told.0 += new.len();
            for held in new.chunks(AT_ONCE) {
                let held = held.iter().map(|held| Holds::from(*held)).collect();
                write(to, &Frame::Held { product: product.name.clone(), held }, b"").await?;
            }
        }
        if let Some((cookie, mut sessions)) = shared.identity.sessions() {
            sessions.retain(|(session, customer, _)| self.sessions.insert(*session, *customer) != Some(*customer));
            told.1 = sessions.len();
            for sessions in sessions.chunks(AT_ONCE) {
                let frame = Frame::Sessions { cookie: cookie.clone(), sessions: sessions.to_vec() };
                write(to, &frame, b"").await?;
            }
        }
        Ok(told)
    }

    fn new_of(&mut self, product: &str, (mut held, now): (Vec<Held>, Timestamp)) -> Vec<Held> {
        held.retain(|held| {
            let ends_s = (now + held.left).since_start().as_secs();
            let known = self.held.get(&(product.to_owned(), held.who));
            let is_told = known.is_some_and(|(turn, told)| *turn == held.turn && ends_s < told + WORTH_TELLING_S);
            if !is_told {
                self.held.insert((product.to_owned(), held.who), (held.turn, ends_s));
            }
            !is_told
        });
        held
    }
}

impl From<Held> for Holds {
    fn from(Held { who, turn, for_so_long, left }: Held) -> Holds {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Holds { who, turn, for_ms: ms(for_so_long), left_ms: ms(left) }
    }
}

impl From<Holds> for Held {
    fn from(Holds { who, turn, for_ms, left_ms }: Holds) -> Held {
        Held { who, turn, for_so_long: Duration::from_millis(for_ms), left: Duration::from_millis(left_ms) }
    }
}

/// Say who we are, and hear who they are.
async fn greet(
    shared: &Shared,
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
) -> io::Result<Hello> {
    let own = Hello { version: VERSION, probe: shared.hashes.probe(), bets: shared.bets.is_some() };
    let said = async {
        write(to, &Frame::Hello(own), b"").await?;
        to.flush().await
    };
    // Who hears nothing any more may have said why.
    let (said, heard) = (said.await, read(from).await);
    let Some((Frame::Hello(other), _)) = heard? else {
        return Err(io::Error::other(
            "the other process says nothing of what it knows: is it Sluss, of this version or later?",
        ));
    };
    if other.version != own.version {
        let text = format!("the other process speaks version {} of this, and this one {}", other.version, own.version);
        return Err(io::Error::other(text));
    }
    if other.probe != own.probe {
        return Err(io::Error::other("the other process makes other numbers of the same names"));
    }
    said.map(|()| other)
}

async fn say_bets(to: &mut (impl AsyncWrite + Unpin), words: impl IntoIterator<Item = Said>) -> io::Result<()> {
    for (word, body) in words {
        write(to, &Frame::Bet(word), &body).await?;
    }
    Ok(())
}

type Halves = (BufReader<tokio::net::unix::OwnedReadHalf>, BufWriter<tokio::net::unix::OwnedWriteHalf>);

fn halves(stream: StdUnixStream) -> io::Result<Halves> {
    stream.set_nonblocking(true)?;
    let (from, to) = UnixStream::from_std(stream)?.into_split();
    Ok((BufReader::new(from), BufWriter::new(to)))
}
