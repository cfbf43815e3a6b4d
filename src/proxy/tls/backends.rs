//! TLS towards backends: whom they are taken for, and by whose word.
//!
//! There is no way to leave the certificate unlooked at. One that does not verify is a connection that failed, with its reason
//! in the log and in a metric; the backend is set aside like one that refuses.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::settings::{BackendSettings, CertificateFiles, Protocol, TlsVersion};
use super::certificate::Certificate;

/// What backends of one pool are spoken to with in secret.
#[derive(Clone, Debug)]
pub struct BackendTlsSettings {
    /// Where those come from that vouch for them; `None` when they are the platform's.
    pub file: Option<PathBuf>,
    /// What was read from it.
    pub authorities: Arc<RootCertStore>,
    /// The name in their certificates, where it is not that in their URL.
    pub server_name: Option<ServerName<'static>>,
    /// What they are shown of us, and where it comes from.
    pub certificate: Option<(CertificateFiles, Certificate)>,
    /// The oldest version that is spoken.
    pub minimum: TlsVersion,
}

/// Two that were written alike are the same, though files may have changed between two readings.
impl PartialEq for BackendTlsSettings {
    fn eq(&self, other: &BackendTlsSettings) -> bool {
        let files = |one: &BackendTlsSettings| one.certificate.as_ref().map(|(files, _)| files.clone());
        (&self.file, &self.server_name, self.minimum) == (&other.file, &other.server_name, other.minimum)
            && files(self) == files(other)
    }
}

/// What handshakes with the backends of one pool are made with, by all workers: a session with one of them is a session for
/// all.
pub(crate) struct BackendTls {
    config: Mutex<Arc<ClientConfig>>,
    name: Option<ServerName<'static>>,
    protocol: Protocol,
}

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsFailure {
    /// Nobody who counts vouches for the certificate.
    UnknownIssuer,
    /// It is for another name.
    WrongName,
    /// It has run out.
    Expired,
    /// It does not hold yet.
    NotYetValid,
    /// It is not sound in another way.
    BadCertificate,
    /// The backend did not want to go on, perhaps for our certificate.
    TurnedAway,
    /// What came was no TLS, or none that both speak.
    NoTls,
    /// It does not go on in HTTP/2, which its pool speaks.
    NoHttp2,
    /// It was not finished: the connection broke, or it took too long.
    BrokeOff,
}

impl BackendTls {
    pub(crate) fn new(settings: &BackendTlsSettings, protocol: Protocol) -> BackendTls {
        BackendTls { config: Mutex::new(config(settings, protocol)), name: settings.server_name.clone(), protocol }
    }

    /// From now on these files count, for connections that are made from now on; sessions from before are not resumed.
    pub(crate) fn change(&self, settings: &BackendTlsSettings) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config(settings, self.protocol);
    }

    /// Make a handshake with `backend`, which goes on in HTTP/1.1 if it must. [`is_http2`] tells in what it goes on.
    ///
    /// # Errors
    /// When it is not who it should be, or breaks off. [`TlsFailure::of`] tells why.
    pub(crate) async fn secure(
        &self,
        tcp: TcpStream,
        backend: &BackendSettings,
        http1: bool,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = self.name.clone().or_else(|| server_name(&backend.name));
        let name =
            name.ok_or_else(|| io::Error::other(Error::InvalidCertificate(CertificateError::NotValidForName)))?;
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if http1 && self.protocol != Protocol::Http1 {
            Arc::make_mut(&mut config).alpn_protocols = vec![HTTP1.to_vec()];
        }
        let stream = TlsConnector::from(config).connect(name, tcp).await?;
        match self.protocol {
            Protocol::Http2 if !is_http2(&stream) => Err(io::Error::other(Error::NoApplicationProtocol)),
            _ => Ok(stream),
        }
    }
}

/// Whether a connection goes on in HTTP/2.
pub(crate) fn is_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP2)
}

const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// The name that the certificate of a backend of this name is for: the host of `host:port` or `host:port@address`.
pub(crate) fn server_name(backend: &str) -> Option<ServerName<'static>> {
    let (host, _) = backend.split('@').next().unwrap_or_default().rsplit_once(':')?;
    ServerName::try_from(host.trim_matches(['[', ']']).to_owned()).ok()
}

fn config(settings: &BackendTlsSettings, protocol: Protocol) -> Arc<ClientConfig> {
    let versions = match settings.minimum {
        TlsVersion::Tls12 => &[&TLS13, &TLS12][..],
        TlsVersion::Tls13 => &[&TLS13],
    };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_protocol_versions(versions).expect("ring has ciphers for both versions");
    let config = config.with_root_certificates(settings.authorities.clone());
    let mut config = match &settings.certificate {
        None => config.with_no_client_auth(),
        Some((_, ours)) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(ours.key.clone()))),
    };
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    let offered: &[&[u8]] = match protocol {
        Protocol::Http1 => &[HTTP1],
        Protocol::Http2 => &[HTTP2],
        Protocol::Auto => &[HTTP2, HTTP1],
    };
    config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// As many backends as a pool takes.
const SESSIONS: usize = 256;

impl TlsFailure {
    /// All of them.
    pub const ALL: [TlsFailure; 9] = [
        TlsFailure::UnknownIssuer,
        TlsFailure::WrongName,
        TlsFailure::Expired,
        TlsFailure::NotYetValid,
        TlsFailure::BadCertificate,
        TlsFailure::TurnedAway,
        TlsFailure::NoTls,
        TlsFailure::NoHttp2,
        TlsFailure::BrokeOff,
    ];

    /// The word in metrics and log.
    pub const fn name(self) -> &'static str {
        match self {
            TlsFailure::UnknownIssuer => "unknown_issuer",
            TlsFailure::WrongName => "wrong_name",
            TlsFailure::Expired => "expired",
            TlsFailure::NotYetValid => "not_yet_valid",
            TlsFailure::BadCertificate => "bad_certificate",
            TlsFailure::TurnedAway => "turned_away",
            TlsFailure::NoTls => "no_tls",
            TlsFailure::NoHttp2 => "no_http2",
            TlsFailure::BrokeOff => "broke_off",
        }
    }

    /// What a handshake ended with.
    pub(crate) fn of(error: &io::Error) -> TlsFailure {
        use CertificateError as Bad;
        match error.get_ref().and_then(|cause| cause.downcast_ref::<Error>()) {
            None => TlsFailure::BrokeOff,
            Some(Error::InvalidCertificate(bad)) => match bad {
                Bad::UnknownIssuer => TlsFailure::UnknownIssuer,
                Bad::NotValidForName | Bad::NotValidForNameContext { .. } => TlsFailure::WrongName,
                Bad::Expired | Bad::ExpiredContext { .. } => TlsFailure::Expired,
                Bad::NotValidYet | Bad::NotValidYetContext { .. } => TlsFailure::NotYetValid,
                _ => TlsFailure::BadCertificate,
            },
            Some(Error::NoApplicationProtocol | Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => {
                TlsFailure::NoHttp2
            }
            Some(Error::AlertReceived(_)) => TlsFailure::TurnedAway,
            Some(_) => TlsFailure::NoTls,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_asked_for_the_name_in_its_url() {
        let asked = |backend| server_name(backend).map(|name| name.to_str().into_owned());
        assert_eq!(asked("horse.internal:8443").as_deref(), Some("horse.internal"));
        assert_eq!(asked("horse.internal:8443@10.1.0.3").as_deref(), Some("horse.internal"));
        assert_eq!(asked("127.0.0.1:443").as_deref(), Some("127.0.0.1"));
        assert_eq!(asked("[::1]:443").as_deref(), Some("::1"));
        assert_eq!(asked("-:443"), None);
    }
}
