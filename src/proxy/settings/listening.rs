//! How clients are spoken to, as checked.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::RootCertStore;

use crate::proxy::tls::certificate::Certificate;

/// What clients are spoken to with in secret.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// Where the certificates come from; the first is for who asks for no name that another has.
    pub files: Vec<CertificateFiles>,
    /// What was read from them, in the same order.
    pub certificates: Vec<Certificate>,
    /// The oldest version that is spoken.
    pub minimum: TlsVersion,
    /// What clients show of themselves; `None` asks for nothing.
    pub clients: Option<ClientCertificates>,
}

/// A certificate chain and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The server's own certificate, then the intermediates.
    pub chain: PathBuf,
    /// The private key of the first.
    pub key: PathBuf,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2, RFC 5246.
    Tls12,
    /// 1.3, RFC 8446.
    Tls13,
}

/// Certificates that clients show.
#[derive(Clone, Debug)]
pub struct ClientCertificates {
    /// Where those come from that vouch for them.
    pub file: PathBuf,
    /// What was read from it.
    pub authorities: Arc<RootCertStore>,
    /// Whether who shows none is turned away in the handshake.
    pub required: bool,
}

/// How clients may speak HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2Settings {
    /// The most requests at once on a connection.
    pub streams: NonZeroU32,
}
