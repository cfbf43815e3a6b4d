//! Names of products and budgets: they become metric labels, words in URLs and arguments of commands.

use toml::Spanned;

use super::check::{Check, Span};
use super::error::shown;
use super::file::Opt;
use super::keys::nearest;

/// The name as written; what is wrong with it is in `check`. `at` is where it is missed.
pub(crate) fn check(check: &mut Check<'_>, what: &str, at: &Span, written: &Opt<String>) -> String {
    let Some(name) = written else {
        check.missing(at.clone(), &format!("this {what}"), &format!("{what}.name"));
        return String::new();
    };
    let text = name.get_ref();
    if text.is_empty() {
        check.wrong(name.span(), "the name is empty", "write a short name, such as \"horse-racing\"");
    } else if text.len() > LONGEST {
        let characters = format!("the name has more than {LONGEST} characters");
        check.wrong(name.span(), characters, "write a shorter one; it becomes a label of every metric");
    } else if !text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')) {
        let help = match proper(text) {
            proper if proper.is_empty() => "write lower-case letters, digits and dashes".to_owned(),
            proper => format!("write lower-case letters, digits and dashes: \"{proper}\""),
        };
        check.wrong(name.span(), format!("{} cannot be a name", shown(text)), help);
    }
    text.clone()
}

/// Two things of one name cannot be told apart on any board.
pub(crate) fn taken(check: &mut Check<'_>, written: &Opt<String>, by: &str, first: &Span) {
    let Some(name) = written.as_ref().filter(|name| !name.get_ref().is_empty()) else { return };
    let line = check.line(first);
    let what = format!("the name `{}` is taken: {by} on line {line} has it", name.get_ref());
    check.wrong(name.span(), what, "give one of them another name");
}

/// The index of the product that is named.
pub(crate) fn product(check: &mut Check<'_>, written: &Spanned<String>, names: &[&str]) -> Option<usize> {
    let name = written.get_ref();
    let found = names.iter().position(|known| known == name);
    if found.is_none() {
        let named: Vec<&str> = names.iter().copied().filter(|name| !name.is_empty()).collect();
        let help = match nearest(name, named.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("products in this {}: {}", check.reference.what, list(&named)),
        };
        check.wrong(written.span(), format!("no product is called {}", shown(name)), help);
    }
    found
}

/// `a, b and c`.
pub(crate) fn list(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A name like it that would do.
fn proper(text: &str) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        'å' | 'Å' | 'ä' | 'Ä' => 'a',
        'ö' | 'Ö' => 'o',
        c if c.is_ascii_lowercase() || c.is_ascii_digit() => c,
        _ => '-',
    };
    let name: String = text.chars().map(plain).collect();
    name.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

const LONGEST: usize = 64;
