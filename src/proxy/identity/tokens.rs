//! Signed tokens: verified once, then known again by a keyed hash.
//!
//! A token counts when one of the configured keys has signed it by that key's own algorithm, it has not expired, is
//! valid already, and is from and for whom it must be. One that does not count makes nobody of whoever sends it: the next
//! place is looked at, and the backend judges the token for itself. Here it is only counted.
//!
//! A verification costs several times what a request otherwise costs us (60 µs by Ed25519; a token that is known a tenth
//! of a microsecond), so what came of it is remembered: of a good token until it expires, of a bad one as long as there is
//! room, because an app whose token has expired repeats it. Forged ones that are new each time push nothing out that is in
//! use. What is remembered is a number, and the token is not.

use std::hash::BuildHasherDefault;
use std::time::Duration;

use http::request::Parts;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, get_current_timestamp};
use quick_cache::UnitWeighter;
use quick_cache::sync::Cache;
use serde_json::{Map, Value};

use super::settings::{KeySettings, TokenPlace, TokenSettings};
use super::{cookie, signatures, without_bearer};
use crate::admission::customers::AlreadyHashed;
use crate::admission::{Customer, Timestamp};
use crate::proxy::classify::Hashes;
use crate::proxy::headers::Seen;
use crate::telemetry::record::TokenMetrics;

/// One place where tokens stand, and what is known of those that were seen.
pub(super) struct Tokens {
    place: TokenPlace,
    claim: String,
    keys: Vec<Key>,
    known: Cache<u64, Known, UnitWeighter, BuildHasherDefault<AlreadyHashed>>,
    metrics: TokenMetrics,
}

struct Key {
    algorithm: Algorithm,
    id: Option<String>,
    key: DecodingKey,
    rules: Validation,
}

#[derive(Clone, Copy)]
enum Known {
    /// It is this customer's, until then.
    Good(Customer, Timestamp),
    Bad(Flaw),
}

/// Why a token does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It is no token, or says that it is not signed.
    Malformed,
    /// None of the keys is for the algorithm it names.
    Algorithm,
    /// None of the keys for its algorithm has its `kid`.
    UnknownKey,
    /// Its signature is not what the key says.
    Forged,
    /// It is no longer valid.
    Expired,
    /// It is not valid yet.
    Early,
    /// It is from somebody else.
    Issuer,
    /// It is for somebody else.
    Audience,
    /// It lacks its customer or its end, or has them in a form that says nothing.
    Claim,
}

impl Flaw {
    /// The words in metrics, in order.
    pub const NAMES: [&str; 9] =
        ["malformed", "algorithm", "unknown_key", "forged", "expired", "early", "issuer", "audience", "claim"];
}

impl Tokens {
    pub(super) fn new(settings: &TokenSettings, metrics: TokenMetrics) -> Tokens {
        signatures::install();
        Tokens {
            place: settings.place.clone(),
            claim: settings.claim.clone(),
            keys: settings.keys.iter().map(|key| Key::new(key, settings)).collect(),
            known: Cache::with(
                settings.remembered.get() as usize,
                u64::from(settings.remembered.get()),
                UnitWeighter,
                BuildHasherDefault::default(),
                Default::default(),
            ),
            metrics,
        }
    }

    /// The customer of a request's token, if it has one that counts. `now` is asked for when there is a token.
    pub(super) fn customer(
        &self,
        hashes: &Hashes,
        request: &Parts,
        seen: Seen,
        now: impl Fn() -> Timestamp,
    ) -> Option<Customer> {
        let token = self.found(request, seen)?;
        let (number, now) = (hashes.token(token), now());
        match self.known.get(&number) {
            Some(Known::Good(customer, until)) if now < until => {
                self.metrics.remembered();
                return Some(customer);
            }
            Some(Known::Bad(flaw)) => {
                self.metrics.flawed(flaw);
                return None;
            }
            _ => {}
        }
        match self.verify(token) {
            Ok((name, left)) => {
                self.metrics.verified();
                let customer = hashes.account(name.as_bytes());
                self.known.insert(number, Known::Good(customer, now + left));
                Some(customer)
            }
            Err(flaw) => {
                self.metrics.flawed(flaw);
                // Who comes too early may come again.
                if flaw != Flaw::Early {
                    self.known.insert(number, Known::Bad(flaw));
                }
                None
            }
        }
    }

    fn found<'a>(&self, request: &'a Parts, seen: Seen) -> Option<&'a [u8]> {
        let token = match &self.place {
            TokenPlace::Header(name) => without_bearer(request.headers.get(name)?.as_bytes()),
            TokenPlace::Cookie(name) if seen.cookie => cookie(request, name)?,
            TokenPlace::Cookie(_) => return None,
        };
        (!token.is_empty()).then_some(token)
    }

    /// Whose it is, and for how much longer.
    fn verify(&self, token: &[u8]) -> Result<(String, Duration), Flaw> {
        let header = decode_header(token).map_err(|_| Flaw::Malformed)?;
        // What must be understood is not (RFC 7515, section 4.1.11).
        if header.crit.is_some() {
            return Err(Flaw::Malformed);
        }
        let mut flaw = Flaw::Algorithm;
        for key in self.keys.iter().filter(|key| key.algorithm == header.alg) {
            if key.id.is_some() && header.kid.is_some() && key.id != header.kid {
                flaw = if flaw == Flaw::Algorithm { Flaw::UnknownKey } else { flaw };
                continue;
            }
            match decode::<Map<String, Value>>(token, &key.key, &key.rules) {
                Ok(token) => return self.read(&token.claims, key.rules.leeway),
                Err(error) => flaw = Flaw::of(error.kind()),
            }
            // Another key may have signed it; whatever else is wrong is wrong by every key.
            if flaw != Flaw::Forged {
                break;
            }
        }
        Err(flaw)
    }

    fn read(&self, claims: &Map<String, Value>, leeway_s: u64) -> Result<(String, Duration), Flaw> {
        let name = match claims.get(&self.claim) {
            Some(Value::String(name)) if !name.is_empty() => name.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => return Err(Flaw::Claim),
        };
        let end = claims.get("exp").and_then(Value::as_f64).ok_or(Flaw::Claim)? as u64;
        let left = end.saturating_add(leeway_s).saturating_sub(get_current_timestamp());
        Ok((name, Duration::from_secs(left)))
    }
}

impl Key {
    fn new(settings: &KeySettings, token: &TokenSettings) -> Key {
        let KeySettings { algorithm, id, bytes } = settings;
        let key = match algorithm {
            Algorithm::EdDSA => DecodingKey::from_ed_der(bytes),
            Algorithm::ES256 => DecodingKey::from_ec_der(bytes),
            Algorithm::RS256 => DecodingKey::from_rsa_der(bytes),
            _ => DecodingKey::from_secret(bytes),
        };
        Key { algorithm: *algorithm, id: id.clone(), key, rules: rules(*algorithm, token) }
    }
}

fn rules(algorithm: Algorithm, settings: &TokenSettings) -> Validation {
    let mut rules = Validation::new(algorithm);
    rules.leeway = settings.leeway.as_secs();
    rules.validate_nbf = true;
    let mut required = vec!["exp"];
    if let Some(issuer) = &settings.issuer {
        rules.set_issuer(&[issuer]);
        required.push("iss");
    }
    // Where nobody says for whom tokens must be, those for the backend are good enough.
    rules.validate_aud = settings.audience.is_some();
    if let Some(audience) = &settings.audience {
        rules.set_audience(&[audience]);
        required.push("aud");
    }
    rules.set_required_spec_claims(&required);
    rules
}

impl Flaw {
    fn of(error: &ErrorKind) -> Flaw {
        match error {
            ErrorKind::InvalidSignature => Flaw::Forged,
            ErrorKind::ExpiredSignature => Flaw::Expired,
            ErrorKind::ImmatureSignature => Flaw::Early,
            ErrorKind::InvalidIssuer => Flaw::Issuer,
            ErrorKind::InvalidAudience => Flaw::Audience,
            ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => Flaw::Algorithm,
            ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => Flaw::Issuer,
            ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => Flaw::Audience,
            ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => Flaw::Claim,
            _ => Flaw::Malformed,
        }
    }
}
