//! What people see who navigate to a refusal or a fault.

use jiff::tz::TimeZone;
use toml::Spanned;

use crate::proxy::settings::{Language, Link, PageSettings};

use super::check::Check;
use super::error::shown;
use super::file::{self, Opt};

pub(super) fn check(check: &mut Check<'_>, file: &file::Pages) -> PageSettings {
    let usual = PageSettings::default();
    let tags = Language::ALL.map(Language::tag);
    let language = file.language.as_ref().and_then(|tag| check.one_of("language", tag, &tags));
    PageSettings {
        language: language.map_or(usual.language, |index| Language::ALL[index]),
        time_zone: file.time_zone.as_ref().and_then(|name| time_zone(check, name)).unwrap_or(usual.time_zone),
        links: check.list("pages.links", &file.links).iter().filter_map(|written| link(check, written)).collect(),
    }
}

fn time_zone(check: &mut Check<'_>, written: &Spanned<String>) -> Option<TimeZone> {
    let name = written.get_ref();
    if name == "Europe/Stockholm" {
        return Some(PageSettings::stockholm());
    }
    let zone = check.around.time_zone(name);
    if zone.is_none() {
        let help = "write a name such as \"Europe/Helsinki\"; most systems have them in the package tzdata";
        check.wrong(written.span(), format!("{} is not a time zone known here", shown(name)), help);
    }
    zone
}

fn link(check: &mut Check<'_>, written: &Spanned<file::Link>) -> Option<Link> {
    let link = written.get_ref();
    let mut given = |path: &str, text: &Opt<String>| {
        let Some(text) = text else {
            check.missing(written.span(), "this link", path);
            return None;
        };
        let said = text.get_ref().trim();
        if said.is_empty() || said.contains(char::is_control) {
            check.wrong(text.span(), format!("{} is nothing that can be shown", shown(said)), check.example(path));
            return None;
        }
        Some(said.to_owned())
    };
    let href = given("pages.links.href", &link.href);
    let text = [given("pages.links.sv", &link.sv), given("pages.links.en", &link.en)];
    let href = href.filter(|href| leads_somewhere(check, link, href));
    let [Some(sv), Some(en)] = text else { return None };
    Some(Link { href: href?, text: [sv, en] })
}

/// A page of this site or of another, a telephone or a mailbox; nothing that runs.
fn leads_somewhere(check: &mut Check<'_>, link: &file::Link, href: &str) -> bool {
    let known = ["https://", "http://", "tel:", "mailto:"].iter().any(|scheme| href.starts_with(scheme));
    let here = href.starts_with('/') && !href.starts_with("//");
    let leads = (known || here) && !href.contains([' ', '\\']);
    if !leads {
        let at = link.href.as_ref().map_or(0..0, Spanned::span);
        let help = "write \"https://...\", \"tel:...\", \"mailto:...\", or a path of this site such as \"/help\"";
        check.wrong(at, format!("{} is no link for a page", shown(href)), help);
    }
    leads
}
