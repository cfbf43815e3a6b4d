//! HTTP/1.1 as bytes, for both ends of a test: nothing is added, nothing is put right.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use rustls::{ClientConnection, HandshakeKind, ServerConnection, Stream};

/// Nothing in these tests takes so long unless it hangs.
pub const GUARD: Duration = Duration::from_secs(30);

/// A request or an answer as it came.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Start line and header lines, without the empty line at their end.
    pub head: String,
    /// What followed, with its chunks joined.
    pub body: Vec<u8>,
    /// Lines behind the last chunk.
    pub trailers: Vec<String>,
}

/// One end of a connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    tls: Option<Tls>,
    held: Vec<u8>,
}

/// What a connection goes through, from this end.
#[derive(Debug)]
enum Tls {
    Client(Box<ClientConnection>),
    Server(Box<ServerConnection>),
}

impl Message {
    /// The request line, or the status line.
    pub fn start(&self) -> &str {
        self.head.split("\r\n").next().unwrap_or_default()
    }

    /// The status of an answer.
    #[track_caller]
    pub fn status(&self) -> u16 {
        let status = self.start().split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no status in {:?}", self.start()))
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every header of this name, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers().filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head
            .split("\r\n")
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name, value.trim()))
    }

    fn length(&self) -> Option<usize> {
        self.header("content-length").and_then(|length| length.parse().ok())
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    }
}

impl Wire {
    pub fn new(stream: TcpStream) -> Wire {
        stream.set_read_timeout(Some(GUARD)).expect("a guard that is not zero");
        stream.set_write_timeout(Some(GUARD)).expect("a guard that is not zero");
        stream.set_nodelay(true).expect("a connected socket");
        Wire { stream, tls: None, held: Vec::new() }
    }

    /// Go on through TLS.
    pub fn secure(&mut self, mut tls: ClientConnection) -> io::Result<()> {
        while tls.is_handshaking() {
            tls.complete_io(&mut self.stream)?;
        }
        self.tls = Some(Tls::Client(Box::new(tls)));
        Ok(())
    }

    /// Go on through TLS, as the server.
    pub fn serve_secure(&mut self, mut tls: ServerConnection) -> io::Result<()> {
        while tls.is_handshaking() {
            tls.complete_io(&mut self.stream)?;
        }
        self.tls = Some(Tls::Server(Box::new(tls)));
        Ok(())
    }

    /// What is known of TLS, where this goes through it.
    #[track_caller]
    pub fn tls(&self) -> &ClientConnection {
        match &self.tls {
            Some(Tls::Client(tls)) => tls,
            other => panic!("it goes through no TLS of a client: {other:?}"),
        }
    }

    /// How the handshake went, seen from the server.
    pub fn handshake(&self) -> Option<HandshakeKind> {
        match &self.tls {
            Some(Tls::Server(tls)) => tls.handshake_kind(),
            _ => None,
        }
    }

    pub fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            None => self.stream.write_all(bytes),
            Some(Tls::Client(tls)) => say_all(&mut Stream::new(&mut **tls, &mut self.stream), bytes),
            Some(Tls::Server(tls)) => say_all(&mut Stream::new(&mut **tls, &mut self.stream), bytes),
        }
    }

    /// Another handle on the same connection, to write on while this one reads.
    pub fn twin(&self) -> Wire {
        Wire { stream: self.stream.try_clone().expect("a descriptor"), tls: None, held: Vec::new() }
    }

    /// What could be read now, without waiting: some bytes, or why not.
    pub fn peek(&self) -> Result<usize, ErrorKind> {
        self.stream.set_nonblocking(true).expect("a connected socket");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("a connected socket");
        peeked.map_err(|error| error.kind())
    }

    /// Let the kernel keep little for this end.
    pub fn takes_little(&self) {
        socket2::SockRef::from(&self.stream).set_recv_buffer_size(64 << 10).expect("an option of sockets");
    }

    /// No more will be said from this end.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Reset the connection when this end is dropped, instead of ending it.
    pub fn reset(&mut self) -> io::Result<()> {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
    }

    /// The next head, without what follows it; nothing when the other end has closed.
    pub fn head(&mut self) -> io::Result<Option<Message>> {
        let end = loop {
            if let Some(end) = self.held.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            match self.more()? {
                0 if self.held.is_empty() => return Ok(None),
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                _ => {}
            }
        };
        let head: Vec<u8> = self.held.drain(..end + 4).take(end).collect();
        Ok(Some(Message { head: String::from_utf8_lossy(&head).into_owned(), ..Message::default() }))
    }

    /// The next request, whole.
    pub fn request(&mut self) -> io::Result<Option<Message>> {
        let Some(mut request) = self.head()? else { return Ok(None) };
        if request.is_chunked() {
            self.chunks_into(&mut request)?;
        } else {
            request.body = self.exactly(request.length().unwrap_or(0))?;
        }
        Ok(Some(request))
    }

    /// The next answer, whole; `to_head` when it was asked for with HEAD.
    pub fn answer(&mut self, to_head: bool) -> io::Result<Option<Message>> {
        let Some(mut answer) = self.head()? else { return Ok(None) };
        if to_head || matches!(answer.status(), 100..=199 | 204 | 304) {
            return Ok(Some(answer));
        }
        if answer.is_chunked() {
            self.chunks_into(&mut answer)?;
        } else if let Some(length) = answer.length() {
            answer.body = self.exactly(length)?;
        } else {
            answer.body = self.rest()?;
        }
        Ok(Some(answer))
    }

    /// So many bytes.
    pub fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.held.len() < length {
            if self.more()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.held.drain(..length).collect())
    }

    /// One chunk; empty at the end, before the trailers.
    pub fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let size = self.line()?;
        let size = usize::from_str_radix(&size, 16).map_err(|_| io::Error::other(format!("chunk size {size:?}")))?;
        let data = self.exactly(size)?;
        if size > 0 {
            self.exactly(2)?;
        }
        Ok(data)
    }

    /// Everything until the other end closes.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.more()? > 0 {}
        Ok(std::mem::take(&mut self.held))
    }

    /// Everything until the other end closes in whatever way, or why that cannot be waited for.
    pub fn all(&mut self) -> io::Result<Vec<u8>> {
        loop {
            match self.more() {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Err(error),
                Err(_) => break,
            }
        }
        Ok(std::mem::take(&mut self.held))
    }

    fn chunks_into(&mut self, message: &mut Message) -> io::Result<()> {
        loop {
            let data = self.chunk()?;
            if data.is_empty() {
                break;
            }
            message.body.extend(data);
        }
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(());
            }
            message.trailers.push(line);
        }
    }

    fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.held.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.held.drain(..end + 2).take(end).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if self.more()? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn more(&mut self) -> io::Result<usize> {
        let mut piece = [0; 16 * 1024];
        let read = match &mut self.tls {
            None => self.stream.read(&mut piece)?,
            Some(Tls::Client(tls)) => Stream::new(&mut **tls, &mut self.stream).read(&mut piece)?,
            Some(Tls::Server(tls)) => Stream::new(&mut **tls, &mut self.stream).read(&mut piece)?,
        };
        self.held.extend_from_slice(&piece[..read]);
        Ok(read)
    }
}

fn say_all(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}
