//! Who reads an answer of ours: a person, a script, a program; in which language, and from which origin.
//!
//! What the headers say is noted in the one walk that looks at them anyway, for they are gone when a backend fails.

use http::header::ORIGIN;
use http::{HeaderMap, HeaderValue, Method};

use super::cors::{Allowed, Cors};
use super::weights::Weights;
use crate::proxy::settings::Language;

/// What a request's headers say about its reader.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes {
    /// From `Sec-Fetch-Mode`, which scripts cannot set.
    navigates: Option<bool>,
    /// How much it would like HTML, and JSON, in thousandths.
    html: u16,
    json: u16,
    /// `X-Requested-With`: an older script says so by itself.
    scripted: bool,
    /// There is an `Accept-Language`.
    names_languages: bool,
    language: Option<Language>,
    origin: bool,
    asks_leave: bool,
    /// It calls a method of gRPC, which reads no HTTP status.
    grpc: bool,
}

/// Who reads the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(super) form: Form,
    pub(super) origin: Allowed,
}

/// What they can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A program: JSON, in the language of programs.
    Problem,
    /// A program that speaks gRPC: in the words of that.
    Grpc,
    /// A script that shows what it hears to a person.
    ProblemIn(Language),
    /// A person. The page may ask for itself again where that is all that was asked for.
    Page { language: Language, reloads: bool },
}

impl Wishes {
    /// Take note of one header; names that say nothing about readers are passed over.
    pub(crate) fn note(&mut self, name: &str, value: &HeaderValue) {
        let value = value.as_bytes();
        match name {
            "sec-fetch-mode" => self.navigates = Some(value == b"navigate"),
            "accept" => self.accept(value),
            "accept-language" => self.accept_language(value),
            "x-requested-with" => self.scripted = true,
            "origin" => self.origin = true,
            "access-control-request-method" => self.asks_leave = true,
            "content-type" => self.grpc = is_grpc(value),
            _ => {}
        }
    }

    /// Whether a browser asks what a script may do before it does so.
    pub(crate) fn is_preflight(&self, method: &Method) -> bool {
        self.asks_leave && self.origin && method == Method::OPTIONS
    }

    /// Who reads the answer. `language` is for people who ask for none that we have.
    pub(super) fn reader(
        &self,
        method: &Method,
        headers: &HeaderMap,
        cors: Option<&Cors>,
        language: Language,
    ) -> Reader {
        let origin = match cors {
            Some(cors) if self.origin => cors.allows(headers.get(ORIGIN)),
            _ => Allowed::Silent,
        };
        let safe = method == Method::GET || method == Method::HEAD;
        let language = self.language.unwrap_or(language);
        let form = match (self.navigates(safe), self.names_languages) {
            _ if self.grpc => Form::Grpc,
            (true, _) => Form::Page { language, reloads: safe },
            (false, true) => Form::ProblemIn(language),
            (false, false) => Form::Problem,
        };
        Reader { form, origin }
    }

    fn navigates(&self, safe: bool) -> bool {
        self.navigates.unwrap_or(safe && self.html > self.json && !self.scripted)
    }

    fn accept(&mut self, value: &[u8]) {
        for (range, weight) in Weights::of(value) {
            match range {
                b"text/html" => self.html = self.html.max(weight),
                b"application/json" | b"application/problem+json" | b"application/*" | b"*/*" => {
                    self.json = self.json.max(weight);
                }
                _ => {}
            }
        }
    }

    fn accept_language(&mut self, value: &[u8]) {
        self.names_languages = true;
        let known = Weights::of(value).filter_map(|(range, weight)| Some((language(range)?, weight)));
        // Of those liked as much the first: it is what people put there first.
        let best = known.filter(|(_, weight)| *weight > 0).reduce(|a, b| if b.1 > a.1 { b } else { a });
        self.language = best.map(|(language, _)| language).or(self.language);
    }
}

impl Reader {
    /// Whether they call gRPC.
    pub(crate) fn is_grpc(self) -> bool {
        self.form == Form::Grpc
    }

    /// Somebody of whom nothing is known.
    #[cfg(test)]
    pub(crate) const PROGRAM: Reader = Reader { form: Form::Problem, origin: Allowed::Silent };
}

/// `application/grpc`, with the name of what it carries or without; `application/grpc-web` is another protocol.
fn is_grpc(content_type: &[u8]) -> bool {
    let after = content_type.strip_prefix(b"application/grpc");
    after.is_some_and(|after| matches!(after.first(), None | Some(b'+' | b';')))
}

/// The language of a range such as `sv`, `sv-SE` or `en-GB`.
fn language(range: &[u8]) -> Option<Language> {
    let primary = range.split(|byte| *byte == b'-').next()?;
    Language::ALL.into_iter().find(|language| primary.eq_ignore_ascii_case(language.tag().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(lines: &[(&'static str, &'static str)]) -> Wishes {
        let mut wishes = Wishes::default();
        for (name, value) in lines {
            wishes.note(name, &HeaderValue::from_static(value));
        }
        wishes
    }

    fn form(method: &Method, lines: &[(&'static str, &'static str)]) -> Form {
        wishes(lines).reader(method, &HeaderMap::new(), None, Language::Swedish).form
    }

    fn speaks(accept_language: &'static str) -> Form {
        form(&Method::GET, &[("accept-language", accept_language)])
    }

    const CHROME: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
    const PAGE: Form = Form::Page { language: Language::Swedish, reloads: true };

    #[test]
    fn a_page_is_for_who_navigates_and_a_problem_for_everybody_else() {
        assert_eq!(form(&Method::GET, &[("sec-fetch-mode", "navigate")]), PAGE);
        assert_eq!(form(&Method::GET, &[("accept", CHROME)]), PAGE);
        assert_eq!(form(&Method::HEAD, &[("accept", "text/html")]), PAGE);
        for lines in [
            &[("sec-fetch-mode", "cors"), ("accept", CHROME)][..],
            &[("accept", CHROME), ("x-requested-with", "XMLHttpRequest")],
            &[("accept", "application/json, text/html")],
            &[("accept", "text/html;q=0.5, application/*")],
            &[("accept", "text/html;q=0")],
            &[("accept", "*/*")],
            &[],
        ] {
            assert_eq!(form(&Method::GET, lines), Form::Problem, "{lines:?}");
        }
        assert_eq!(form(&Method::POST, &[("accept", CHROME)]), Form::Problem, "a script may well post so");
    }

    #[test]
    fn who_calls_grpc_reads_grpc() {
        for (content_type, form_of) in [
            ("application/grpc", Form::Grpc),
            ("application/grpc+proto", Form::Grpc),
            ("application/grpc;charset=utf-8", Form::Grpc),
            ("application/grpc-web", Form::Problem),
            ("application/json", Form::Problem),
        ] {
            assert_eq!(form(&Method::POST, &[("content-type", content_type)]), form_of, "{content_type}");
        }
    }

    #[test]
    fn a_page_that_was_posted_to_does_not_ask_for_itself_again() {
        let posted = Form::Page { language: Language::Swedish, reloads: false };
        assert_eq!(form(&Method::POST, &[("sec-fetch-mode", "navigate")]), posted);
    }

    #[test]
    fn the_language_liked_best_is_spoken_and_ours_where_none_is_known() {
        use Language::{English, Swedish};
        for (accept_language, spoken) in [
            ("sv-SE,sv;q=0.9,en-US;q=0.8,en;q=0.7", Swedish),
            ("en-GB,en;q=0.9,sv;q=0.8", English),
            ("sv;q=0.3, EN;q=0.31", English),
            ("sv;q=0, en;q=0.1", English),
            ("en, sv", English),
            ("fi, en;q=0.2", English),
            ("de, fr;q=0.5", Swedish),
            ("eng, swe", Swedish),
            ("en;q=0", Swedish),
            ("*", Swedish),
            ("", Swedish),
            ("en;q=x, ;;,=", Swedish),
        ] {
            assert_eq!(speaks(accept_language), Form::ProblemIn(spoken), "{accept_language}");
        }
    }

    #[test]
    fn only_options_that_ask_leave_for_an_origin_are_a_preflight() {
        let origin = ("origin", "https://a.example");
        let leave = ("access-control-request-method", "PUT");
        assert!(wishes(&[origin, leave]).is_preflight(&Method::OPTIONS));
        assert!(!wishes(&[origin, leave]).is_preflight(&Method::GET));
        assert!(!wishes(&[origin]).is_preflight(&Method::OPTIONS));
        assert!(!wishes(&[leave]).is_preflight(&Method::OPTIONS));
    }
}
