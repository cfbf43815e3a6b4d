//! Machines that ask by themselves.

use std::num::NonZeroU32;

use http::{HeaderName, HeaderValue};
use toml::Spanned;

use crate::proxy::settings::{MachineSettings, MachineToken};

use super::check::{Check, items};
use super::customer::header_name;
use super::file::{self, HeaderRule, Opt};
use super::listen;
use super::names;

pub(super) fn check(check: &mut Check<'_>, file: &file::File) -> Vec<MachineSettings> {
    let written = &file.machine;
    if let Some(first) = written.get(MOST_MACHINES) {
        let what = format!("there are {} machines", written.len());
        let help = format!("every request is held against all of them; name at most {MOST_MACHINES}");
        check.wrong(first.span(), what, help);
        return Vec::new();
    }
    for (index, second) in written.iter().enumerate() {
        let name = &second.get_ref().name;
        let same = |first: &&Spanned<file::Machine>| {
            let first = first.get_ref().name.as_ref().map(Spanned::get_ref);
            first.is_some() && first == name.as_ref().map(Spanned::get_ref)
        };
        if let Some(first) = written[..index].iter().find(same) {
            names::taken(check, name, "the machine", &first.span());
        }
    }
    let machine = |(number, written)| self::machine(check, number, written, file);
    (0..).zip(written).filter_map(machine).collect()
}

fn machine(
    check: &mut Check<'_>,
    number: u16,
    written: &Spanned<file::Machine>,
    file: &file::File,
) -> Option<MachineSettings> {
    let file::Machine { name, from, header, token_header, token_file, at_once } = written.get_ref();
    let name = names::check(check, "machine", &written.span(), name);
    let networks = check.list("machine.from", from);
    if from.is_none() && header.is_none() && token_file.is_none() {
        let help = "write from = [\"203.0.113.0/24\"], header = { name = \"x-partner\", value = \"feed\" } or \
                    token_file = \"partner.token\"; what is written must all hold";
        check.wrong(written.span(), "nothing says how this machine is known", help);
    }
    if at_once.is_none() {
        check.missing(written.span(), "this machine", "machine.at_once");
    }
    if let Some(header) = header.as_ref().filter(|_| items(&file.listen.trusted).is_empty()) {
        let help = "name the networks of your load balancers under [listen]: trusted = [\"10.0.0.0/8\"]";
        check.wrong(header.span(), "this header never counts: no network is trusted to set it", help);
    }
    Some(MachineSettings {
        name,
        number,
        from: networks.iter().filter_map(|text| check.network("from", text)).collect(),
        header: header.as_ref().and_then(|header| self::header(check, header)),
        token: token(check, token_header, token_file),
        at_once: check.given_count("at_once", at_once, MOST_AT_ONCE).unwrap_or(NonZeroU32::MIN),
    })
}

fn header(check: &mut Check<'_>, written: &Spanned<HeaderRule>) -> Option<(HeaderName, HeaderValue)> {
    let HeaderRule { name, value } = written.get_ref();
    if name.is_none() {
        check.missing(written.span(), "this header", "machine.header.name");
    }
    if value.is_none() {
        check.missing(written.span(), "this header", "machine.header.value");
    }
    let (name, text) = (header_name(check, name.as_ref()?)?, value.as_ref()?);
    let value = HeaderValue::from_str(text.get_ref()).ok().filter(|_| text.get_ref().trim() == text.get_ref());
    if value.is_none() {
        let help = "write it without line breaks, and without spaces around it";
        check.wrong(text.span(), "no header has this value", help);
    }
    Some((name, value?))
}

fn token(check: &mut Check<'_>, header: &Opt<String>, file: &Opt<String>) -> Option<MachineToken> {
    let Some(file) = file else {
        if let Some(header) = header {
            let help = "name the file that the token lies in: token_file = \"partner.token\"";
            check.wrong(header.span(), "`token_header` is here, and no token", help);
        }
        return None;
    };
    let name = header.as_ref().map_or(Some(http::header::AUTHORIZATION), |name| header_name(check, name));
    let secret = listen::token_in(check, file)?;
    Some(MachineToken { header: name?, secret })
}

const MOST_MACHINES: usize = 100;
const MOST_AT_ONCE: u32 = 65_535;
