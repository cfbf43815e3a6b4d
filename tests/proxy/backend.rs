//! A backend that does what a test says: each connection is given to a script, on a thread of its own.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::until;
use super::wire::{GUARD, Message, Wire};

/// Listens until it is dropped.
pub struct Backend {
    pub address: SocketAddr,
    seen: Arc<Seen>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Message>>,
    connections: AtomicUsize,
    stopped: AtomicBool,
}

/// One connection of the proxy's, from the backend's end.
pub struct Connection {
    wire: Wire,
    seen: Arc<Seen>,
}

/// An address that is taken but refuses connections.
pub struct Refusing(Socket);

/// A door that scripts wait at until the test lets them through.
#[derive(Clone, Default)]
pub struct Door(Arc<(Mutex<usize>, Condvar)>);

/// The least answer there is.
pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

impl Backend {
    /// Each connection is given to `script`; what it fails with is the proxy's having left.
    pub fn new(script: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static) -> Backend {
        Refusing::somewhere().accept(script)
    }

    /// Answers every request with these bytes.
    pub fn answering(raw: impl AsRef<[u8]>) -> Backend {
        let raw = raw.as_ref().to_vec();
        Backend::new(move |connection| {
            while connection.request()?.is_some() {
                connection.say(&raw)?;
            }
            Ok(())
        })
    }

    /// Answers `ok`, each request only when it is let through the door.
    pub fn behind(door: &Door) -> Backend {
        let door = door.clone();
        Backend::new(move |connection| {
            while connection.request()?.is_some() {
                door.pass();
                connection.say(OK)?;
            }
            Ok(())
        })
    }

    /// What it has been asked, in the order in which it had read it.
    pub fn requests(&self) -> Vec<Message> {
        self.seen.requests.lock().expect("no script panics").clone()
    }

    /// The only thing it has been asked.
    #[track_caller]
    pub fn request(&self) -> Message {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{:#?}", requests.iter().map(Message::start).collect::<Vec<_>>());
        requests.into_iter().next().expect("just counted")
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Wait until it has been asked so often.
    #[track_caller]
    pub fn until_asked(&self, times: usize) {
        until("the backend has been asked", || self.requests().len() >= times);
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.seen.stopped.store(true, Ordering::SeqCst);
        let _ = std::net::TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

impl Refusing {
    pub fn somewhere() -> Refusing {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
        Refusing(socket)
    }

    /// At an address that may be taken again soon after, as a backend that restarts takes its own.
    pub fn at(address: SocketAddr) -> Refusing {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(true).expect("an option of sockets");
        socket.bind(&address.into()).expect("nobody else has taken it");
        Refusing(socket)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("a bound socket").as_socket().expect("an IP address")
    }

    /// Accept connections from now on.
    pub fn accept(self, script: impl Fn(&mut Connection) -> io::Result<()> + Send + Sync + 'static) -> Backend {
        self.0.listen(1024).expect("a bound socket");
        let address = self.address();
        let (listener, seen) = (TcpListener::from(self.0), Arc::new(Seen::default()));
        let (script, watched) = (Arc::new(script), seen.clone());
        let accepting = std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if watched.stopped.load(Ordering::SeqCst) {
                    return;
                }
                watched.connections.fetch_add(1, Ordering::SeqCst);
                let mut connection = Connection { wire: Wire::new(stream), seen: watched.clone() };
                let script = script.clone();
                std::thread::spawn(move || {
                    let _ = script(&mut connection);
                });
            }
        });
        Backend { address, seen, accepting: Some(accepting) }
    }
}

impl Connection {
    /// The next request, whole; nothing when the proxy has closed the connection.
    pub fn request(&mut self) -> io::Result<Option<Message>> {
        let request = self.wire.request()?;
        self.note(request.as_ref());
        Ok(request)
    }

    /// The head of the next request, its body unread.
    pub fn head(&mut self) -> io::Result<Option<Message>> {
        let head = self.wire.head()?;
        self.note(head.as_ref());
        Ok(head)
    }

    pub fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.say(bytes.as_ref())
    }

    /// Reset the connection when the script ends.
    pub fn reset(&mut self) -> io::Result<()> {
        self.wire.reset()
    }

    /// The connection, to read it piece by piece.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    fn note(&self, request: Option<&Message>) {
        if let Some(request) = request {
            self.seen.requests.lock().expect("no script panics").push(request.clone());
        }
    }
}

impl Door {
    /// Wait to be let through.
    pub fn pass(&self) {
        let (free, moved) = &*self.0;
        let free = free.lock().expect("nobody panics at a door");
        let (mut free, _) = moved.wait_timeout_while(free, GUARD, |free| *free == 0).expect("nobody panics at a door");
        // A door that was opened stays open.
        if *free != usize::MAX {
            *free = free.saturating_sub(1);
        }
    }

    /// Let one through.
    pub fn let_one(&self) {
        *self.0.0.lock().expect("nobody panics at a door") += 1;
        self.0.1.notify_one();
    }

    /// Let everybody through from now on.
    pub fn open(&self) {
        *self.0.0.lock().expect("nobody panics at a door") = usize::MAX;
        self.0.1.notify_all();
    }
}

/// A backend that answers nobody: its line of connections that nobody has accepted is full, and the kernel is silent.
pub struct Silent {
    address: SocketAddr,
    _listener: TcpListener,
    _held: Vec<TcpStream>,
}

impl Silent {
    pub fn somewhere() -> Silent {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a free port");
        socket.listen(0).expect("a bound socket");
        let listener = TcpListener::from(socket);
        let address = listener.local_addr().expect("a bound socket");
        let patience = Duration::from_millis(300);
        let held = std::iter::from_fn(|| TcpStream::connect_timeout(&address, patience).ok()).collect();
        Silent { address, _listener: listener, _held: held }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
