//! A client that says what a test says, byte for byte.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};

use super::wire::{Message, Wire};

/// One connection to the proxy.
pub struct Client(Wire);

impl Client {
    #[track_caller]
    pub fn to(address: SocketAddr) -> Client {
        Client(Wire::new(TcpStream::connect(address).expect("the proxy accepts connections")))
    }

    /// The client at the end of this connection.
    pub fn over(stream: TcpStream) -> Client {
        Client(Wire::new(stream))
    }

    /// Send these bytes.
    #[track_caller]
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.say(bytes.as_ref()).expect("the proxy reads what it is sent");
    }

    /// Send these bytes, which the proxy may well not want to read to the end.
    pub fn try_to_say(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.say(bytes.as_ref());
    }

    /// The next answer, whole.
    #[track_caller]
    pub fn answer(&mut self) -> Message {
        self.0.answer(false).expect("a whole answer").expect("an answer, not the end of the connection")
    }

    /// Send `request` and wait for its answer.
    #[track_caller]
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Message {
        self.say(request);
        self.answer()
    }

    #[track_caller]
    pub fn get(&mut self, path: &str) -> Message {
        self.ask(get(path))
    }

    #[track_caller]
    pub fn head(&mut self, path: &str) -> Message {
        self.say(format!("HEAD {path} HTTP/1.1\r\nhost: bet.example\r\n\r\n"));
        self.0.answer(true).expect("a whole answer").expect("an answer, not the end of the connection")
    }

    #[track_caller]
    pub fn post(&mut self, path: &str, body: &str) -> Message {
        self.ask(post(path, body))
    }

    /// The proxy closes the connection, and says nothing more before it does.
    #[track_caller]
    pub fn is_closed(&mut self) {
        let rest = self.rest();
        assert!(rest.is_empty(), "more was said: {:?}", String::from_utf8_lossy(&rest));
    }

    /// Everything until the proxy closes the connection, in whatever way it does.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        match self.0.rest() {
            Ok(rest) => rest,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Vec::new(),
            Err(error) => panic!("the connection is still open: {error}"),
        }
    }

    /// The connection, to read it piece by piece.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.0
    }
}

/// The least GET there is.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: bet.example\r\n\r\n")
}

/// The least POST there is.
pub fn post(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: bet.example\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}
