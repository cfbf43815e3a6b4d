//! TLS towards clients: which certificate a name gets, and what is changed while connections are open.
//!
//! One configuration of rustls for all workers, so that a ticket from one resumes a session on another. Each handshake takes
//! it as it is at that time; a new one counts for those who come after.

pub mod certificate;
pub mod backends;
pub(crate) mod tickets;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rustls::crypto::ring;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use tokio_rustls::TlsAcceptor;

use super::settings::{ClientCertificates, ListenSettings, TlsSettings, TlsVersion};
use crate::telemetry::export::Registry;
use crate::telemetry::record::TlsMetrics;
use tickets::{TicketKeys, Tickets};

/// What handshakes are made with.
pub struct Tls {
    config: Mutex<(Arc<ServerConfig>, Arc<Tickets>)>,
    http2: bool,
    pub(crate) metrics: TlsMetrics,
}

impl Tls {
    /// As configured; `None` where clients are spoken to in the clear. Sessions from `before` go on, and those whose tickets
    /// were sealed with the keys of the process before this one, unless somebody vouches for clients.
    pub(crate) fn new(
        listen: &ListenSettings,
        before: Option<&Tls>,
        inherited: Option<&TicketKeys>,
        registry: &Registry,
    ) -> Option<Arc<Tls>> {
        let metrics = TlsMetrics::new(registry);
        metrics.ends(listen.tls.as_ref().and_then(TlsSettings::ends));
        let settings = listen.tls.as_ref()?;
        let http2 = listen.http2.is_some();
        let tickets = match (before, inherited) {
            _ if settings.clients.is_some() => Tickets::new(),
            (Some(before), _) => before.now().1,
            (None, Some(keys)) => Tickets::of(keys),
            (None, None) => Tickets::new(),
        };
        Some(Arc::new(Tls { config: Mutex::new((config(settings, http2, &tickets), tickets)), http2, metrics }))
    }

    /// What the next handshake is made with.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.now().0)
    }

    /// From now on these certificates count. Sessions go on, unless somebody vouches for clients: who that is may be what
    /// has changed, and then nobody comes in on a ticket from before.
    pub fn change(&self, settings: &TlsSettings) {
        let tickets = if settings.clients.is_some() { Tickets::new() } else { self.now().1 };
        let changed = config(settings, self.http2, &tickets);
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = (changed, tickets);
        self.metrics.ends(settings.ends());
    }

    /// What the process that follows opens our tickets with.
    pub(crate) fn ticket_keys(&self) -> TicketKeys {
        self.now().1.keys()
    }

    fn now(&self) -> (Arc<ServerConfig>, Arc<Tickets>) {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl TlsSettings {
    /// When the first certificate runs out.
    pub fn ends(&self) -> Option<Timestamp> {
        self.certificates.iter().map(|certificate| certificate.ends).min()
    }

    /// What is sound and may be a mistake all the same: a certificate that has run out, or is about to.
    pub fn doubts(&self, now: Timestamp) -> Vec<String> {
        let named = self.files.iter().zip(&self.certificates);
        let doubt = |(files, certificate): (&super::settings::CertificateFiles, &certificate::Certificate)| {
            let days = certificate.ends.duration_since(now).as_hours() / 24;
            let (chain, ends) = (files.chain.display(), certificate.ends);
            let what = match days {
                _ if certificate.ends <= now => format!("ran out at {ends}: clients do not connect"),
                0..SOON => format!("runs out at {ends}"),
                _ => return None,
            };
            Some(format!("{chain}: a certificate {what}; put a new one in its place, which is taken within seconds"))
        };
        named.filter_map(doubt).collect()
    }
}

/// So many days before its end somebody should hear of a certificate that is not renewed.
const SOON: i64 = 14;

fn config(settings: &TlsSettings, http2: bool, tickets: &Arc<Tickets>) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let versions = match settings.minimum {
        TlsVersion::Tls12 => &[&TLS13, &TLS12][..],
        TlsVersion::Tls13 => &[&TLS13],
    };
    let config = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions);
    let config = config.expect("ring has ciphers for both versions");
    let config = match &settings.clients {
        None => config.with_no_client_auth(),
        Some(ClientCertificates { authorities, required, .. }) => {
            let clients = WebPkiClientVerifier::builder_with_provider(authorities.clone(), provider);
            let clients = if *required { clients } else { clients.allow_unauthenticated() };
            config
                .with_client_cert_verifier(clients.build().expect("there is an authority, and no list of revoked ones"))
        }
    };
    let mut config = config.with_cert_resolver(Arc::new(Certificates::new(settings)));
    config.ticketer = tickets.clone();
    // Tickets do the same for all workers, without a lock.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.alpn_protocols = if http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    Arc::new(config)
}

/// Certificates by the name that a client asks for.
#[derive(Debug)]
struct Certificates {
    /// For who asks for none that we have, or for none at all: the first of the file.
    first: Arc<CertifiedKey>,
    named: HashMap<String, Arc<CertifiedKey>>,
}

impl Certificates {
    fn new(settings: &TlsSettings) -> Certificates {
        let mut named = HashMap::new();
        for certificate in &settings.certificates {
            for name in &certificate.names {
                named.entry(name.clone()).or_insert_with(|| certificate.key.clone());
            }
        }
        Certificates { first: settings.certificates[0].key.clone(), named }
    }

    fn of(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = name.to_ascii_lowercase();
        let domain = || Some(format!("*.{}", name.split_once('.')?.1));
        self.named.get(&name).or_else(|| self.named.get(&domain()?))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let found = hello.server_name().and_then(|name| self.of(name));
        Some(found.unwrap_or(&self.first).clone())
    }
}
