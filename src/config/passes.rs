//! How long customers in the middle of a journey go before others.

use super::check::Check;
use super::file::Passes;
use crate::admission::settings::PassSettings;

/// As written, or as it serves most; `None` where nobody is to go before others.
pub(crate) fn check(check: &mut Check<'_>, written: &Passes) -> Option<PassSettings> {
    let usual = PassSettings::default();
    let idle = check.duration("idle", &written.idle, usual.idle);
    let longest = check.duration("longest", &written.longest, usual.longest.max(idle));
    if let Some(text) = written.longest.as_ref().filter(|_| longest < idle) {
        let what = format!("longest: {} is shorter than a customer may be idle", text.get_ref());
        check.wrong(text.span(), what, "write a time that is at least as long as `idle`");
    }
    let settings = PassSettings {
        idle,
        longest,
        hold: check.duration("hold", &written.hold, usual.hold),
        most: check.count("customers", &written.customers, MOST_CUSTOMERS, usual.most),
    };
    let keep = written.keep.as_ref().is_none_or(|keep| *keep.get_ref());
    keep.then_some(settings)
}

/// A hundred bytes each are two hundred megabytes.
const MOST_CUSTOMERS: u32 = 2_000_000;
