//! Backends that speak HTTP/2: one that is sound, with a script for each request, and one that says frames as bytes.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request, Response};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::LocalSet;
use tokio_rustls::TlsAcceptor;

use super::backend::Connection;
use super::http2_client::{END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, SETTINGS, frame};
use super::until;

/// Listens until it is dropped.
pub struct Http2Backend {
    pub address: SocketAddr,
    seen: Arc<Seen>,
    stop: Option<oneshot::Sender<()>>,
    runs: Option<JoinHandle<()>>,
}

/// How it is set up.
#[derive(Clone, Default)]
pub struct How {
    /// Streams at once on one connection.
    pub streams: Option<u32>,
    /// Bytes of a body that it takes before it makes room.
    pub window: Option<u32>,
    pub tls: Option<Arc<ServerConfig>>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Request<()>>>,
    connections: AtomicUsize,
    ended: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    taken_back: Mutex<Vec<Reason>>,
    farewell: Notify,
}

/// A request that it was asked.
pub struct Call {
    pub request: Request<()>,
    pub body: RecvStream,
    answer: SendResponse<Bytes>,
    seen: Arc<Seen>,
}

impl Http2Backend {
    /// Each request is given to `script`.
    pub fn new<F: Future<Output = ()> + 'static>(script: impl Fn(Call) -> F + Send + 'static) -> Http2Backend {
        Http2Backend::with(How::default(), script)
    }

    /// One that is set up so.
    pub fn with<F: Future<Output = ()> + 'static>(
        how: How,
        script: impl Fn(Call) -> F + Send + 'static,
    ) -> Http2Backend {
        let listener = StdListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("an option of sockets");
        let address = listener.local_addr().expect("a bound socket");
        let (stop, stopped) = oneshot::channel::<()>();
        let seen = Arc::new(Seen::default());
        let watched = seen.clone();
        let runs = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let serve = async {
                tokio::select! {
                    () = accept(listener, how, script, watched) => {}
                    _ = stopped => {}
                }
            };
            LocalSet::new().block_on(&runtime, serve);
        });
        Http2Backend { address, seen, stop: Some(stop), runs: Some(runs) }
    }

    /// Answers everything `ok`.
    pub fn answering() -> Http2Backend {
        Http2Backend::new(|mut call| async move {
            call.read().await;
            call.tell("ok").await;
        })
    }

    pub fn requests(&self) -> usize {
        self.seen.requests.lock().expect("no script panics").len()
    }

    /// The request that it was asked as that many-th.
    #[track_caller]
    pub fn request(&self, place: usize) -> (http::request::Parts, ()) {
        let requests = self.seen.requests.lock().expect("no script panics");
        let request = &requests[place];
        let mut copy = Request::new(());
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.headers_mut() = request.headers().clone();
        copy.into_parts()
    }

    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// How many of them have ended.
    pub fn ended(&self) -> usize {
        self.seen.ended.load(Ordering::SeqCst)
    }

    /// The most requests that were under way at once.
    pub fn most_at_once(&self) -> usize {
        self.seen.most_at_once.load(Ordering::SeqCst)
    }

    /// The reasons for which requests were taken back.
    pub fn taken_back(&self) -> Vec<Reason> {
        self.seen.taken_back.lock().expect("no script panics").clone()
    }

    /// Say on all connections that this is the end.
    pub fn say_farewell(&self) {
        self.seen.farewell.notify_waiters();
    }

    #[track_caller]
    pub fn until_asked(&self, times: usize) {
        until("the backend has been asked", || self.requests() >= times);
    }
}

impl Drop for Http2Backend {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(runs) = self.runs.take() {
            let _ = runs.join();
        }
    }
}

async fn accept<F: Future<Output = ()> + 'static>(
    listener: StdListener,
    how: How,
    script: impl Fn(Call) -> F + 'static,
    seen: Arc<Seen>,
) {
    let listener = TcpListener::from_std(listener).expect("a listening socket");
    let script = Rc::new(script);
    while let Ok((stream, _)) = listener.accept().await {
        let (how, script, seen) = (how.clone(), script.clone(), seen.clone());
        seen.connections.fetch_add(1, Ordering::SeqCst);
        tokio::task::spawn_local(async move {
            match how.tls.clone() {
                None => converse(stream, &how, script, seen.clone()).await,
                Some(tls) => {
                    if let Ok(stream) = TlsAcceptor::from(tls).accept(stream).await {
                        converse(stream, &how, script, seen.clone()).await;
                    }
                }
            }
            seen.ended.fetch_add(1, Ordering::SeqCst);
        });
    }
}

async fn converse<S, F>(stream: S, how: &How, script: Rc<impl Fn(Call) -> F + 'static>, seen: Arc<Seen>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = ()> + 'static,
{
    let mut builder = Builder::new();
    builder.max_concurrent_streams(how.streams.unwrap_or(100));
    builder.initial_window_size(how.window.unwrap_or(1 << 20));
    let Ok(mut connection) = builder.handshake(stream).await else { return };
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept() => accepted,
            () = seen.farewell.notified() => {
                connection.graceful_shutdown();
                continue;
            }
        };
        let Some(Ok((request, answer))) = accepted else { return };
        let (parts, body) = request.into_parts();
        let now = seen.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most_at_once.fetch_max(now, Ordering::SeqCst);
        let call = Call { request: Request::from_parts(parts.clone(), ()), body, answer, seen: seen.clone() };
        seen.requests.lock().expect("no script panics").push(Request::from_parts(parts, ()));
        let (script, seen) = (script.clone(), seen.clone());
        tokio::task::spawn_local(async move {
            script(call).await;
            seen.at_once.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

impl Call {
    /// Read the request to its end: its body and its trailers.
    pub async fn read(&mut self) -> (Vec<u8>, HeaderMap) {
        let mut all = Vec::new();
        while let Some(Ok(piece)) = self.body.data().await {
            all.extend_from_slice(&piece);
            let _ = self.body.flow_control().release_capacity(piece.len());
        }
        (all, self.body.trailers().await.ok().flatten().unwrap_or_default())
    }

    /// Answer with this text.
    pub async fn tell(self, text: &str) {
        self.answer(Response::new(()), text, None).await;
    }

    /// Answer so.
    pub async fn answer(mut self, head: Response<()>, body: &str, trailers: Option<HeaderMap>) {
        let Some(mut stream) = self.head(head, body.is_empty() && trailers.is_none()) else { return };
        if !body.is_empty() {
            send(&mut stream, Bytes::copy_from_slice(body.as_bytes()), trailers.is_none()).await;
        }
        if let Some(trailers) = trailers {
            let _ = stream.send_trailers(trailers);
        }
    }

    /// Begin to answer.
    pub fn head(&mut self, head: Response<()>, last: bool) -> Option<SendStream<Bytes>> {
        self.answer.send_response(head, last).ok()
    }

    /// Wait until the request is taken back, and note why.
    pub async fn until_taken_back(&mut self) {
        let reason = std::future::poll_fn(|context| self.answer.poll_reset(context)).await;
        self.seen.taken_back.lock().expect("no script panics").extend(reason.ok());
    }
}

/// Send a piece as there is room for it.
pub async fn send(stream: &mut SendStream<Bytes>, mut data: Bytes, last: bool) {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let Some(Ok(room)) = std::future::poll_fn(|context| stream.poll_capacity(context)).await else { return };
        let piece = data.split_to(room.min(data.len()));
        let _ = stream.send_data(piece, last && data.is_empty());
    }
}

/// A connection on which the backend says what a test says, frame by frame.
pub struct Frames<'a>(&'a mut Connection);

pub const DATA: u8 = 0;
pub const ACK: u8 = 1;
/// `:status: 200`, as HPACK writes it.
pub const STATUS_200: u8 = 0x88;

impl<'a> Frames<'a> {
    /// Say hello, with these settings.
    pub fn hello(connection: &'a mut Connection, settings: &[(u16, u32)]) -> io::Result<Frames<'a>> {
        let payload: Vec<u8> =
            settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
        connection.wire().exactly(24)?;
        connection.say(frame(SETTINGS, 0, 0, &payload))?;
        Ok(Frames(connection))
    }

    /// The next frame, as kind, flags, stream and payload; what must be acknowledged is.
    pub fn next(&mut self) -> io::Result<(u8, u8, u32, Vec<u8>)> {
        let head = self.0.wire().exactly(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let payload = self.0.wire().exactly(length)?;
        let (kind, flags) = (head[3], head[4]);
        if matches!(kind, PING | SETTINGS) && flags & ACK == 0 {
            let echo = if kind == PING { &payload[..] } else { &[] };
            self.say(kind, ACK, 0, echo)?;
        }
        Ok((kind, flags, stream, payload))
    }

    /// The next frame of this kind: its stream.
    pub fn until(&mut self, wanted: u8) -> io::Result<u32> {
        loop {
            let (kind, _, stream, _) = self.next()?;
            if kind == wanted {
                return Ok(stream);
            }
        }
    }

    pub fn say(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.0.say(frame(kind, flags, stream, payload))
    }

    /// The head of a plain answer without a body.
    pub fn answer(&mut self, stream: u32) -> io::Result<()> {
        self.say(HEADERS, END_HEADERS | END_STREAM, stream, &[STATUS_200])
    }

    /// This is the end, and nothing behind that stream was looked at.
    pub fn farewell(&mut self, last: u32) -> io::Result<()> {
        self.say(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
    }

    /// Everything until the proxy hangs up.
    pub fn until_closed(&mut self) -> io::Result<()> {
        loop {
            self.next()?;
        }
    }
}
