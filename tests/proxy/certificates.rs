//! Certificates that tests make, in files, and clients that look at them.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tempfile::TempDir;

use super::client::Client;
use super::wire::Wire;

/// Somebody who vouches for certificates, and a folder in which they lie.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// How a client goes about TLS; each clone shares its tickets.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Authority {
    pub fn new() -> Authority {
        let mut asked = CertificateParams::new([]).unwrap();
        asked.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two of one name would be taken for the same, with a signature that is wrong.
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("authority {}", MADE.fetch_add(1, Ordering::Relaxed));
        asked.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(asked, KeyPair::generate().unwrap()).unwrap();
        Authority { issuer, folder: tempfile::tempdir().unwrap() }
    }

    fn issue(&self, names: &[&str]) -> (rcgen::Certificate, KeyPair) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        (CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap(), key)
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Write a pair for these names into `NAME.pem` and `NAME.key`; its place in `certificates`.
    pub fn pair(&self, file: &str, names: &[&str]) -> String {
        let (certificate, key) = self.issue(names);
        let (chain_file, key_file) = (self.path(&format!("{file}.pem")), self.path(&format!("{file}.key")));
        std::fs::write(&chain_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        format!("{{ chain = {:?}, key = {:?} }}", chain_file.display().to_string(), key_file.display().to_string())
    }

    /// `[listen.tls]` with a pair for each of these names, the first of them for whoever asks for another.
    pub fn listen(&self, names: &[&str]) -> String {
        let pairs: Vec<String> = names.iter().map(|name| self.pair(name, &[name])).collect();
        format!("[listen.tls]\ncertificates = [{}]\n", pairs.join(", "))
    }

    /// Write down who vouches; the key for `client_ca`.
    pub fn client_ca(&self) -> String {
        let path = self.path("authority.pem");
        std::fs::write(&path, self.issuer.pem()).unwrap();
        format!("client_ca = {:?}\n", path.display().to_string())
    }

    /// Write down who vouches; the path.
    pub fn ca(&self) -> String {
        self.client_ca();
        self.path("authority.pem").display().to_string()
    }

    /// A server with a certificate for these names, which has run out if it is to, and that asks for one if it is to.
    pub fn server(&self, names: &[&str], over: bool, asks: bool) -> Arc<ServerConfig> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let (mut asked, key) = (CertificateParams::new(names).unwrap(), KeyPair::generate().unwrap());
        if over {
            asked.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let certificate = asked.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let config = match asks {
            true => config.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap(),
            ),
            false => config.with_no_client_auth(),
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// A client that trusts this authority, and speaks these protocols.
    pub fn client(&self, protocols: &[&str]) -> Tls {
        self.client_with(protocols, &[&rustls::version::TLS13, &rustls::version::TLS12], false)
    }

    /// One that speaks these versions only, and shows a certificate of this authority if it is to.
    pub fn client_with(&self, protocols: &[&str], versions: &[&'static SupportedProtocolVersion], shows: bool) -> Tls {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let config = config.with_root_certificates(roots);
        let mut config = if shows {
            let (certificate, key) = self.issue(&["anna"]);
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
            config.with_client_auth_cert(vec![CertificateDer::from(certificate.der().to_vec())], key).unwrap()
        } else {
            config.with_no_client_auth()
        };
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.resumption = Resumption::in_memory_sessions(8);
        Tls(Arc::new(config))
    }
}

impl Tls {
    /// Connect, and ask for this name.
    pub fn connect(&self, address: SocketAddr, name: &str) -> std::io::Result<Client> {
        let mut wire = Wire::new(TcpStream::connect(address)?);
        let connection = ClientConnection::new(self.0.clone(), name.to_owned().try_into().unwrap()).unwrap();
        wire.secure(connection)?;
        Ok(Client::over(wire))
    }

    pub fn config(&self) -> Arc<ClientConfig> {
        self.0.clone()
    }
}
