//! Where a customer looks up what became of a bet whose answer was lost: told in the problem and as a `Link`.

use std::fmt::Write;

use http::header::LINK;
use http::{HeaderValue, Response};
use serde_json::Value;

use super::body::AnswerBody;

/// An address, with a place for the idempotency key or without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookup {
    before: String,
    /// What follows the key.
    after: Option<String>,
}

/// Where the key stands.
pub(crate) const KEY: &str = "{key}";
/// A longer key is no part of an address.
const LONGEST_KEY: usize = 256;

impl Lookup {
    /// What is written, with `{key}` once or not at all.
    pub fn new(written: &str) -> Lookup {
        match written.split_once(KEY) {
            Some((before, after)) => Lookup { before: before.to_owned(), after: Some(after.to_owned()) },
            None => Lookup { before: written.to_owned(), after: None },
        }
    }

    /// The address of the bet with this key; nothing where it needs one and there is none.
    pub fn address(&self, key: Option<&[u8]>) -> Option<String> {
        let Some(after) = &self.after else { return Some(self.before.clone()) };
        let key = key.map(unquoted).filter(|key| !key.is_empty() && key.len() <= LONGEST_KEY)?;
        let mut address = self.before.clone();
        for byte in key {
            match byte {
                b'-' | b'.' | b'_' | b'~' => address.push(char::from(*byte)),
                byte if byte.is_ascii_alphanumeric() => address.push(char::from(*byte)),
                byte => write!(address, "%{byte:02X}").expect("a string takes any text"),
            }
        }
        address.push_str(after);
        Some(address)
    }
}

/// The header is a string of RFC 8941 to those who keep to its draft, and stands in quotes there.
fn unquoted(key: &[u8]) -> &[u8] {
    key.strip_prefix(b"\"").and_then(|key| key.strip_suffix(b"\"")).unwrap_or(key)
}

/// Tell the address in an answer of ours.
pub(crate) fn tell(answer: &mut Response<AnswerBody>, address: &str) {
    if let Ok(link) = HeaderValue::try_from(format!("<{address}>; rel=\"status\"")) {
        answer.headers_mut().insert(LINK, link);
    }
    let problem = answer.body().as_full().and_then(|body| serde_json::from_slice::<Value>(body).ok());
    if let Some(mut problem) = problem.filter(Value::is_object) {
        problem["lookup"] = address.into();
        *answer.body_mut() = AnswerBody::full(problem.to_string().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_an_address_cannot_lead_elsewhere() {
        let lookup = Lookup::new("/bets/{key}/outcome");
        let address = |key: &[u8]| lookup.address(Some(key)).unwrap_or_default();
        assert_eq!(address(b"a-1_2.3~"), "/bets/a-1_2.3~/outcome");
        assert_eq!(address(b"\"8e03978e\""), "/bets/8e03978e/outcome");
        assert_eq!(address(b"../x?y#z>\xe5\" %"), "/bets/..%2Fx%3Fy%23z%3E%E5%22%20%25/outcome");
        assert_eq!(lookup.address(Some(&[b'a'; 257])), None);
        assert_eq!((lookup.address(None), lookup.address(Some(b"\"\""))), (None, None));
        assert_eq!(Lookup::new("/bets").address(None).as_deref(), Some("/bets"));
    }
}
