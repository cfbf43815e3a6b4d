//! Certificates that are changed while the proxy runs: whoever renews them writes the files, and need not tell anybody.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use metrics::Counter;

use super::control::Control;
use super::watched::Watched;
use crate::config::{ThisMachine, tls};
use crate::proxy::settings::TlsSettings;
use crate::telemetry::export::Registry;
use crate::telemetry::names;

/// What is known of the certificates.
pub(super) struct Certificates {
    files: Mutex<Watched>,
    reloaded: Counter,
    rejected: Counter,
}

impl Certificates {
    pub(super) fn new(settings: Option<&TlsSettings>, registry: &Registry) -> Certificates {
        let change = |change| registry.counter(names::CERTIFICATES, &[change]);
        let mut files = Watched::default();
        if let Some(settings) = settings {
            files.are_read(&paths(settings));
            warn(settings);
        }
        Certificates { files: Mutex::new(files), reloaded: change("reloaded"), rejected: change("rejected") }
    }
}

impl Control {
    /// The files of these settings have been read.
    pub(super) fn certificates_are_read(&self, settings: Option<&TlsSettings>) {
        let Some(settings) = settings else { return };
        self.certificates.files.lock().unwrap_or_else(PoisonError::into_inner).are_read(&paths(settings));
        warn(settings);
    }

    /// Take over certificates whose files have changed. With one of them wrong, all stays as it was.
    pub fn watch_certificates(&self) {
        let shared = self.shared();
        let (Some(settings), Some(tls)) = (&shared.settings.listen.tls, &shared.tls) else { return };
        let mut files = self.certificates.files.lock().unwrap_or_else(PoisonError::into_inner);
        if !files.has_changed(&paths(settings)) {
            return;
        }
        match tls::reread(settings, &ThisMachine) {
            Ok(settings) => {
                tls.change(&settings);
                self.certificates.reloaded.increment(1);
                self.settle(CERTIFICATES);
                tracing::info!(certificates = settings.certificates.len(), "certificates were read again");
                warn(&settings);
            }
            Err(error) => {
                self.certificates.rejected.increment(1);
                let text = format!(
                    "the certificate files have changed and cannot be used, so those from before stay: {error}"
                );
                tracing::error!("ALARM: {text}");
                self.raise(CERTIFICATES, text);
            }
        }
    }
}

fn paths(settings: &TlsSettings) -> Vec<&Path> {
    let pairs = settings.files.iter().flat_map(|files| [files.chain.as_path(), files.key.as_path()]);
    pairs.chain(settings.clients.iter().map(|clients| clients.file.as_path())).collect()
}

fn warn(settings: &TlsSettings) {
    settings.doubts(jiff::Timestamp::now()).iter().for_each(|doubt| tracing::warn!("{doubt}"));
}

/// What an alarm about them is filed under; no event has a space in its id.
const CERTIFICATES: &str = "certificate files";
