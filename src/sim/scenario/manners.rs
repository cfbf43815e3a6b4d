//! How customers take a no, how long they wait and how long they go on.

use std::time::Duration;

use toml::Spanned;

use super::file;
use super::values;
use crate::config::check::Check;
use crate::config::file::{List, Opt, TextOr};
use crate::sim::scenario::{Manner, Patience, Pause};

pub(super) fn check(check: &mut Check<'_>, written: &List<file::Manner>) -> Vec<Manner> {
    let Some(list) = written else { return vec![person()] };
    let each = check.list("crowd.manners", written);
    let shares: Vec<&Opt<i64>> = each.iter().map(|manner| &manner.get_ref().share).collect();
    let shares = values::shares(check, "manners", list.span(), &shares);
    let manners: Vec<Manner> = each.iter().map(|written| manner(check, written)).collect();
    let shares = shares.unwrap_or_else(|| vec![0; manners.len()]);
    manners.into_iter().zip(shares).map(|(manner, share)| Manner { share, ..manner }).collect()
}

/// One way, as the one it is like but for what is written.
fn manner(check: &mut Check<'_>, spanned: &Spanned<file::Manner>) -> Manner {
    let written = spanned.get_ref();
    let presets = [person(), app(), hammerer()];
    let names: Vec<&str> = presets.iter().map(|preset| preset.name.as_str()).collect();
    let like = written.like.as_ref().and_then(|like| check.one_of("manner", like, &names)).unwrap_or(0);
    let preset = presets[like].clone();
    let name = written
        .name
        .as_ref()
        .map(|_| values::name(check, "this manner", &spanned.span(), "crowd.manners.name", &written.name));
    let flag = |written: &Opt<bool>, preset: bool| written.as_ref().map_or(preset, |flag| *flag.get_ref());
    Manner {
        name: name.unwrap_or(preset.name),
        share: preset.share,
        obeys: flag(&written.obeys, preset.obeys),
        quick: values::whole(check, "quick", &written.quick, 0..=MOST_RETRIES).unwrap_or(preset.quick),
        quick_pause: check.duration("quick_pause", &written.quick_pause, preset.quick_pause),
        pause: written.pause.as_ref().map_or(preset.pause, |written| pause(check, "pause", written)),
        retries: values::whole(check, "retries", &written.retries, 0..=MOST_RETRIES).or(preset.retries),
        quits: written.quits.as_ref().map_or(preset.quits, |_| values::per_cent(check, "quits", &written.quits)),
    }
}

/// Obeys `Retry-After`; told nothing, tries again after a few seconds.
fn person() -> Manner {
    Manner {
        name: "person".to_owned(),
        share: 100,
        obeys: true,
        quick: 0,
        quick_pause: Duration::from_secs(1),
        pause: Pause::Between(Duration::from_secs(2), Duration::from_secs(5)),
        retries: None,
        quits: 0,
    }
}

/// Three quick retries built in by a developer, then a person.
fn app() -> Manner {
    Manner { name: "app".to_owned(), quick: 3, ..person() }
}

/// Reload, reload, reload.
fn hammerer() -> Manner {
    let pause = Pause::Between(Duration::from_secs(2), Duration::from_secs(2));
    Manner { name: "hammerer".to_owned(), obeys: false, pause, ..person() }
}

pub(super) fn pause(check: &mut Check<'_>, key: &str, written: &Spanned<TextOr<file::Pause>>) -> Pause {
    let even = |(least, most)| Pause::Between(least, most);
    let pause = match written.get_ref() {
        TextOr::Text(text) => {
            let text = Some(Spanned::new(written.span(), text.clone()));
            values::moment(check, key, &text).map(|time| even((time, time)))
        }
        TextOr::Table(file::Pause { between: between @ Some(_), mean: None }) => {
            values::between(check, "between", between).map(even)
        }
        TextOr::Table(file::Pause { between: None, mean: mean @ Some(_) }) => {
            check.given_duration("mean", mean).map(Pause::Mean)
        }
        TextOr::Table(_) => {
            let help = format!("write {key} = {{ mean = \"1s\" }} or {key} = {{ between = [\"500ms\", \"1s\"] }}");
            check.wrong(written.span(), format!("{key}: a pause has a mean or two ends"), help);
            None
        }
    };
    pause.unwrap_or(THINK)
}

pub(super) fn patience(check: &mut Check<'_>, written: &Opt<TextOr<file::Patience>>) -> Patience {
    let Some(written) = written else { return PATIENCE };
    let patience = match written.get_ref() {
        TextOr::Text(text) => {
            let text = Some(Spanned::new(written.span(), text.clone()));
            let time = check.given_duration("patience", &text);
            time.map(|time| Patience { least: time, most: time, by_step: false })
        }
        TextOr::Table(table) => {
            if table.between.is_none() {
                let help = "write patience = { between = [\"60s\", \"60s\"], by_step = true }";
                check.wrong(written.span(), "patience: it is not said how long", help);
            }
            let by_step = table.by_step.as_ref().is_some_and(|by_step| *by_step.get_ref());
            let between = values::between(check, "between", &table.between);
            between.map(|(least, most)| Patience { least, most, by_step })
        }
    };
    patience.unwrap_or(PATIENCE)
}

/// As the customers of `docs/decisions/0004-the-plant.md`.
pub(super) const THINK: Pause = Pause::Between(Duration::from_millis(500), Duration::from_secs(1));
const PATIENCE: Patience = Patience { least: Duration::from_secs(40), most: Duration::from_secs(80), by_step: false };
/// Clients count attempts in two bytes.
const MOST_RETRIES: u32 = 10_000;
