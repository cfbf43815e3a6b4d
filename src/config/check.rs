//! What every check needs: the text, what lies around it, and somewhere to put what is wrong.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use toml::Spanned;

use crate::admission::Class;

use super::error::{Problem, Source, Wrong, shown};
use super::file::{List, Opt};
use super::keys::{Reference, nearest};
use super::surroundings::{self, Surroundings};
use super::units;

/// A place in the text, in bytes.
pub(crate) type Span = Range<usize>;

/// A check on its way. Whoever finds something wrong says so here and goes on with a default, so that one
/// mistake does not hide the next; with any problem, what was built is thrown away.
pub(crate) struct Check<'a> {
    pub(crate) source: &'a Source,
    pub(crate) around: &'a dyn Surroundings,
    /// What such a file may have in it.
    pub(crate) reference: &'static Reference,
    pub(crate) problems: Vec<Problem>,
    /// Hosts that were looked up: two products that name one must not find different halves of it.
    pub(crate) found: BTreeMap<String, Vec<IpAddr>>,
}

impl<'a> Check<'a> {
    pub(crate) fn new(source: &'a Source, around: &'a dyn Surroundings, reference: &'static Reference) -> Check<'a> {
        Check { source, around, reference, problems: Vec::new(), found: BTreeMap::new() }
    }

    pub(crate) fn wrong(&mut self, at: Span, what: impl Into<String>, help: impl Into<String>) {
        self.problems.push(self.source.at(at, Wrong::new(what, help)));
    }

    /// The value of a result; what is wrong with it is said with its key.
    pub(crate) fn told<T>(&mut self, key: &str, at: Span, result: Result<T, Wrong>) -> Option<T> {
        result.map_err(|Wrong { what, help }| self.wrong(at, format!("{key}: {what}"), help)).ok()
    }

    pub(crate) fn duration(&mut self, key: &str, written: &Opt<String>, default: Duration) -> Duration {
        self.given_duration(key, written).unwrap_or(default)
    }

    pub(crate) fn given_duration(&mut self, key: &str, written: &Opt<String>) -> Option<Duration> {
        let text = written.as_ref()?;
        self.told(key, text.span(), units::duration(text.get_ref()))
    }

    pub(crate) fn size(&mut self, key: &str, written: &Opt<String>, range: RangeInclusive<u64>) -> Option<u64> {
        let text = written.as_ref()?;
        let bytes = self.told(key, text.span(), units::size(text.get_ref()))?;
        if range.contains(&bytes) {
            return Some(bytes);
        }
        let (least, most) = (in_bytes(*range.start()), in_bytes(*range.end()));
        let what = format!("{key}: {} is out of range", text.get_ref());
        self.wrong(text.span(), what, format!("write something from \"{least}\" to \"{most}\""));
        None
    }

    pub(crate) fn count(&mut self, key: &str, written: &Opt<i64>, most: u32, default: NonZeroU32) -> NonZeroU32 {
        self.given_count(key, written, most).unwrap_or(default)
    }

    pub(crate) fn given_count(&mut self, key: &str, written: &Opt<i64>, most: u32) -> Option<NonZeroU32> {
        let number = written.as_ref()?;
        let fits = u32::try_from(*number.get_ref()).ok().filter(|number| *number <= most).and_then(NonZeroU32::new);
        if fits.is_none() {
            let what = format!("{key}: {} is out of range", number.get_ref());
            self.wrong(number.span(), what, format!("write a number from 1 to {most}"));
        }
        fits
    }

    pub(crate) fn address(&mut self, key: &str, written: &Opt<String>, default: SocketAddr) -> SocketAddr {
        let Some(text) = written else { return default };
        self.told(key, text.span(), units::address(text.get_ref())).unwrap_or(default)
    }

    pub(crate) fn network(&mut self, key: &str, written: &Spanned<String>) -> Option<IpNet> {
        self.told(key, written.span(), units::network(written.get_ref()))
    }

    pub(crate) fn class(&mut self, written: &Spanned<String>) -> Option<Class> {
        let names = Class::ALL.map(Class::name);
        self.one_of("class", written, &names).map(|index| Class::ALL[index])
    }

    /// The index of the word that is written.
    pub(crate) fn one_of(&mut self, what: &str, written: &Spanned<String>, words: &[&str]) -> Option<usize> {
        let word = written.get_ref();
        let found = words.iter().position(|known| known == word);
        if found.is_none() {
            let help = match nearest(word, words.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"? Known are {}", words.join(", ")),
                None => format!("write one of {}", words.join(", ")),
            };
            self.wrong(written.span(), format!("{} is not a {what}", shown(word)), help);
        }
        found
    }

    /// What is in a list that, when it is there, has something in it.
    pub(crate) fn list<'w, T>(&mut self, path: &str, written: &'w List<T>) -> &'w [Spanned<T>] {
        if let Some(list) = written.as_ref().filter(|list| list.get_ref().is_empty()) {
            let name = path.rsplit('.').next().unwrap_or(path);
            self.wrong(list.span(), format!("`{name}` is an empty list"), self.example(path));
        }
        items(written)
    }

    /// Something that must be written is not; `at` is where it is missed.
    pub(crate) fn missing(&mut self, at: Span, whose: &str, path: &str) {
        let name = path.rsplit('.').next().unwrap_or(path);
        self.wrong(at, format!("{whose} has no `{name}`"), self.example(path));
    }

    /// How a key is written.
    pub(crate) fn example(&self, path: &str) -> String {
        let key = self.reference.keys.iter().find(|key| key.path == path);
        key.map_or_else(String::new, |key| format!("write it like this: {}", key.written()))
    }

    /// The text of a file named in this one, if it can be had.
    pub(crate) fn text_of(&mut self, named: &Spanned<String>) -> Option<(PathBuf, String)> {
        let path = self.beside(named.get_ref());
        match surroundings::read_text(self.around, &path) {
            Ok(text) => Some((path, text)),
            Err(Wrong { what, help }) => {
                self.wrong(named.span(), format!("{}: {what}", path.display()), help);
                None
            }
        }
    }

    /// The line on which something stands.
    pub(crate) fn line(&self, at: &Span) -> usize {
        1 + self.source.text[..at.start].matches('\n').count()
    }

    /// A path as written in this file is meant from where the file lies.
    pub(crate) fn beside(&self, path: &str) -> PathBuf {
        self.source.path.parent().unwrap_or(Path::new("")).join(path)
    }
}

/// What is in a list, which may be empty.
pub(crate) fn items<T>(written: &List<T>) -> &[Spanned<T>] {
    written.as_ref().map_or(&[], |list| list.get_ref())
}

/// A size as it would be written.
fn in_bytes(bytes: u64) -> String {
    match bytes {
        bytes if bytes.is_multiple_of(1 << 20) => format!("{}MiB", bytes >> 20),
        bytes if bytes.is_multiple_of(1 << 10) => format!("{}KiB", bytes >> 10),
        bytes => format!("{bytes}B"),
    }
}
