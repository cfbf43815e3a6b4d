//! What a process is given at its start: by the one it follows, or by systemd.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use listenfd::ListenFd;
use socket2::{Domain, SockRef, Type};

use super::words::{self, Leave, News};
use crate::proxy::keys::Keys;

/// Sockets that somebody else has opened for us.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: Vec<(String, TcpListener)>,
    predecessor: Option<Predecessor>,
    known: Option<UnixStream>,
}

/// What is used of them.
#[derive(Debug, Default)]
pub struct Sorted {
    /// Where clients come in; none when that is to be opened.
    pub clients: Vec<TcpListener>,
    /// Where operators come in.
    pub admin: Option<TcpListener>,
}

/// The process that runs until we are ready.
#[derive(Debug)]
pub struct Predecessor(UnixStream);

/// What sockets are called on their way (`FileDescriptorName=` of a systemd socket).
pub(super) const CLIENTS: &str = "clients";
pub(super) const ADMIN: &str = "admin";
pub(super) const PREDECESSOR: &str = "predecessor";
/// The way that what is known comes.
pub(super) const KNOWN: &str = "known";
/// How long the journal may be waited for. Its holder waits for orders under way, and ends us if it waits for too long.
const PATIENCE: Duration = Duration::from_secs(60);

impl Inherited {
    /// What this process was given. For its start: it forgets the variables that say so.
    ///
    /// # Errors
    /// When what was handed over is no socket that TCP connections come in by.
    pub fn from_environment() -> Result<Inherited, String> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut given = ListenFd::from_env();
        let mut inherited = Inherited::default();
        for index in 0..given.len() {
            let name = names.next().unwrap_or_default();
            let taken = match name {
                PREDECESSOR => pair(&mut given, index).map(|stream| inherited.predecessor = stream.map(Predecessor)),
                KNOWN => pair(&mut given, index).map(|stream| inherited.known = stream),
                _ => listening(&mut given, index).map(|socket| inherited.sockets.push((name.to_owned(), socket))),
            };
            taken.map_err(|error| {
                format!(
                    "socket {index} ({name:?}) that was handed over cannot be used: {error}; give a systemd socket \
                     ListenStream= with an IP address and a port"
                )
            })?;
        }
        Ok(inherited)
    }

    /// Which of the sockets are for what. Those that a predecessor had at addresses that are not configured any more stay
    /// with it.
    ///
    /// # Errors
    /// When systemd opened an address that is not configured: it would be open, and nobody would answer there.
    pub fn sort(&mut self, listen: SocketAddr, admin: SocketAddr) -> Result<Sorted, String> {
        let mut sorted = Sorted::default();
        for (name, socket) in std::mem::take(&mut self.sockets) {
            let address = socket.local_addr().map_err(|error| format!("a socket without an address: {error}"))?;
            let (here, there) = (is_at(listen, address), is_at(admin, address));
            match name.as_str() {
                CLIENTS if here => sorted.clients.push(socket),
                ADMIN if there => sorted.admin = Some(socket),
                // A predecessor names its sockets.
                CLIENTS | ADMIN if self.predecessor.is_some() => {}
                CLIENTS => return Err(misplaced(address, "[listen] address", listen)),
                ADMIN => return Err(misplaced(address, "[admin] address", admin)),
                _ if here => sorted.clients.push(socket),
                _ if there => sorted.admin = Some(socket),
                _ => return Err(misplaced(address, "[listen] address", listen)),
            }
        }
        Ok(sorted)
    }

    /// The process that is followed, if there is one.
    pub fn predecessor(&mut self) -> Option<&mut Predecessor> {
        self.predecessor.as_mut()
    }

    /// The way by which what that process knows comes, to be [taken over](super::take_over).
    pub(crate) fn take_known(&mut self) -> Option<UnixStream> {
        self.known.take()
    }

    /// The same, for whoever tells it what came of all this.
    pub fn into_predecessor(self) -> Option<Predecessor> {
        self.predecessor
    }
}

impl Predecessor {
    /// All is well so far. Comes back when the journal is ours, with the keys of that process.
    pub fn sound(&mut self) -> Keys {
        self.ask_to_go().unwrap_or_else(|error| {
            // It is gone, or would have ended us: somebody must serve.
            tracing::warn!(%error, "no word from the process before this one: going on without it");
            Keys::default()
        })
    }

    fn ask_to_go(&mut self) -> io::Result<Keys> {
        self.0.write_all(&words::line(&News::Sound)?)?;
        self.0.set_read_timeout(Some(PATIENCE))?;
        let mut line = Vec::new();
        // Byte by byte, or what comes later would be lost in a buffer.
        BufReader::with_capacity(1, &self.0).take(64 << 10).read_until(b'\n', &mut line)?;
        let Leave::Go { keys } = serde_json::from_slice(&line)?;
        Ok(keys)
    }

    /// We will not start, and this is why.
    pub fn failed(&mut self, why: &str) {
        self.say(&News::Failed { why: why.to_owned() });
    }

    /// We take requests, through these of its sockets.
    pub fn ready(&mut self, clients: bool, admin: bool) {
        self.say(&News::Ready { clients, admin });
    }

    fn say(&mut self, news: &News) {
        let said = words::line(news).and_then(|line| self.0.write_all(&line));
        if let Err(error) = said {
            tracing::warn!(%error, "the process before this one does not listen any more");
        }
    }

    /// What is said to it from now on goes by HTTP.
    pub(super) fn into_stream(self) -> UnixStream {
        self.0
    }
}

fn pair(given: &mut ListenFd, index: usize) -> io::Result<Option<UnixStream>> {
    given.take_custom(index, Domain::UNIX.into(), Type::STREAM.into(), "unix stream socket")
}

fn listening(given: &mut ListenFd, index: usize) -> io::Result<TcpListener> {
    let socket = given.take_tcp_listener(index)?.ok_or_else(|| io::Error::other("it was handed over twice"))?;
    if !SockRef::from(&socket).is_listener()? {
        return Err(io::Error::other("nobody can connect to it (Accept=yes?)"));
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether a socket at `address` is what was configured. Port 0 is any.
fn is_at(configured: SocketAddr, address: SocketAddr) -> bool {
    configured.ip() == address.ip() && (configured.port() == 0 || configured.port() == address.port())
}

fn misplaced(address: SocketAddr, key: &str, configured: SocketAddr) -> String {
    format!(
        "a socket was handed over for {address}, which is not configured: {key} is \"{configured}\"; write the same \
         address in both, and FileDescriptorName=clients or FileDescriptorName=admin into the systemd socket"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> (TcpListener, SocketAddr) {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("it is bound");
        (socket, address)
    }

    fn handed(names: &[&str], predecessor: bool) -> (Inherited, Vec<SocketAddr>) {
        let (sockets, addresses): (Vec<_>, Vec<_>) = names.iter().map(|_| socket()).unzip();
        let sockets = names.iter().map(|name| (*name).to_owned()).zip(sockets).collect();
        let predecessor = predecessor.then(|| Predecessor(UnixStream::pair().expect("a pair").0));
        (Inherited { sockets, predecessor, known: None }, addresses)
    }

    #[test]
    fn sockets_are_told_apart_by_name_and_without_one_by_address() {
        for names in [["clients", "admin"], ["sluss.socket", "sluss.socket"]] {
            let (mut inherited, at) = handed(&names, false);
            let sorted = inherited.sort(at[0], at[1]).expect("both are configured");
            assert_eq!(sorted.clients.len(), 1);
            assert_eq!(sorted.admin.expect("it was given").local_addr().expect("an address"), at[1]);
        }
    }

    #[test]
    fn a_socket_of_systemd_at_another_address_is_an_error_and_one_of_a_predecessor_is_left_to_it() {
        let elsewhere = "127.0.0.1:1".parse().expect("an address");
        for (names, key) in [(["clients"], "[listen] address"), (["admin"], "[admin] address"), (["x"], "[listen]")] {
            let said = handed(&names, false).0.sort(elsewhere, elsewhere).expect_err("nobody would answer there");
            assert!(said.contains(key) && said.contains("FileDescriptorName"), "{said}");
        }
        let sorted = handed(&["clients", "admin"], true).0.sort(elsewhere, elsewhere).expect("it goes on there");
        assert!(sorted.clients.is_empty() && sorted.admin.is_none());
    }
}
