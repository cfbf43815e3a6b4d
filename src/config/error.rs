//! What is wrong with a configuration, said so that it can be put right without looking anything up.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Everything that is wrong with a configuration, in the order of the file.
///
/// Displays as one paragraph a problem: `file:line:column: what is wrong`, the line with a caret, and
/// what to write instead.
#[derive(Clone, Debug)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    file: String,
    place: Option<Place>,
    wrong: Wrong,
}

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) what: String,
    pub(crate) help: String,
}

/// A text and where it came from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    line: usize,
    column: usize,
    /// Columns under the caret.
    width: usize,
    text: String,
}

impl ConfigError {
    pub(crate) fn new(mut problems: Vec<Problem>) -> ConfigError {
        // Steps look at one thing at a time; a reader goes from the top of the file down.
        problems.sort_by(|a, b| (&a.file, a.line(), a.column()).cmp(&(&b.file, b.line(), b.column())));
        problems.dedup();
        ConfigError { problems }
    }

    pub(crate) fn about_file(path: &Path, wrong: Wrong) -> ConfigError {
        ConfigError { problems: vec![Problem { file: path.display().to_string(), place: None, wrong }] }
    }

    /// The problems, at least one.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(MOST_SHOWN).enumerate() {
            let gap = if index == 0 { "" } else { "\n\n" };
            write!(f, "{gap}{problem}")?;
        }
        match self.problems.len().saturating_sub(MOST_SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n\nand {more} more"),
        }
    }
}

impl Problem {
    /// The file it is in, as it was named.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line, counted from 1; 0 when it is about the whole file.
    pub fn line(&self) -> usize {
        self.place.as_ref().map_or(0, |place| place.line)
    }

    /// The column in characters, counted from 1; 0 when it is about the whole file.
    pub fn column(&self) -> usize {
        self.place.as_ref().map_or(0, |place| place.column)
    }

    /// What is wrong.
    pub fn what(&self) -> &str {
        &self.wrong.what
    }

    /// What to do instead.
    pub fn help(&self) -> &str {
        &self.wrong.help
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(Place { line, column, .. }) = &self.place {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.what())?;
        if let Some(place) = &self.place {
            place.show(f)?;
        }
        write!(f, "\n  help: {}", self.help().replace('\n', "\n        "))
    }
}

impl Wrong {
    pub(crate) fn new(what: impl Into<String>, help: impl Into<String>) -> Wrong {
        Wrong { what: harmless(what.into()), help: harmless(help.into()) }
    }
}

/// What a file says again ends up on a terminal, which it must not be able to steer.
fn harmless(text: String) -> String {
    let steers = |c: char| c.is_control() && c != '\n';
    if text.contains(steers) { text.replace(steers, "\u{fffd}") } else { text }
}

impl Source {
    pub(crate) fn new(path: &Path, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    /// What is written there; nothing that must not be said.
    pub(crate) fn written(&self, span: Range<usize>) -> &str {
        let text = self.text.get(span.clone()).unwrap_or_default();
        let (_, line) = line_at(&self.text, self.text.floor_char_boundary(span.start));
        if token_at(line).is_some() { "..." } else { text }
    }

    /// Something is wrong at these bytes of the text.
    pub(crate) fn at(&self, span: Range<usize>, wrong: Wrong) -> Problem {
        Problem { file: self.path.display().to_string(), place: Some(Place::new(&self.text, span)), wrong }
    }

    /// Something is wrong with the text as a whole.
    pub(crate) fn whole(&self, wrong: Wrong) -> Problem {
        Problem { file: self.path.display().to_string(), place: None, wrong }
    }
}

impl Place {
    fn new(text: &str, span: Range<usize>) -> Place {
        let start = text.floor_char_boundary(span.start);
        let (line_start, line) = line_at(text, start);
        let end = text.floor_char_boundary(span.end).clamp(start, line_start + line.len());
        Place {
            line: 1 + text[..line_start].matches('\n').count(),
            column: 1 + text[line_start..start].chars().count(),
            width: text[start..end.max(start)].chars().count().max(1),
            text: hide_token(line),
        }
    }

    /// The line with a caret, cut where it is too long for a terminal.
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.column - 1;
        let cut = before.saturating_sub(WIDEST / 2);
        let shown = self.text.chars().skip(cut).take(WIDEST).map(|c| if c.is_control() { ' ' } else { c });
        let shown: String = shown.collect();
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let carets = "^".repeat(self.width.min(WIDEST.saturating_sub(before - cut)).max(1));
        write!(f, "\n  {number} | {}", shown.trim_end())?;
        write!(f, "\n  {gutter} | {}{carets}", " ".repeat(before - cut))
    }
}

/// The line around a byte, and where it starts.
fn line_at(text: &str, at: usize) -> (usize, &str) {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
    (start, &text[start..end])
}

/// What somebody wrote, in a sentence of ours.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(LONGEST_SHOWN) {
        None if text.is_empty() => "an empty text".to_owned(),
        None => format!("`{}`", text.escape_debug().to_string().replace("\\\"", "\"")),
        Some((cut, _)) => format!("`{}...`", text[..cut].escape_debug()),
    }
}

/// Messages end up in logs and chats; the admin token must not. One character stays one character, so
/// that carets stay where they are.
fn hide_token(line: &str) -> String {
    let Some(token) = token_at(line) else { return line.to_owned() };
    line[..token].chars().chain(line[token..].chars().map(|c| if c == ' ' { ' ' } else { '*' })).collect()
}

/// Where the value of a `token` begins on this line.
fn token_at(line: &str) -> Option<usize> {
    line.match_indices("token").find_map(|(at, key)| {
        let rest = &line[at + key.len()..];
        let value = rest.trim_start_matches(['"', '\'', ' ', '\t']).strip_prefix('=')?;
        Some(line.len() - value.len())
    })
}

/// More would scroll the first one away.
const MOST_SHOWN: usize = 20;

/// Characters of a text that are said again.
const LONGEST_SHOWN: usize = 80;

/// Columns of a line that are shown.
const WIDEST: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, span: Range<usize>) -> String {
        Source::new(Path::new("a.toml"), text).at(span, Wrong::new("no", "yes")).to_string()
    }

    #[test]
    fn a_problem_shows_its_place() {
        let text = "one = 1\nåäö = 22\n";
        let at = text.find("22").unwrap();
        assert_eq!(told(text, at..at + 2), "a.toml:2:7: no\n  2 | åäö = 22\n    |       ^^\n  help: yes");
    }

    #[test]
    fn a_place_at_the_end_or_beyond_is_still_told() {
        assert_eq!(told("a =", 3..3), "a.toml:1:4: no\n  1 | a =\n    |    ^\n  help: yes");
        assert_eq!(told("", 7..9), "a.toml:1:1: no\n  1 | \n    | ^\n  help: yes");
    }

    #[test]
    fn a_span_over_several_lines_marks_its_first() {
        assert_eq!(told("a = [\n1,\n]", 4..10), "a.toml:1:5: no\n  1 | a = [\n    |     ^\n  help: yes");
    }

    #[test]
    fn a_long_line_is_cut_around_the_caret() {
        let text = format!("a = \"{}\" # end", "x".repeat(500));
        let shown = told(&text, 507..508);
        assert!(shown.lines().all(|line| line.chars().count() < 120), "{shown}");
        assert!(shown.contains("# end"), "{shown}");
    }

    #[test]
    fn what_a_file_says_cannot_steer_a_terminal() {
        let said = Wrong::new("no \u{1b}[2J", "yes\u{8}\nand more");
        let told = Source::new(Path::new("a.toml"), "a = \u{1b}[2J").at(0..1, said).to_string();
        assert_eq!(told, "a.toml:1:1: no \u{fffd}[2J\n  1 | a =  [2J\n    | ^\n  help: yes\u{fffd}\n        and more");
    }

    #[test]
    fn a_token_is_never_told() {
        for text in ["token = \"hemligt\"", "admin = { \"token\" = \"hemligt\" }", "token=\"hemligt"] {
            assert!(!told(text, 0..5).contains("hemligt"), "{text}");
        }
        assert!(told("token_file = \"path\"", 0..5).contains("path"));
    }
}
