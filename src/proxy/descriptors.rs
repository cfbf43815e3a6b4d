//! File descriptors: how many connections fit, and what having none left looks like.
//!
//! Each client may need one to its backend, and a proxy that cannot open the second half of what it accepted has only
//! moved the trouble. When the limit is too low for what is configured, the proxy starts with fewer connections and
//! says so: one that does not start takes everybody's service down at a deployment, one that starts and says nothing
//! falls over at the next rush. Too few to be of any use is an error.

use std::io;
use std::num::NonZeroU32;

use super::room::MOST_LEAVING;
use super::settings::ListenSettings;

/// Connections to the admin address at once: a few scrapers, balancers that ask for health, and people.
pub(crate) const OPERATORS: usize = 32;
/// For the journal, the log, the admin address and those who ask there.
const OWN: u64 = 32 + OPERATORS as u64;
/// A worker's runtime and listening socket.
const OF_WORKER: u64 = 8;
/// Fewer connections than this are no service.
const FEWEST: u64 = 16;

/// How many connections there may be of those that are configured, with so many descriptors.
///
/// # Errors
/// A sentence for whoever starts the proxy, when nearly none fit.
pub fn fit(listen: &ListenSettings, descriptors: u64) -> Result<NonZeroU32, String> {
    let wanted = listen.connections;
    let own = own(listen);
    let fit = descriptors.saturating_sub(own) / 2;
    if fit >= u64::from(wanted.get()) {
        return Ok(wanted);
    }
    if fit < FEWEST {
        return Err(format!(
            "{descriptors} file descriptors are too few: this proxy needs {own} for itself and two for each connection; \
             raise the hard limit to {} (ulimit -Hn, or LimitNOFILE= of the systemd unit)",
            self::wanted(listen)
        ));
    }
    Ok(NonZeroU32::new(fit as u32).unwrap_or(wanted))
}

/// How many descriptors `fit` would want for all connections that are configured.
pub fn wanted(listen: &ListenSettings) -> u64 {
    own(listen) + 2 * u64::from(listen.connections.get())
}

fn own(listen: &ListenSettings) -> u64 {
    OWN + u64::from(listen.workers.get()) * (OF_WORKER + MOST_LEAVING as u64)
}

/// Whether this error says that we, or the machine, have no descriptor or no memory for a socket left.
pub(crate) fn are_used_up(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE | ENOBUFS | ENOMEM))
}

// As Linux numbers them; where others do not, the error is one like any other.
const ENOMEM: i32 = 12;
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const ENOBUFS: i32 = 105;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{self, ThisMachine};

    fn listen(connections: u32) -> ListenSettings {
        let text = format!(
            "[listen]\nworkers = 2\nconnections = {connections}\n[[product]]\nname = \"sport\"\n\
             match = [{{ path = \"/\" }}]\nbackends = [\"http://127.0.0.1:9101\"]"
        );
        config::parse(&text, Path::new("a.toml"), &ThisMachine).expect("it is sound").proxy.listen
    }

    #[test]
    fn as_many_as_fit_and_no_more_than_are_configured() {
        let own = 64 + 2 * (8 + 32);
        for (connections, descriptors, fits) in [(100, 1 << 20, 100), (1000, own + 2000, 1000), (1000, own + 1999, 999)]
        {
            assert_eq!(fit(&listen(connections), descriptors).map(NonZeroU32::get), Ok(fits));
        }
        assert_eq!(wanted(&listen(1000)), own + 2000);
    }

    #[test]
    fn too_few_to_be_of_use_say_how_many_are_needed() {
        let said = fit(&listen(10_000), 128).expect_err("hardly one would fit");
        assert!(said.contains("128 file descriptors are too few") && said.contains("20144"), "{said}");
    }

    #[test]
    fn only_running_out_is_running_out() {
        assert!([12, 23, 24, 105].map(io::Error::from_raw_os_error).iter().all(are_used_up));
        assert!(!are_used_up(&io::ErrorKind::ConnectionAborted.into()));
    }
}
