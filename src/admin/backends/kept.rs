//! What was ordered of backends, kept for those who come up after us: the journal has a word about each of which anything
//! is as no file says it.
//!
//! A restart reads the file that there is then and the words. So whenever the file changes, the words say anew what is, beside
//! that file; and what is as the file says has none.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::super::control::Control;
use crate::journal::{BackendWord, Memory, Record};
use crate::proxy::backend::Backend;
use crate::proxy::settings::BackendSettings;
use crate::proxy::standing::Standing;

/// What the journal says of backends, by their names.
pub(in crate::admin) type Words = BTreeMap<String, BackendWord>;

impl Control {
    /// This is what was ordered of a backend. Of one address there is one word, whatever it was called before.
    pub(super) fn keep_word(&self, words: &mut Words, backend: &str, word: BackendWord) {
        let is_same = |(name, known): &(&String, &BackendWord)| known.address == word.address && *name != backend;
        let same: Vec<String> = words.iter().filter(is_same).map(|(name, _)| name.clone()).collect();
        same.iter().for_each(|name| self.forget_word(words, name));
        if !says_something(&word) {
            return self.forget_word(words, backend);
        }
        if words.get(backend) != Some(&word) {
            words.insert(backend.to_owned(), word.clone());
            self.journal.note(Record::Backend { backend: backend.to_owned(), word });
        }
    }

    fn forget_word(&self, words: &mut Words, backend: &str) {
        if let Some(word) = words.remove(backend) {
            let nothing = BackendWord { member: false, configured: None, ..word };
            self.journal.note(Record::Backend { backend: backend.to_owned(), word: nothing });
        }
    }

    /// What was ordered before the restart, as far as the configuration has said nothing else since.
    pub(in crate::admin) fn restore_backends(&self, memory: &Memory) {
        let shared = self.shared();
        let mut matters = self.matters();
        let words = &mut matters.backends;
        *words = memory.backends.clone();
        // Those that came first: the last of a pool is never taken out, and was not the last when it was.
        let (came, left): (Vec<_>, Vec<_>) = memory.backends.iter().partition(|(_, word)| word.member);
        for (name, word) in came.into_iter().chain(left) {
            let Some(standing) = pool_of(&shared.standings, word) else { continue };
            let known = configured(standing, word.address, word.host.as_deref());
            if known.map(|one| one.weight) != word.configured || known.is_some_and(|one| one.priority != word.priority)
            {
                tracing::info!(
                    backend = name,
                    "the configuration has changed since an order about it: that is forgotten"
                );
                self.forget_word(words, name);
                continue;
            }
            restore(standing, name, word);
        }
    }

    /// The configuration is another one: what was ordered and still counts is kept beside what that says, and what does not
    /// count any more is forgotten.
    pub(in crate::admin) fn keep_orders(&self) {
        let mut matters = self.matters();
        let words = &mut matters.backends;
        let mut are = BTreeMap::new();
        for standing in &self.shared().standings {
            let out = standing.settings.backends.iter().filter(|one| is_out(standing, one));
            are.extend(out.map(|settings| (settings.name.clone(), out_of(standing, settings))));
            // One address of several: the name has others, and this one is still not to come back.
            let of_names = words.iter().filter(|(_, word)| !word.member && is_shut_out(standing, word));
            are.extend(of_names.map(|(name, word)| {
                let configured = configured(standing, word.address, word.host.as_deref()).map(|one| one.weight);
                (name.clone(), BackendWord { configured, pool: standing.pool().to_owned(), ..word.clone() })
            }));
            let there = standing.backends();
            are.extend(there.iter().map(|backend| (backend.settings.name.clone(), word(standing, backend, true))));
        }
        let gone: Vec<String> = words.keys().filter(|name| !are.contains_key(*name)).cloned().collect();
        gone.iter().for_each(|name| self.forget_word(words, name));
        for (backend, word) in are {
            self.keep_word(words, &backend, word);
        }
    }
}

/// Whether anything is otherwise than the configuration has it.
fn says_something(word: &BackendWord) -> bool {
    match word.member {
        true => word.drained || word.configured != Some(word.weight),
        false => word.configured.is_some(),
    }
}

/// Whether the configuration names it and an order has taken it out.
fn is_out(standing: &Standing, settings: &BackendSettings) -> bool {
    standing.ordered_out().iter().any(|out| out.name == settings.name)
}

/// Whether nobody is to come from this address of a name that the pool has.
fn is_shut_out(standing: &Standing, word: &BackendWord) -> bool {
    let has_name = |host: &str| configured(standing, word.address, Some(host)).is_some();
    word.host.as_deref().is_some_and(has_name) && standing.is_dismissed(word.address)
}

/// The pool that a word is about: the one of its name, or where other products come first since, the one with the backend.
fn pool_of<'a>(standings: &'a [Arc<Standing>], word: &BackendWord) -> Option<&'a Arc<Standing>> {
    let named = standings.iter().find(|standing| standing.pool() == word.pool);
    named.or_else(|| standings.iter().find(|one| configured(one, word.address, word.host.as_deref()).is_some()))
}

fn restore(standing: &Standing, name: &str, word: &BackendWord) {
    let BackendWord { address, weight, priority, .. } = *word;
    match (standing.at(address), word.member) {
        // What a name has is for the name to say: it may have it no more.
        (None, true) if word.host.is_none() && standing.named(name).is_none() => {
            standing.enrol(BackendSettings { name: name.to_owned(), address, weight, priority, host: None });
        }
        (Some(backend), false) if standing.backends().len() > 1 => standing.remove(&backend),
        (None, false) => standing.dismiss(address),
        _ => {}
    }
    if let Some(backend) = standing.at(address) {
        standing.weigh(&backend, weight);
        standing.drain(&backend, word.drained);
    }
    let (member, drained) = (word.member, word.drained);
    tracing::warn!(backend = name, member, drained, weight, "as it was ordered before the restart");
}

pub(super) fn word(standing: &Standing, backend: &Backend, member: bool) -> BackendWord {
    let BackendSettings { address, host, .. } = &backend.settings;
    BackendWord {
        pool: standing.pool().to_owned(),
        address: *address,
        member,
        drained: !backend.is_in_use(),
        weight: backend.weight(),
        priority: backend.priority(),
        configured: configured(standing, *address, host.as_deref()).map(|one| one.weight),
        host: host.clone(),
    }
}

/// What is to be kept of one that was ordered out.
fn out_of(standing: &Standing, settings: &BackendSettings) -> BackendWord {
    let BackendSettings { address, weight, priority, host, .. } = settings.clone();
    let pool = standing.pool().to_owned();
    BackendWord { pool, address, member: false, drained: false, weight, priority, configured: Some(weight), host }
}

/// What the configuration says of a backend: of the name that it was found by, whichever addresses that has, or else of
/// what is at its address.
fn configured<'a>(standing: &'a Standing, address: SocketAddr, host: Option<&str>) -> Option<&'a BackendSettings> {
    let is = |one: &&BackendSettings| match host {
        Some(_) => one.host.as_deref() == host && one.address.port() == address.port(),
        None => one.address == address,
    };
    standing.settings.backends.iter().find(is)
}
