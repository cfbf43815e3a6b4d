//! The first step: the text is TOML, with known keys and values of the right types.
//!
//! serde stops at its first mistake, in words for programmers, and takes a list for a table. So the text
//! is first held against the table of [`keys`](super::keys), which tells all mistakes at once; what is
//! left for serde is to put values into place.

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::error::{Problem, Source, Wrong, shown};
use super::keys::{Key, Kind, Reference, nearest};
use super::units;

/// What is written, or everything that is wrong with how it is written.
pub(crate) fn read<T: DeserializeOwned>(source: &Source, reference: &Reference) -> Result<T, Vec<Problem>> {
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    if !errors.is_empty() {
        return Err(not_toml(source, &errors));
    }
    let mut held = Held { source, keys: reference.keys, problems: Vec::new() };
    held.table(table.get_ref(), "");
    if !held.problems.is_empty() {
        return Err(held.problems);
    }
    T::deserialize(Deserializer::from(table)).map_err(|error| {
        let span = error.span().unwrap_or_default();
        vec![source.at(span, Wrong::new(error.message(), format!("see {}", reference.page)))]
    })
}

/// A text held against the keys it may have.
struct Held<'a> {
    source: &'a Source,
    keys: &'static [Key],
    problems: Vec<Problem>,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl Held<'_> {
    fn table(&mut self, table: &DeTable<'_>, section: &str) {
        for (name, value) in table {
            let path = if section.is_empty() { name.to_string() } else { format!("{section}.{name}") };
            match self.keys.iter().find(|key| key.path == path) {
                Some(key) => self.value(key, value),
                None => self.problems.push(self.source.at(name.span(), self.unknown_key(name.get_ref(), section))),
            }
        }
    }

    fn value(&mut self, key: &'static Key, value: &Value<'_>) {
        match (key.kind, value.get_ref()) {
            (
                Kind::Texts | Kind::Tables | Kind::TextsOrTables | Kind::RealOrTables | Kind::Sections,
                DeValue::Array(elements),
            ) => elements.iter().for_each(|element| self.element(key, element)),
            (Kind::Section | Kind::Table | Kind::TextOrTable | Kind::Limit | Kind::Seats, DeValue::Table(table)) => {
                self.table(table, key.path);
            }
            (Kind::Text | Kind::Duration | Kind::Size | Kind::TextOrTable | Kind::Time, DeValue::String(_)) => {}
            (Kind::Time, DeValue::Datetime(_)) => {}
            (Kind::Number | Kind::Limit | Kind::Seats | Kind::Real | Kind::RealOrTables, DeValue::Integer(number))
                if fits(number) => {}
            (Kind::Real | Kind::RealOrTables, DeValue::Float(_)) | (Kind::Switch, DeValue::Boolean(_)) => {}
            _ => self.wrong_type(key, value),
        }
    }

    fn element(&mut self, key: &'static Key, value: &Value<'_>) {
        match (key.kind, value.get_ref()) {
            (Kind::Tables | Kind::TextsOrTables | Kind::RealOrTables | Kind::Sections, DeValue::Table(table)) => {
                self.table(table, key.path);
            }
            (Kind::Texts | Kind::TextsOrTables, DeValue::String(_)) => {}
            _ => self.wrong_type(key, value),
        }
    }

    fn wrong_type(&mut self, key: &Key, value: &Value<'_>) {
        let wrong = match (key.kind, value.get_ref()) {
            (Kind::Duration, DeValue::Integer(number)) => said_of(key, units::duration(number.as_str()).err()),
            (Kind::Size, DeValue::Integer(number)) => said_of(key, units::size(number.as_str()).err()),
            _ => None,
        };
        let wrong = wrong.unwrap_or_else(|| self.other_type(key, value));
        self.problems.push(self.source.at(value.span(), wrong));
    }

    fn other_type(&self, key: &Key, value: &Value<'_>) -> Wrong {
        let (name, example) = (key.name(), key.written());
        let what = match (key.kind, value.get_ref()) {
            (Kind::Sections, DeValue::Table(_)) => format!("there may be several of `{name}`: one bracket is too few"),
            (Kind::Section, DeValue::Array(_)) => format!("there is only one `{name}`: one bracket is too many"),
            (kind, DeValue::Array(_)) => format!("`{name}` should be {}; this is a list", kind.name()),
            (kind, DeValue::Table(_)) => format!("`{name}` should be {}; this is a table", kind.name()),
            (kind, _) => {
                format!("`{name}` should be {}; this is {}", kind.name(), shown(self.source.written(value.span())))
            }
        };
        Wrong::new(what, format!("write it like this: {example}"))
    }

    fn unknown_key(&self, name: &str, section: &str) -> Wrong {
        let place = if section.is_empty() { String::new() } else { format!(" in `{section}`") };
        let known = self.keys.iter().filter(|key| key.section() == section).map(Key::name);
        let help = match (nearest(name, known.clone()), self.keys.iter().find(|key| key.name() == name)) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(key)) if key.section().is_empty() => {
                format!("`{name}` stands at the top of the file, before the first line in [brackets]")
            }
            (None, Some(key)) => format!("`{name}` is a key of `{}`", key.section()),
            (None, None) => format!("known here: {}", known.collect::<Vec<_>>().join(", ")),
        };
        Wrong::new(format!("unknown key {}{place}", shown(name)), help)
    }
}

fn said_of(key: &Key, wrong: Option<Wrong>) -> Option<Wrong> {
    wrong.map(|Wrong { what, help }| Wrong::new(format!("{}: {what}", key.name()), help))
}

fn fits(number: &toml::de::DeInteger<'_>) -> bool {
    i64::from_str_radix(number.as_str(), number.radix()).is_ok()
}

/// The first error of each line: what follows on the same line is mostly its consequence.
fn not_toml(source: &Source, errors: &[toml::de::Error]) -> Vec<Problem> {
    let end = source.text.len();
    let mut spans: Vec<_> = errors.iter().map(|error| (error.span().unwrap_or(end..end), error.message())).collect();
    spans.sort_by_key(|(span, _)| span.start);
    let mut problems: Vec<Problem> = Vec::new();
    for (span, message) in spans {
        let wrong = in_our_words(message, source.written(span.clone()));
        let problem = source.at(span, wrong);
        if problems.last().is_none_or(|last| last.line() != problem.line()) {
            problems.push(problem);
        }
    }
    problems
}

/// The parser's words are those of a grammar.
fn in_our_words(message: &str, written: &str) -> Wrong {
    let says = |part: &str| message.contains(part);
    if says("duplicate key") {
        Wrong::new("this is in the file already", "keep one of the two")
    } else if says("string values must be quoted") {
        Wrong::new("text is written in quotes", format!("write \"{written}\""))
    } else if says("expected `\"`") || says("expected `'`") {
        Wrong::new("this text is not closed", "put a quote at its end")
    } else if says("missing comma") || says("expected `]`") {
        Wrong::new("the list before this is not closed", "write ] at its end, and commas between its elements")
    } else if says("key with no value") {
        Wrong::new("this key has no value", "write: key = value")
    } else if says("unquoted key") {
        Wrong::new("this is not a key", "write: key = value, or [section]; text in quotes, lists in [ ]")
    } else if says("invalid float") || says("invalid integer") || says("invalid datetime") {
        Wrong::new("this is neither a number nor a text", "write text in quotes")
    } else {
        Wrong::new(message, "text is written in quotes, lists in [ ], tables in { }, and each key on its own line")
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::{File, ScheduleFile};
    use super::super::keys::{CONFIG, SCHEDULE};
    use super::*;

    /// The fields serde knows where `probe` stands.
    fn fields<T: DeserializeOwned>(text: &str) -> Vec<String> {
        let error = toml::from_str::<T>(text).err().expect("`probe` is no key");
        let (_, expected) = error.message().split_once(", expected ").expect("serde lists what it knows");
        expected.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    fn listed(keys: &'static [Key], section: &str) -> Vec<String> {
        keys.iter().filter(|key| key.section() == section).map(|key| key.name().to_owned()).collect()
    }

    fn assert_same(mut ours: Vec<String>, mut serdes: Vec<String>, section: &str) {
        ours.sort();
        serdes.sort();
        assert_eq!(ours, serdes, "keys of `{section}`: in keys.rs, in file.rs");
    }

    #[test]
    fn the_table_of_keys_is_what_serde_reads() {
        let places = [
            ("", "probe = 1"),
            ("listen", "[listen]\nprobe = 1"),
            ("listen.tls", "[listen.tls]\nprobe = 1"),
            ("listen.tls.certificates", "[listen.tls]\ncertificates = [{ probe = 1 }]"),
            ("admin", "[admin]\nprobe = 1"),
            ("access_log", "[access_log]\nprobe = 1"),
            ("access_log.one_in", "[access_log]\none_in = { probe = 1 }"),
            ("trace", "[trace]\nprobe = 1"),
            ("customer", "[customer]\nprobe = 1"),
            ("customer.from", "[customer]\nfrom = [{ probe = 1 }]"),
            ("customer.from.bound_by", "[customer]\nfrom = [{ bound_by = { probe = 1 } }]"),
            ("customer.from.jwt", "[customer]\nfrom = [{ jwt = { probe = 1 } }]"),
            ("customer.from.jwt.keys", "[customer]\nfrom = [{ jwt = { keys = [{ probe = 1 }] } }]"),
            ("machine", "[[machine]]\nprobe = 1"),
            ("machine.header", "[[machine]]\nheader = { probe = 1 }"),
            ("event", "[event]\nprobe = 1"),
            ("event.from", "[event]\nfrom = [{ probe = 1 }]"),
            ("schedule", "[schedule]\nprobe = 1"),
            ("cors", "[cors]\nprobe = 1"),
            ("pages", "[pages]\nprobe = 1"),
            ("pages.links", "[pages]\nlinks = [{ probe = 1 }]"),
            ("once", "[once]\nprobe = 1"),
            ("budget", "[[budget]]\nprobe = 1"),
            ("budget.limit", "[[budget]]\nlimit = { probe = 1 }"),
            ("product", "[[product]]\nprobe = 1"),
            ("product.match", "[[product]]\nmatch = [{ probe = 1 }]"),
            ("product.match.header", "[[product]]\nmatch = [{ header = { probe = 1 } }]"),
            ("product.backends", "[[product]]\nbackends = [{ probe = 1 }]"),
            ("product.site", "[[product]]\n[[product.site]]\nprobe = 1"),
            ("product.site.backends", "[[product]]\n[[product.site]]\nbackends = [{ probe = 1 }]"),
            ("product.site.limit", "[[product]]\n[[product.site]]\nlimit = { probe = 1 }"),
            ("upgrade", "[upgrade]\nprobe = 1"),
            ("product.streams", "[[product]]\nstreams = { probe = 1 }"),
            ("product.tls", "[[product]]\ntls = { probe = 1 }"),
            ("product.tls.certificate", "[[product]]\ntls = { certificate = { probe = 1 } }"),
            ("product.health", "[[product]]\nhealth = { probe = 1 }"),
            ("product.outliers", "[[product]]\noutliers = { probe = 1 }"),
            ("product.limit", "[[product]]\nlimit = { probe = 1 }"),
            ("product.queue", "[[product]]\nqueue = { probe = 1 }"),
            ("product.passes", "[[product]]\npasses = { probe = 1 }"),
            ("cache", "[cache]\nprobe = 1"),
            ("product.class.cache", "[[product.class]]\ncache = { probe = 1 }"),
            ("product.class", "[[product.class]]\nprobe = 1"),
            ("product.class.seats", "[[product.class]]\nseats = { probe = 1 }"),
            ("product.class.match", "[[product.class]]\nmatch = [{ probe = 1 }]"),
            ("product.class.match.header", "[[product.class]]\nmatch = [{ header = { probe = 1 } }]"),
        ];
        for (section, text) in places {
            let text = text.replace("[[product.class]]", "[[product]]\n[[product.class]]");
            assert_same(listed(CONFIG, section), fields::<File>(&text), section);
        }
        assert_same(listed(SCHEDULE, ""), fields::<ScheduleFile>("probe = 1"), "schedule");
        assert_same(listed(SCHEDULE, "event"), fields::<ScheduleFile>("[[event]]\nprobe = 1"), "schedule");
        let sections = CONFIG.iter().filter(|key| !places.iter().any(|(section, _)| *section == key.section()));
        assert_eq!(sections.count(), 0, "a section that this test does not probe");
    }
}
