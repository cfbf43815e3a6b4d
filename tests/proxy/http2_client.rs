//! A client of HTTP/2, which asks several things at once; and frames as bytes, for those that no sound client sends.

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};
use tokio_rustls::TlsConnector;

use super::certificates::Tls;
use super::client::Client;
use super::wire::{GUARD, Message};

/// One connection.
pub struct Http2 {
    requests: SendRequest<Bytes>,
    handle: Handle,
    end: mpsc::Receiver<Result<(), h2::Error>>,
}

/// A request that has been sent.
pub struct Asked {
    response: ResponseFuture,
    body: SendStream<Bytes>,
    handle: Handle,
}

/// A request whose answer has begun before it ended.
pub struct Talk {
    body: SendStream<Bytes>,
    answer: RecvStream,
    handle: Handle,
}

impl Http2 {
    /// In the clear, by prior knowledge.
    #[track_caller]
    pub fn to(address: SocketAddr) -> Http2 {
        Http2::open(async move { TcpStream::connect(address).await }, 1 << 20)
    }

    /// One that takes so many bytes of an answer before it must make room for more.
    #[track_caller]
    pub fn with_window(address: SocketAddr, window: u32) -> Http2 {
        Http2::open(async move { TcpStream::connect(address).await }, window)
    }

    /// Through TLS.
    #[track_caller]
    pub fn secure(tls: &Tls, address: SocketAddr, name: &'static str) -> Http2 {
        let connector = TlsConnector::from(tls.config());
        let connect = async move {
            let stream = TcpStream::connect(address).await?;
            let stream = connector.connect(name.try_into().unwrap(), stream).await?;
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            Ok(stream)
        };
        Http2::open(connect, 1 << 20)
    }

    #[track_caller]
    fn open<S>(connect: impl Future<Output = io::Result<S>> + Send + 'static, window: u32) -> Http2
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (ends, end) = mpsc::channel();
        let (opens, opened) = mpsc::channel();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let handle = runtime.handle().clone();
        std::thread::spawn(move || {
            runtime.block_on(async move {
                let stream = connect.await.unwrap();
                let mut builder = h2::client::Builder::new();
                builder.initial_window_size(window).initial_connection_window_size(1 << 24);
                let (requests, connection) = builder.handshake(stream).await.unwrap();
                opens.send(requests).unwrap();
                let _ = ends.send(connection.await);
            });
        });
        Http2 { requests: opened.recv_timeout(GUARD).expect("a connection"), handle, end }
    }

    /// Send a request; its body, if it is to have one, is sent with what comes back.
    #[track_caller]
    pub fn send(&mut self, request: Request<()>, has_body: bool) -> Asked {
        let (response, body) = self.requests.send_request(request, !has_body).expect("an open connection");
        Asked { response, body, handle: self.handle.clone() }
    }

    #[track_caller]
    pub fn get(&mut self, path: &str) -> Asked {
        self.send(get(path), false)
    }

    #[track_caller]
    pub fn post(&mut self, path: &str, body: &str) -> Asked {
        let mut asked = self.send(Request::post(format!("http://bet.example{path}")).body(()).unwrap(), true);
        asked.say(body, true);
        asked
    }

    /// How many requests the proxy allows at once.
    pub fn streams(&self) -> usize {
        self.requests.current_max_send_streams()
    }

    /// The proxy has said that this is the end, and closed.
    #[track_caller]
    pub fn is_closed(&self) {
        self.end.recv_timeout(GUARD).expect("the connection is still open").expect("no error");
    }
}

impl Asked {
    /// Send a piece of the body.
    pub fn say(&mut self, piece: &str, last: bool) {
        let _ = self.body.send_data(Bytes::copy_from_slice(piece.as_bytes()), last);
    }

    /// End the body with these.
    pub fn trailers(&mut self, trailers: HeaderMap) {
        self.body.send_trailers(trailers).expect("an open stream");
    }

    /// Wait for the head of the answer, and go on.
    #[track_caller]
    pub fn talk(self) -> Talk {
        let Asked { response, body, handle } = self;
        let response = handle.block_on(async { tokio::time::timeout(GUARD, response).await });
        let response = response.expect("an answer does not take so long").expect("an answer");
        assert_eq!(response.status(), 200);
        Talk { body, answer: response.into_body(), handle }
    }

    /// Take the request back.
    pub fn take_back(mut self) {
        self.body.send_reset(Reason::CANCEL);
    }

    /// The whole answer.
    #[track_caller]
    pub fn answer(self) -> Message {
        self.try_answer().expect("a whole answer")
    }

    /// The whole answer, or how it broke off.
    pub fn try_answer(self) -> Result<Message, h2::Error> {
        let Asked { response, handle, body: _body } = self;
        handle.block_on(async {
            let guarded = tokio::time::timeout(GUARD, async {
                let (head, mut body) = response.await?.into_parts();
                let mut text = format!("HTTP/2 {}", head.status.as_u16());
                for (name, value) in &head.headers {
                    text += &format!("\r\n{name}: {}", value.to_str().unwrap_or_default());
                }
                let (body, trailers) = read(&mut body).await?;
                Ok(Message { head: text, body, trailers })
            });
            guarded.await.expect("an answer does not take so long")
        })
    }

    /// The head of the answer; its body is not looked at until what comes back is read.
    #[track_caller]
    pub fn head(self) -> (http::StatusCode, RecvStream, Handle) {
        let Asked { response, handle, .. } = self;
        let response = handle.block_on(async { tokio::time::timeout(GUARD, response).await });
        let (head, body) = response.expect("an answer does not take so long").expect("an answer").into_parts();
        (head.status, body, handle)
    }
}

impl Talk {
    pub fn say(&mut self, piece: &str, last: bool) {
        self.body.send_data(Bytes::copy_from_slice(piece.as_bytes()), last).expect("an open stream");
    }

    /// The next piece of the answer.
    #[track_caller]
    pub fn hear(&mut self) -> String {
        let answer = &mut self.answer;
        let piece = self.handle.block_on(async { tokio::time::timeout(GUARD, answer.data()).await });
        let piece = piece.expect("it does not take so long").expect("not the end").expect("a piece");
        String::from_utf8(piece.to_vec()).expect("text")
    }

    /// The end of the answer, and its trailers.
    #[track_caller]
    pub fn end(mut self) -> Vec<String> {
        let answer = &mut self.answer;
        let rest = self.handle.block_on(async { tokio::time::timeout(GUARD, read(answer)).await });
        let (rest, trailers) = rest.expect("it does not take so long").expect("it ends as it should");
        assert!(rest.is_empty());
        trailers
    }
}

async fn read(body: &mut RecvStream) -> Result<(Vec<u8>, Vec<String>), h2::Error> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        bytes.extend_from_slice(&piece);
        body.flow_control().release_capacity(piece.len())?;
    }
    let trailers = body.trailers().await?.unwrap_or_default();
    let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    Ok((bytes, trailers.iter().map(line).collect()))
}

/// The least GET there is.
pub fn get(path: &str) -> Request<()> {
    Request::get(format!("http://bet.example{path}")).body(()).unwrap()
}

/// What a connection of HTTP/2 begins with: the preface and empty settings.
pub fn hello() -> Vec<u8> {
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &[])].concat()
}

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Header lines of a GET for this path, in HPACK without anything clever.
pub fn lines(path: &str) -> Vec<u8> {
    let text = |index: u8, text: &str| [&[index, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0x82, 0x86], text(4, path), text(1, "bet.example")].concat()
}

/// Header lines of a POST to this path.
pub fn post(path: &str) -> Vec<u8> {
    [&[0x83][..], &lines(path)[1..]].concat()
}

/// Another header line.
pub fn line(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// Kind, flags, stream and payload of every frame that the proxy sends until it closes.
pub fn frames(client: &mut Client) -> Vec<(u8, u8, u32, Vec<u8>)> {
    frames_of(&client.wire().all().expect("the connection is closed"))
}

/// Kind, flags, stream and payload of every frame that is here whole.
pub fn frames_of(said: &[u8]) -> Vec<(u8, u8, u32, Vec<u8>)> {
    let (mut frames, mut rest) = (Vec::new(), said);
    while let Some((head, behind)) = rest.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let Some((payload, behind)) = behind.split_at_checked(length) else { break };
        frames.push((head[3], head[4], stream, payload.to_vec()));
        rest = behind;
    }
    frames
}

/// The code of the last GOAWAY of these frames, if there is one.
pub fn farewell(frames: &[(u8, u8, u32, Vec<u8>)]) -> Option<u32> {
    let last = frames.iter().rev().find(|(kind, ..)| *kind == GOAWAY)?;
    Some(u32::from_be_bytes(last.3[4..8].try_into().unwrap()))
}
