//! A connection of HTTP/2: frames into the library and everything up to the choice of a backend, frames out.
//!
//! Bytes that a fuzzer changes hardly ever make a frame whose length is right, nor a block of headers. So an input is a list
//! of frames to be made: [`made`] writes the lengths, and headers as literals.

use std::cell::Cell;
use std::collections::HashSet;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::join;
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::super::body::AnswerBody;
use super::super::connection::attend;
use super::super::headers::Peer;
use super::super::http2::http2_with;
use super::super::watch::{Timer, Watch};
use super::super::{Worker, serve};
use super::conversing::{RUNTIME, Sent};
use super::{line, peer, with};

/// What a client of HTTP/2 sends on one connection. Its first byte says who it is, the second in what pieces it comes; then
/// frames, as [`made`] reads them.
pub fn frames(data: &[u8]) {
    let [who, piece, said @ ..] = data else { return };
    let (who, piece) = (Rc::new(peer(*who)), usize::from(*piece).max(1) * 16);
    let sent = made(said);
    let left = Cell::new(&sent[..]);
    let (mut heard, answers) = (Vec::new(), Rc::new(Answers::default()));
    let (held, ended) = with(|worker| {
        let before = worker.shared.memory_held();
        let (watch, local) = (Watch::new(), LocalSet::new());
        let talk = async {
            let serving = (worker.clone(), who, watch.clone(), answers.clone());
            let service = service_fn(move |request| answered(serving.clone(), request));
            let sent = Sent { left: &left, piece, rests: false, patience: 16, watch: watch.clone() };
            let builder = http2_with(&watch, worker).expect("it is spoken unless somebody says no");
            let conversation = builder.serve_connection(TokioIo::new(join(sent, &mut heard)), service);
            let mut timer = Timer::new(&worker.settings.listen.timeouts);
            attend(pin!(conversation), |talk| talk.graceful_shutdown(), &watch, worker, &mut timer).await.is_some()
        };
        let ended = RUNTIME.with(|runtime| runtime.block_on(local.run_until(async { timeout(A_WHILE, talk).await })));
        let ended = ended.expect("a connection ends when its client has hung up");
        RUNTIME
            .with(|runtime| runtime.block_on(async { timeout(A_WHILE, local).await }))
            .expect("requests end with their connection");
        // With it goes what lay there to be sent: nothing counts here what leaves.
        drop(watch);
        (worker.shared.memory_held() - before, ended)
    });
    assert_eq!(held, 0, "memory is still accounted for");
    assert!(!answers.broken.get(), "a request was broken off by a panic");
    assert_eq!(answers.wrong.take(), None, "an answer that is not ours");
    let told = judge(&heard);
    assert!(told || (ended && left.get().is_empty()), "the connection was ended without a word");
}

/// In which everything ends: nobody is waited for here.
const A_WHILE: Duration = Duration::from_secs(5);

/// What was seen of the requests, whose tasks would keep it to themselves.
#[derive(Default)]
struct Answers {
    wrong: Cell<Option<StatusCode>>,
    broken: Cell<bool>,
}

/// A request that is being answered.
struct Asked(Rc<Answers>);

impl Drop for Asked {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.set(true);
        }
    }
}

type Serving = (Rc<Worker>, Rc<Peer>, Rc<Watch>, Rc<Answers>);

async fn answered(
    (worker, peer, watch, answers): Serving,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, std::convert::Infallible> {
    let asked = Asked(answers);
    let answer = serve(worker, peer, watch, request).await?;
    // Nobody serves here, so no answer is anybody's but ours.
    let calls = answer.headers().contains_key("grpc-status");
    if matches!(answer.status(), StatusCode::OK | StatusCode::INTERNAL_SERVER_ERROR) && !calls {
        asked.0.wrong.set(Some(answer.status()));
    }
    Ok(answer)
}

/// Whether what we said ends with the word that this is the end; and all of it is what HTTP/2 lets a server say.
fn judge(heard: &[u8]) -> bool {
    let (mut rest, mut told, mut over, mut first) = (heard, false, HashSet::new(), true);
    while let Some((head, behind)) = rest.split_first_chunk::<9>() {
        let [a, b, c, kind, flags, stream @ ..] = *head;
        let (length, stream) = (u32::from_be_bytes([0, a, b, c]) as usize, u32::from_be_bytes(stream));
        assert!(length <= behind.len(), "a frame broke off");
        assert!(kind == SETTINGS || !first, "it began with {kind}");
        assert!(matches!(kind, 0 | HEADERS | 3 | SETTINGS | 6..=9), "no server says {kind}");
        let speaks = matches!(kind, 0 | HEADERS);
        assert!(!speaks || (stream % 2 == 1 && !over.contains(&stream)), "{kind} on {stream}, which is over");
        if kind == 3 || (speaks && flags & 1 == 1) {
            over.insert(stream);
        }
        (told, first) = (told || kind == 7, false);
        rest = &behind[length..];
    }
    assert!(rest.is_empty(), "a frame broke off");
    told
}

const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;

/// Requests that reach something, so that not each has to be found.
const KNOWN: [(&str, &str); 8] = [
    ("GET", "/horse/odds"),
    ("POST", "/horse/bets"),
    ("POST", "/horse/login"),
    ("POST", "/horse/files"),
    ("GET", "/sport/"),
    ("OPTIONS", "/horse/odds"),
    ("CONNECT", "/horse/odds"),
    ("GET", "/nowhere"),
];

/// Frames, after what every client says first. Each is four bytes: what it is, its flags, its stream, and the length of its
/// content, which follows. The first are the kinds of HTTP/2 with the content as it stands.
fn made(mut said: &[u8]) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut bytes, SETTINGS, 0, 0, &[]);
    while let [what, flags, stream, length, rest @ ..] = said {
        let (content, after) = rest.split_at(rest.len().min((*length).into()));
        said = after;
        match what % 24 {
            kind @ 0..=9 => frame(&mut bytes, kind, *flags, *stream, content),
            // No frame at all.
            10 => bytes.extend_from_slice(content),
            // Of a kind that nobody knows.
            11 => frame(&mut bytes, *flags, 0, *stream, content),
            12 => frame(&mut bytes, 0, *flags, *stream, &content.repeat(64)),
            13 => frame(&mut bytes, HEADERS, *flags, *stream, &lines(content)),
            14 => frame(&mut bytes, 9, *flags, *stream, &lines(content)),
            15 => (0..256).for_each(|_| frame(&mut bytes, 6, *flags, *stream, content)),
            known => {
                let (method, path) = KNOWN[usize::from(known - 16)];
                let begin = format!(":method:{method}\n:scheme:http\n:authority:bet.example\n:path:{path}\n");
                frame(&mut bytes, HEADERS, *flags, *stream, &lines(&[begin.as_bytes(), content].concat()));
            }
        }
    }
    bytes
}

/// A frame. A stream's byte is its number; the last few stand for those near the greatest that there is.
fn frame(bytes: &mut Vec<u8>, kind: u8, flags: u8, stream: u8, content: &[u8]) {
    let number = if stream < 0xf0 { u32::from(stream) } else { u32::MAX >> (stream & 15) };
    bytes.extend_from_slice(&(content.len() as u32).to_be_bytes()[1..]);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes.extend_from_slice(content);
}

/// Lines of headers as HPACK has them, without anything clever (RFC 7541, section 6.2.2).
fn lines(mut text: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    while !text.is_empty() {
        let (one, after) = line(text);
        text = after;
        // A colon in front belongs to the name.
        let colon = one.iter().skip(1).position(|byte| *byte == b':').map_or(one.len(), |at| at + 1);
        block.push(0);
        string(&mut block, &one[..colon]);
        string(&mut block, one.get(colon + 1..).unwrap_or_default());
    }
    block
}

/// A text with its length, in seven bits and as many more as it takes (RFC 7541, section 5.1).
fn string(block: &mut Vec<u8>, text: &[u8]) {
    match text.len().checked_sub(127) {
        None => block.push(text.len() as u8),
        Some(mut more) => {
            block.push(127);
            while more >= 128 {
                block.push((more % 128) as u8 | 128);
                more /= 128;
            }
            block.push(more as u8);
        }
    }
    block.extend_from_slice(text);
}
