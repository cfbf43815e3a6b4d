//! A place on a connection to a backend: one that others use already, or a new connection.

use std::io;
use std::rc::Rc;

use super::super::backend::Backend;
use super::super::settings::Protocol;
use super::super::stream::BackendIo;
use super::channel::Channel;
use super::greeting::{Accepted, Greeted};
use super::lines::{Lines, Opening};
use super::sender::Sender;
use super::{Lease, Pool, Tries};

/// What a request is sent with, whether a connection was waited for, and the way to have the connection afterwards.
type Reached = (Sender, bool, Option<Box<Lease>>);

impl Pool {
    /// Something to send with to `backend`, when none of its idle connections will do.
    ///
    /// # Errors
    /// When it does not accept.
    pub(super) async fn reach(&self, backend: &Backend, lines: &Rc<Lines>, tries: &Tries) -> io::Result<Reached> {
        // Another protocol is switched to from HTTP/1.1.
        let http1 = self.standing.settings.protocol == Protocol::Http1 || tries.offer.is_some();
        if http1 {
            return match self.standing.connect(backend, true).await? {
                Accepted::Http1(stream) => self.alone(stream, tries).await,
                Accepted::Http2(_) => Err(io::Error::other("it speaks HTTP/2 where HTTP/1.1 was asked for")),
            };
        }
        // Boxed: what all others wait for would be larger by all that it needs.
        Box::pin(self.join(backend, lines, tries)).await
    }

    /// A connection of its own.
    async fn alone(&self, stream: BackendIo, tries: &Tries) -> io::Result<Reached> {
        let (sender, lease) = self.open(stream, tries.offer.as_ref()).await?;
        self.metrics.opened.increment(1);
        Ok((Sender::Http1(sender), true, lease))
    }

    /// A place beside others, if the backend speaks HTTP/2.
    async fn join(&self, backend: &Backend, lines: &Rc<Lines>, tries: &Tries) -> io::Result<Reached> {
        let line = lines.of(tries.carried);
        let mut waited = false;
        loop {
            if let Some(place) = line.reserve() {
                return Ok((self.shared(place), waited, None));
            }
            if lines.prefers_http1.get() || !line.will_have_room() {
                break;
            }
            waited = true;
            if !line.wait().await {
                return Err(io::Error::other("no connection could be made"));
            }
        }
        let opening = Opening::begins(lines, tries.carried);
        match self.standing.connect(backend, false).await {
            Ok(Accepted::Http2(greeted)) => self.enter(*greeted, opening),
            Ok(Accepted::Http1(stream)) => {
                lines.prefers_http1.set(true);
                drop(opening);
                self.alone(stream, tries).await
            }
            Err(error) => {
                opening.fails();
                Err(error)
            }
        }
    }

    fn enter(&self, greeted: Greeted, opening: Opening) -> io::Result<Reached> {
        self.metrics.opened.increment(1);
        let place = opening.ends_with(Channel::open(greeted, &self.account));
        let place = place.ok_or_else(|| io::Error::other("it takes no requests on a new connection"))?;
        Ok((self.shared(place), true, None))
    }

    fn shared(&self, place: super::channel::Place) -> Sender {
        Sender::Http2 { place: Some(place), secure: self.standing.tls.is_some() }
    }
}
