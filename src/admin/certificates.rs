//! Certificates that are changed while the proxy runs: whoever renews them writes the files, and need not tell anybody.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::Counter;

use super::control::Control;
use super::watched::Watched;
use crate::config::{ThisMachine, backend_tls, tls};
use crate::proxy::settings::{BackendTlsSettings, TlsSettings};
use crate::proxy::shared::Shared;
use crate::proxy::standing::Standing;
use crate::telemetry::export::Registry;
use crate::telemetry::names;

/// What is known of the certificates.
pub(super) struct Certificates {
    files: Mutex<Watched>,
    /// Those of pools, by name.
    pools: Mutex<BTreeMap<String, Watched>>,
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
        let pools = Mutex::default();
        Certificates { files: Mutex::new(files), pools, reloaded: change("reloaded"), rejected: change("rejected") }
    }

    fn pools(&self) -> MutexGuard<'_, BTreeMap<String, Watched>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Control {
    /// The files that these settings name have been read: whatever was wrong with them is mended.
    pub(super) fn certificates_are_read(&self, shared: &Shared) {
        self.settle(CERTIFICATES);
        if let Some(settings) = &shared.settings.listen.tls {
            self.certificates.files.lock().unwrap_or_else(PoisonError::into_inner).are_read(&paths(settings));
            warn(settings);
        }
        let read = |standing: &Arc<Standing>| {
            let mut files = Watched::default();
            files.are_read(&backend_paths(standing.settings.tls.as_ref()?));
            Some((standing.pool().to_owned(), files))
        };
        let pools = shared.standings.iter().filter_map(read).collect();
        let before = std::mem::replace(&mut *self.certificates.pools(), pools);
        before.keys().for_each(|pool| self.settle(&of_pool(pool)));
    }

    /// Take over certificates whose files have changed. With one of them wrong, all stays as it was.
    pub fn watch_certificates(&self) {
        self.watch_those_for_clients();
        self.shared().standings.iter().for_each(|standing| self.watch_those_of(standing));
    }

    /// What the backends of a pool are spoken to with.
    fn watch_those_of(&self, standing: &Standing) {
        let (Some(settings), Some(tls)) = (&standing.settings.tls, &standing.tls) else { return };
        let paths = backend_paths(settings);
        let mut pools = self.certificates.pools();
        // They have just been read when they are first looked at.
        let files = pools.entry(standing.pool().to_owned()).or_insert_with(|| {
            let mut files = Watched::default();
            files.are_read(&paths);
            files
        });
        if !files.has_changed(&paths) {
            return;
        }
        let alarm = of_pool(standing.pool());
        match backend_tls::reread(settings, &ThisMachine) {
            Ok(settings) => {
                tls.change(&settings);
                self.certificates.reloaded.increment(1);
                self.settle(&alarm);
                tracing::info!(pool = standing.pool(), "certificates for backends were read");
            }
            Err(error) => {
                self.certificates.rejected.increment(1);
                let text = format!(
                    "the certificate files for backends of {} have changed and cannot be used, so those from before stay: \
                     {error}",
                    standing.pool()
                );
                tracing::error!("ALARM: {text}");
                self.raise(&alarm, text);
            }
        }
    }

    fn watch_those_for_clients(&self) {
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

fn backend_paths(settings: &BackendTlsSettings) -> Vec<&Path> {
    let pair = settings.certificate.iter().flat_map(|(files, _)| [files.chain.as_path(), files.key.as_path()]);
    settings.file.as_deref().into_iter().chain(pair).collect()
}

/// What an alarm about those of a pool is filed under.
fn of_pool(pool: &str) -> String {
    format!("{CERTIFICATES} of {pool}")
}

fn warn(settings: &TlsSettings) {
    settings.doubts(jiff::Timestamp::now()).iter().for_each(|doubt| tracing::warn!("{doubt}"));
}

/// What an alarm about them is filed under; no event has a space in its id.
const CERTIFICATES: &str = "certificate files";
