//! TLS towards backends: who vouches for them, and what they are shown.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use toml::Spanned;

use super::check::Check;
use super::error::{Wrong, shown};
use super::file::{self, Product};
use super::products::{Draft, who};
use super::sites::Site;
use super::surroundings::Surroundings;
use super::tls;
use crate::proxy::settings::{BackendTlsSettings, TlsVersion};
use crate::proxy::tls::backends::server_name;
use crate::proxy::tls::certificate;

/// What `[product.tls]` says, where it is written.
pub(super) fn written(check: &mut Check<'_>, product: &Product) -> Option<BackendTlsSettings> {
    let file::BackendTls { ca, server_name, certificate, minimum } = product.tls.as_ref()?.get_ref();
    let authorities = match ca {
        Some(named) => {
            let file = check.beside(named.get_ref());
            match tls::authorities(check.around, &file) {
                Ok(authorities) => Some((Some(file), authorities)),
                Err(Wrong { what, help }) => {
                    check.wrong(named.span(), what, help);
                    None
                }
            }
        }
        // That there is none is said where it is missed.
        None => Some((None, platform(check.around))),
    };
    let certificate = certificate.as_ref().map(|pair| tls::one(check, pair, "product.tls.certificate"));
    let minimum = minimum.as_ref().and_then(|word| check.one_of("version of TLS", word, &["1.2", "1.3"]));
    let server_name = server_name.as_ref().and_then(|name| name_of(check, name));
    let (file, authorities) = authorities?;
    Some(BackendTlsSettings {
        file,
        authorities,
        server_name,
        certificate: certificate.flatten(),
        minimum: if minimum == Some(1) { TlsVersion::Tls13 } else { TlsVersion::Tls12 },
    })
}

/// What the backends of a pool are spoken to with, of which `agreed` was written.
pub(super) fn of_pool(
    check: &mut Check<'_>,
    sites: &[(&Draft<'_>, &Site<'_>)],
    agreed: Option<BackendTlsSettings>,
) -> Option<BackendTlsSettings> {
    let products: Vec<&Draft<'_>> = sites.iter().map(|(product, _)| *product).collect();
    let backends = || sites.iter().flat_map(|(_, site)| &site.backends);
    let secure = backends().next().is_some_and(|first| first.secure);
    if let Some(other) = backends().find(|backend| backend.secure != secure) {
        let what = format!("{} and others of its pool do not agree on TLS", other.settings.name);
        check.wrong(other.at.clone(), what, "write \"https://...\" for all backends of a pool, or for none");
        return None;
    }
    let at = products.iter().find_map(|product| product.written.tls.as_ref()).map(Spanned::span);
    match (secure, at) {
        (false, None) => return None,
        (false, Some(at)) => {
            let what = format!("no backend of {} is spoken to through TLS", who(&products[0].name));
            check.wrong(at, what, "write its backends as \"https://...\", or take this out");
            return None;
        }
        (true, _) => {}
    }
    let tls = agreed.unwrap_or_else(|| BackendTlsSettings {
        file: None,
        authorities: platform(check.around),
        server_name: None,
        certificate: None,
        minimum: TlsVersion::Tls12,
    });
    let first = backends().next()?;
    // A file that is named and wrong has been told.
    if tls.authorities.is_empty() && !products.iter().any(|product| names_ca(product)) {
        let what = format!("nobody vouches for {}: this machine has no list of authorities", first.settings.name);
        let known = PLATFORM.join(", ");
        let help = format!("write [product.tls] with `ca`, or install ca-certificates (looked for: {known})");
        check.wrong(first.at.clone(), what, help);
    }
    if tls.server_name.is_none()
        && let Some(nameless) = backends().find(|backend| server_name(&backend.settings.name).is_none())
    {
        let what = format!("no certificate can be for {}", nameless.settings.name);
        check.wrong(nameless.at.clone(), what, "write [product.tls] with the `server_name` that its certificate has");
    }
    Some(tls)
}

fn names_ca(product: &Draft<'_>) -> bool {
    product.written.tls.as_ref().is_some_and(|tls| tls.get_ref().ca.is_some())
}

fn name_of(check: &mut Check<'_>, written: &Spanned<String>) -> Option<ServerName<'static>> {
    let name = ServerName::try_from(written.get_ref().clone()).ok();
    if name.is_none() {
        let what = format!("server_name: {} is no name and no address", shown(written.get_ref()));
        check.wrong(written.span(), what, "write it as it stands in the certificate, such as \"horse.internal\"");
    }
    name
}

/// The same with its files as they are now. Nothing is half new: with one file wrong, all stays as it was.
///
/// # Errors
/// When a file cannot be used; the text names it, and says what to do.
pub(crate) fn reread(settings: &BackendTlsSettings, around: &dyn Surroundings) -> Result<BackendTlsSettings, String> {
    let authorities = match &settings.file {
        Some(file) => tls::authorities(around, file).map_err(|Wrong { what, help }| format!("{what}; {help}"))?,
        None => settings.authorities.clone(),
    };
    let again =
        |(files, _): &(_, _)| tls::reread_one(files, around).map(|certificate| (Clone::clone(files), certificate));
    let certificate = settings.certificate.as_ref().map(again).transpose()?;
    Ok(BackendTlsSettings { authorities, certificate, ..settings.clone() })
}

/// Those whom this machine trusts; none where it has no list.
fn platform(around: &dyn Surroundings) -> Arc<RootCertStore> {
    let read = |path: &&str| String::from_utf8(around.read(Path::new(path)).ok()?).ok();
    Arc::new(certificate::some_authorities(&PLATFORM.iter().find_map(read).unwrap_or_default()))
}

/// Where Debian and Alpine, Fedora, older Red Hat, SUSE, and BSD keep them.
const PLATFORM: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
