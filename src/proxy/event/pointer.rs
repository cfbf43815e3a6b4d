//! One place in a JSON document (RFC 6901), read without building the document.
//!
//! What strangers send is read here, before anybody knows whether it is a bet: time and memory are those of one pass over a
//! text that is bounded, whatever is in it. What lies off the path is skipped without recursion, and the path is
//! short.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A place in a JSON document. As in RFC 6901, but that `*` stands for every element of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(Vec<Token>);

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    name: String,
    /// As the index of an array, if it is one.
    index: Option<usize>,
}

/// What stands at the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Found<'a> {
    /// A text.
    Text(&'a str),
    /// A whole number.
    Number(u64),
    /// A text in an array that stands there.
    TextInList(&'a str),
    /// A whole number in an array that stands there.
    NumberInList(u64),
    /// An array of so many elements, which have been told before.
    List(u64),
    /// Anything else.
    Other,
}

/// Longer is no place that anybody meant.
const MOST_TOKENS: usize = 16;

impl Pointer {
    /// A pointer as it is written: `/legs/*/race`.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub fn parse(text: &str) -> Result<Pointer, (&'static str, String)> {
        if !text.starts_with('/') {
            return Err(("it does not begin with a slash", format!("write \"/{text}\"")));
        }
        let tokens = text[1..].split('/').map(Token::parse).collect::<Option<Vec<_>>>();
        match tokens {
            None => {
                Err(("after `~` it has neither 0 nor 1", "write ~0 for a tilde and ~1 for a slash in a name".into()))
            }
            Some(tokens) if tokens.len() > MOST_TOKENS => {
                Err(("it is too deep", format!("use at most {MOST_TOKENS} names")))
            }
            Some(tokens) => Ok(Pointer(tokens)),
        }
    }

    /// Tell `hear` what stands at this place in `body`: everything, where a name on the way is there twice or a star
    /// stands. False when the text is no JSON; what was found before that is told.
    pub(in crate::proxy) fn find(&self, body: &[u8], hear: &mut dyn FnMut(Found<'_>)) -> bool {
        let mut document = serde_json::Deserializer::from_slice(body);
        let follow = Follow { tokens: &self.0, in_list: false, hear };
        follow.deserialize(&mut document).and_then(|()| document.end()).is_ok()
    }
}

impl Token {
    fn parse(text: &str) -> Option<Token> {
        let well_escaped = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        // A slash first: `~01` is `~1`, not a slash.
        let name = text.replace("~1", "/").replace("~0", "~");
        let plain = text == "0" || !text.starts_with(['0', '+']);
        let index = text.parse().ok().filter(|_| plain);
        well_escaped.then_some(Token { name, index })
    }

    fn is_each(&self) -> bool {
        self.name == "*"
    }
}

/// On the way to the place.
struct Follow<'p, 'h> {
    tokens: &'p [Token],
    in_list: bool,
    hear: &'h mut dyn FnMut(Found<'_>),
}

impl Follow<'_, '_> {
    fn at_the_place(&self) -> bool {
        self.tokens.is_empty()
    }

    fn tell(self, alone: Found<'_>, in_list: Found<'_>) {
        // A scalar on the way is not the place.
        if self.at_the_place() {
            (self.hear)(if self.in_list { in_list } else { alone });
        }
    }
}

impl<'de> DeserializeSeed<'de> for Follow<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Follow<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.tell(Found::Text(text), Found::TextInList(text));
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.tell(Found::Number(number), Found::NumberInList(number));
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.tell(Found::Other, Found::Other);
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.tell(Found::Other, Found::Other);
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.tell(Found::Other, Found::Other);
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.tell(Found::Other, Found::Other);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((token, rest)) = self.tokens.split_first() else {
            (self.hear)(Found::Other);
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        };
        while let Some(wanted) = map.next_key_seed(Is(&token.name))? {
            if wanted {
                map.next_value_seed(Follow { tokens: rest, in_list: false, hear: &mut *self.hear })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut length = 0;
        loop {
            let wanted = match self.tokens.first() {
                // A list in a list is nobody's event.
                None => !self.in_list,
                Some(token) => token.is_each() || token.index == Some(length),
            };
            let there = if wanted {
                let rest = self.tokens.get(1..).unwrap_or_default();
                let in_list = self.at_the_place();
                list.next_element_seed(Follow { tokens: rest, in_list, hear: &mut *self.hear })?.is_some()
            } else {
                list.next_element::<IgnoredAny>()?.is_some()
            };
            if !there {
                break;
            }
            length += 1;
        }
        self.tell(Found::List(length as u64), Found::Other);
        Ok(())
    }
}

/// Whether a key is this one.
struct Is<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        Ok(text == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::random::Random;

    fn found(pointer: &str, body: &str) -> (Vec<String>, bool) {
        let mut found = Vec::new();
        let whole = Pointer::parse(pointer).expect("a pointer").find(body.as_bytes(), &mut |what| {
            found.push(match what {
                Found::Text(text) => text.to_owned(),
                Found::Number(number) => number.to_string(),
                Found::TextInList(text) => format!("- {text}"),
                Found::NumberInList(number) => format!("- {number}"),
                Found::List(length) => format!("list of {length}"),
                Found::Other => "other".to_owned(),
            });
        });
        (found, whole)
    }

    #[track_caller]
    fn finds(pointer: &str, body: &str, what: &[&str]) {
        assert_eq!(found(pointer, body), (what.iter().map(|text| (*text).to_owned()).collect(), true), "{body}");
    }

    #[test]
    fn a_place_is_found_wherever_it_stands() {
        finds("/coupon/race", r#"{"a": [1, {"race": "no"}], "coupon": {"race": "v75-1", "b": null}}"#, &["v75-1"]);
        finds("/coupon/race", r#"{"coupon": {"race": 75}}"#, &["75"]);
        finds("/a~1b/m~0n", r#"{"a/b": {"m~n": "x"}}"#, &["x"]);
        finds("/legs/1/race", r#"{"legs": [{"race": "a"}, {"race": "b"}, {"race": "c"}]}"#, &["b"]);
        finds("/0", r#"["x", "y"]"#, &["x"]);
        finds("/01", r#"["x", "y"]"#, &[]);
        finds("/r\u{e4}ce", "{\"r\\u00e4ce\": \"g\\u00e4vle\"}", &["g\u{e4}vle"]);
    }

    #[test]
    fn a_star_and_a_list_tell_every_element() {
        finds("/legs/*/race", r#"{"legs": [{"race": "a"}, {"x": 1}, {"race": 7}]}"#, &["a", "7"]);
        finds("/races", r#"{"races": ["a", 7, [8], {"b": 1}]}"#, &["- a", "- 7", "other", "other", "list of 4"]);
        finds("/races", r#"{"races": []}"#, &["list of 0"]);
    }

    #[test]
    fn a_name_that_is_there_twice_is_told_twice() {
        finds("/race", r#"{"race": "open", "race": "closed"}"#, &["open", "closed"]);
        finds("/a/race", r#"{"a": {"race": "open"}, "\u0061": {"r\u0061ce": "closed"}}"#, &["open", "closed"]);
    }

    #[test]
    fn what_is_no_name_of_anything_is_other_and_what_is_not_there_is_nothing() {
        for value in ["1.5", "-1", "true", "null", "{\"a\": 1}", "123456789012345678901234567890"] {
            finds("/race", &format!("{{\"race\": {value}}}"), &["other"]);
        }
        for body in ["{}", "[]", "7", "\"race\"", "{\"race\": {}}", "{\"RACE\": {\"id\": 1}}"] {
            finds("/race/id", body, &[]);
        }
    }

    #[test]
    fn what_breaks_off_has_told_what_came_before() {
        assert_eq!(found("/race", "{\"race\": \"v75-1\", "), (vec!["v75-1".to_owned()], false));
        assert_eq!(found("/race", "{\"race\": \"v75-1\"} {"), (vec!["v75-1".to_owned()], false));
        assert_eq!(found("/race", "race=v75-1"), (vec![], false));
        assert_eq!(found("/race", ""), (vec![], false));
    }

    #[test]
    fn a_pointer_is_told_what_is_wrong_with_it() {
        assert_eq!(Pointer::parse("race").unwrap_err().1, "write \"/race\"");
        assert_eq!(Pointer::parse("/a~2").unwrap_err().0, "after `~` it has neither 0 nor 1");
        assert_eq!(Pointer::parse(&"/a".repeat(17)).unwrap_err().0, "it is too deep");
        assert!(Pointer::parse("/").is_ok(), "the name may be empty");
    }

    #[test]
    fn nothing_that_a_stranger_sends_takes_long_or_overflows_the_stack() {
        let deep = 1 << 14;
        let bodies = [
            "[".repeat(deep),
            "{\"a\":".repeat(deep / 5),
            format!("{{\"b\": {}{}, \"a\": 1}}", "[".repeat(deep), "]".repeat(deep)),
            format!("{{\"a\": {}}}", "9".repeat(deep)),
            format!("{{\"a\": 1e{}}}", "9".repeat(deep)),
            format!("{{\"a\": 0.{}}}", "0".repeat(deep)),
            format!("{{{}\"a\": 1}}", "\"a\": 1, ".repeat(deep / 8)),
            format!("{{\"a\": \"{}\"}}", "\\u00e4".repeat(deep / 6)),
        ];
        let pointers = ["/a", "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", "/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*"];
        let started = std::time::Instant::now();
        for (body, pointer) in bodies.iter().flat_map(|body| pointers.map(|pointer| (body, pointer))) {
            let (found, _) = found(pointer, body);
            assert!(found.len() <= deep / 8 + 1, "{pointer} in {}", &body[..20]);
        }
        assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
    }

    #[test]
    fn any_bytes_are_read_to_an_end() {
        let mut random = Random::new(75);
        let pieces: [&[u8]; 14] =
            [b"{", b"}", b"[", b"]", b"\"race\"", b":", b",", b"\"", b"\\u", b"9e9", b"-", b"null", b"\xff", b" "];
        for _ in 0..20_000 {
            let length = random.below(40);
            let body: Vec<u8> = (0..length).flat_map(|_| pieces[random.below(14) as usize]).copied().collect();
            for pointer in ["/race", "/*/race", "/race/0"] {
                let pointer = Pointer::parse(pointer).expect("a pointer");
                let mut times = 0;
                let whole = pointer.find(&body, &mut |_| times += 1);
                let known = serde_json::from_slice::<IgnoredAny>(&body).is_ok();
                // Skipping does not look into texts, so it takes what a reader of every text would not.
                assert!(known || !whole, "{}", String::from_utf8_lossy(&body));
                assert!(times <= 40);
            }
        }
    }
}
