//! A certificate chain with its key, as read from two files.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore};
use spki::der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use spki::der::{Decode, SliceReader, Tag, Tagged};
use webpki::EndEntityCert;

/// See the [module](self).
#[derive(Clone, Debug)]
pub struct Certificate {
    /// What a handshake needs of it.
    pub(super) key: Arc<CertifiedKey>,
    /// The names it is for, in lower case; `*.` stands in front of those that are for a whole domain.
    pub names: Vec<String>,
    /// When the first of its chain runs out.
    pub ends: Timestamp,
}

/// Why two files are no certificate with its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The chain's file is not PEM.
    ChainNotPem,
    /// There is no certificate in it.
    NoCertificate,
    /// One of them, counted from 1, cannot be read.
    Unreadable(usize),
    /// The key's file is not PEM.
    KeyNotPem,
    /// There is no private key in it.
    NoKey,
    /// It takes a passphrase to read it.
    KeyLocked,
    /// No handshake here can use such a key.
    KeyUnknown,
    /// It is another certificate's.
    KeyOfAnother,
}

impl Certificate {
    /// A chain, the server's own certificate first, and the key of that, both in PEM.
    ///
    /// # Errors
    /// When a handshake could not be made with them.
    pub fn read(chain: &str, key: &str) -> Result<Certificate, Flaw> {
        let chain = chain_in(chain)?;
        let ends = chain.iter().enumerate().map(|(index, der)| ends(der).ok_or(Flaw::Unreadable(index + 1)));
        let ends = ends.collect::<Result<Vec<_>, _>>()?.into_iter().min().ok_or(Flaw::NoCertificate)?;
        let names = names(&chain[0]).ok_or(Flaw::Unreadable(1))?;
        let key = any_supported_type(&key_in(key)?).map_err(|_| Flaw::KeyUnknown)?;
        let key = CertifiedKey::new(chain, key);
        match key.keys_match() {
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(Flaw::KeyOfAnother),
            _ => Ok(Certificate { key: Arc::new(key), names, ends }),
        }
    }
}

/// The certificates that may vouch for a client's, in PEM.
///
/// # Errors
/// When there is none, or one cannot be read.
pub fn authorities(text: &str) -> Result<RootCertStore, Flaw> {
    let mut roots = RootCertStore::empty();
    for (index, authority) in chain_in(text)?.into_iter().enumerate() {
        roots.add(authority).map_err(|_| Flaw::Unreadable(index + 1))?;
    }
    Ok(roots)
}

/// Those of the certificates in a list that can be read: the list of a platform has some that are unlike others.
pub fn some_authorities(text: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(text.as_bytes()).filter_map(Result::ok));
    roots
}

fn chain_in(text: &str) -> Result<Vec<CertificateDer<'static>>, Flaw> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let chain = chain.map_err(|_| Flaw::ChainNotPem)?;
    let broken = chain.iter().position(|der| ParsedCertificate::try_from(der).is_err());
    match broken {
        Some(index) => Err(Flaw::Unreadable(index + 1)),
        None if chain.is_empty() => Err(Flaw::NoCertificate),
        None => Ok(chain),
    }
}

fn key_in(text: &str) -> Result<PrivateKeyDer<'static>, Flaw> {
    match PrivateKeyDer::from_pem_slice(text.as_bytes()) {
        Ok(key) => Ok(key),
        _ if text.contains("ENCRYPTED") => Err(Flaw::KeyLocked),
        Err(PemError::NoItemsFound) => Err(Flaw::NoKey),
        Err(_) => Err(Flaw::KeyNotPem),
    }
}

fn names(der: &CertificateDer<'_>) -> Option<Vec<String>> {
    let certificate = EndEntityCert::try_from(der).ok()?;
    Some(certificate.valid_dns_names().map(str::to_ascii_lowercase).collect())
}

/// The end of its validity (RFC 5280, section 4.1), which rustls leaves to clients to look at.
fn ends(der: &[u8]) -> Option<Timestamp> {
    let signed = AnyRef::from_der(der).ok()?;
    let told = AnyRef::decode(&mut SliceReader::new(signed.value()).ok()?).ok()?;
    let mut told = SliceReader::new(told.value()).ok()?;
    let mut next = || AnyRef::decode(&mut told).ok();
    // The version may be left out; then come serial number, algorithm, issuer, and how long it is good.
    let first = next()?;
    let skipped = if first.tag().is_context_specific() { 3 } else { 2 };
    (0..skipped).try_for_each(|_| next().map(|_| ()))?;
    let validity = next()?;
    let mut validity = SliceReader::new(validity.value()).ok()?;
    AnyRef::decode(&mut validity).ok()?;
    let end = AnyRef::decode(&mut validity).ok()?;
    let since_1970: Duration = match end.tag() {
        Tag::UtcTime => end.decode_as::<UtcTime>().ok()?.to_unix_duration(),
        _ => end.decode_as::<GeneralizedTime>().ok()?.to_unix_duration(),
    };
    Timestamp::try_from(UNIX_EPOCH + since_1970).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("names that a certificate may have");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn its_names_and_its_end_are_known() {
        let mut asked = rcgen::CertificateParams::new(["Bet.example".into(), "*.bet.example".into()]).unwrap();
        asked.not_after = rcgen::date_time_ymd(2061, 5, 4);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = asked.self_signed(&key).unwrap();
        let read = Certificate::read(&certificate.pem(), &key.serialize_pem()).unwrap();
        assert_eq!(read.names, ["bet.example", "*.bet.example"]);
        assert_eq!(read.ends.to_string(), "2061-05-04T00:00:00Z");
    }

    #[test]
    fn files_that_are_no_pair_are_told_apart() {
        let ((chain, key), (_, other)) = (made(&["a.example"]), made(&["a.example"]));
        assert!(Certificate::read(&chain, &key).is_ok());
        let broken = chain.replace("MII", "MIJ");
        for (chain, key, flaw) in [
            (chain.as_str(), other.as_str(), Flaw::KeyOfAnother),
            (&key, &key, Flaw::NoCertificate),
            ("", &key, Flaw::NoCertificate),
            (&broken, &key, Flaw::Unreadable(1)),
            (&chain, &chain, Flaw::NoKey),
            (
                &chain,
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
                Flaw::KeyLocked,
            ),
            (&chain, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", Flaw::KeyUnknown),
            (&chain, "-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n", Flaw::KeyNotPem),
            ("-----BEGIN CERTIFICATE-----\nMII", &key, Flaw::ChainNotPem),
        ] {
            assert_eq!(Certificate::read(chain, key).expect_err("they are no pair"), flaw);
        }
    }

    #[test]
    fn a_file_of_authorities_has_at_least_one() {
        let (chain, key) = made(&["a.example"]);
        assert_eq!(authorities(&chain.repeat(2)).map(|roots| roots.len()), Ok(2));
        assert_eq!(authorities(&key).map(|roots| roots.len()), Err(Flaw::NoCertificate));
    }
}
