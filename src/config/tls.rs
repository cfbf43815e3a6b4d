//! TLS towards clients: the files are read here, when the proxy starts and whenever they change.

use std::path::Path;
use std::sync::Arc;

use toml::Spanned;

use crate::proxy::settings::{CertificateFiles, ClientCertificates, TlsSettings, TlsVersion};
use crate::proxy::tls::certificate::{self, Certificate, Flaw};

use super::check::{Check, Span, items};
use super::error::Wrong;
use super::file;
use super::surroundings::{self, Surroundings};

pub(super) fn check(check: &mut Check<'_>, written: &Spanned<file::Tls>) -> Option<TlsSettings> {
    let file::Tls { certificates, minimum, client_ca, client_certificates } = written.get_ref();
    if certificates.is_none() {
        check.missing(written.span(), "[listen.tls]", "listen.tls.certificates");
    }
    check.list("listen.tls.certificates", certificates);
    let pairs: Vec<_> = items(certificates).iter().map(|pair| one(check, pair, "listen.tls.certificates")).collect();
    let minimum = minimum.as_ref().map(|word| check.one_of("version of TLS", word, &["1.2", "1.3"]));
    let asks = client_certificates.as_ref().map(|word| check.one_of("word for client_certificates", word, &ASKS));
    let clients = match (client_ca, client_certificates) {
        (Some(named), _) => clients(check, named, asks.flatten() != Some(1)),
        (None, Some(word)) => {
            check.wrong(
                word.span(),
                "nobody vouches for the certificates of clients: there is no `client_ca`",
                check.example("listen.tls.client_ca"),
            );
            None
        }
        (None, None) => None,
    };
    let (files, certificates) = pairs.into_iter().collect::<Option<Vec<_>>>()?.into_iter().unzip();
    let minimum = if minimum.flatten() == Some(1) { TlsVersion::Tls13 } else { TlsVersion::Tls12 };
    Some(TlsSettings { files, certificates, minimum, clients })
}

/// The same with its files as they are now. Nothing is half new: with one file wrong, all stays as it was.
///
/// # Errors
/// When a file cannot be used; the text names it, and says what to do.
pub(crate) fn reread(settings: &TlsSettings, around: &dyn Surroundings) -> Result<TlsSettings, String> {
    let certificates = settings.files.iter().map(|files| reread_one(files, around)).collect::<Result<_, _>>()?;
    let again = |clients: &ClientCertificates| {
        let told = |Wrong { what, help }: Wrong| format!("{what}; {help}");
        let authorities = authorities(around, &clients.file).map_err(told)?;
        Ok::<_, String>(ClientCertificates { authorities, ..clients.clone() })
    };
    let clients = settings.clients.as_ref().map(again).transpose()?;
    Ok(TlsSettings { certificates, clients, ..settings.clone() })
}

/// One certificate as its files are now.
///
/// # Errors
/// When they cannot be used.
pub(super) fn reread_one(files: &CertificateFiles, around: &dyn Surroundings) -> Result<Certificate, String> {
    read(around, files).map_err(|(_, Wrong { what, help })| format!("{what}; {help}"))
}

/// One certificate, with the files it came from; `path` is that of its table.
pub(super) fn one(
    check: &mut Check<'_>,
    written: &Spanned<file::Certificate>,
    path: &str,
) -> Option<(CertificateFiles, Certificate)> {
    let file::Certificate { chain, key } = written.get_ref();
    for (part, name) in [(chain, "chain"), (key, "key")] {
        if part.is_none() {
            check.missing(written.span(), "this certificate", &format!("{path}.{name}"));
        }
    }
    let (chain, key) = (chain.as_ref()?, key.as_ref()?);
    let files = CertificateFiles { chain: check.beside(chain.get_ref()), key: check.beside(key.get_ref()) };
    match read(check.around, &files) {
        Ok(certificate) => Some((files, certificate)),
        Err((which, wrong)) => {
            say(check, if which == Which::Chain { chain.span() } else { key.span() }, wrong);
            None
        }
    }
}

fn clients(check: &mut Check<'_>, named: &Spanned<String>, required: bool) -> Option<ClientCertificates> {
    let file = check.beside(named.get_ref());
    match authorities(check.around, &file) {
        Ok(authorities) => Some(ClientCertificates { file, authorities, required }),
        Err(wrong) => {
            say(check, named.span(), wrong);
            None
        }
    }
}

fn say(check: &mut Check<'_>, at: Span, Wrong { what, help }: Wrong) {
    check.wrong(at, what, help);
}

/// Which of two files is wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Chain,
    Key,
}

fn read(around: &dyn Surroundings, files: &CertificateFiles) -> Result<Certificate, (Which, Wrong)> {
    let chain = text(around, &files.chain).map_err(|wrong| (Which::Chain, wrong))?;
    let key = text(around, &files.key).map_err(|wrong| (Which::Key, wrong))?;
    Certificate::read(&chain, &key).map_err(|flaw| match flaw {
        Flaw::ChainNotPem | Flaw::NoCertificate | Flaw::Unreadable(_) => {
            (Which::Chain, wrong(&files.chain, flaw, &files.chain))
        }
        flaw => (Which::Key, wrong(&files.key, flaw, &files.chain)),
    })
}

pub(super) fn authorities(around: &dyn Surroundings, file: &Path) -> Result<Arc<rustls::RootCertStore>, Wrong> {
    let read = certificate::authorities(&text(around, file)?);
    read.map(Arc::new).map_err(|flaw| wrong(file, flaw, file))
}

/// The text of a file; what is wrong with it begins with its name.
fn text(around: &dyn Surroundings, path: &Path) -> Result<String, Wrong> {
    let named = |Wrong { what, help }| Wrong::new(format!("{}: {what}", path.display()), help);
    surroundings::read_text(around, path).map_err(named)
}

fn wrong(path: &Path, flaw: Flaw, chain: &Path) -> Wrong {
    let (what, help) = match flaw {
        Flaw::ChainNotPem | Flaw::KeyNotPem => (
            "this is not PEM, or it was cut".to_owned(),
            "`openssl x509 -inform DER -in FILE` and `openssl pkey -inform DER -in FILE` write what is DER as PEM",
        ),
        Flaw::NoCertificate => (
            "there is no certificate in this file".to_owned(),
            "name the file whose first line is -----BEGIN CERTIFICATE-----",
        ),
        Flaw::Unreadable(number) => (
            format!("certificate {number} in this file cannot be read"),
            "`openssl x509 -noout -text -in FILE` shows the first; fetch the file anew",
        ),
        Flaw::NoKey => (
            "there is no private key in this file".to_owned(),
            "name the file whose first line is -----BEGIN PRIVATE KEY-----, or RSA or EC PRIVATE KEY",
        ),
        Flaw::KeyLocked => (
            "this key takes a passphrase, and nobody is there to type it".to_owned(),
            "`openssl pkey -in FILE -out PLAIN` writes it without; let nobody but sluss read that file",
        ),
        Flaw::KeyUnknown => (
            "this key is of a kind that TLS here cannot use".to_owned(),
            "use RSA of 2048 bits or more, P-256, P-384 or Ed25519",
        ),
        Flaw::KeyOfAnother => (
            format!("this is not the key of the first certificate in {}", chain.display()),
            "the server's own certificate comes first in its file; name the key that it was made with",
        ),
    };
    Wrong::new(format!("{}: {what}", path.display()), help)
}

const ASKS: [&str; 2] = ["required", "optional"];
