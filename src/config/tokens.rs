//! Signed tokens: where they stand, and the keys they are verified with.

use std::num::NonZeroU32;
use std::time::Duration;

use jsonwebtoken::Algorithm;
use spki::der::DecodePem;
use spki::{ObjectIdentifier, SubjectPublicKeyInfoOwned};
use toml::Spanned;

use crate::proxy::settings::{KeySettings, TokenPlace, TokenSettings};

use super::check::Check;
use super::customer::{cookie_name, header_name};
use super::error::Wrong;
use super::file;

pub(super) fn check(check: &mut Check<'_>, written: &Spanned<file::Jwt>) -> Option<TokenSettings> {
    let token = written.get_ref();
    let place = place(check, written);
    let keys = keys(check, written);
    let text = |written: &file::Opt<String>| written.as_ref().map(|text| text.get_ref().clone());
    let settings = TokenSettings {
        claim: text(&token.claim).unwrap_or_else(|| "sub".to_owned()),
        keys,
        issuer: text(&token.issuer),
        audience: text(&token.audience),
        leeway: check.duration("leeway", &token.leeway, LEEWAY),
        remembered: check.count("most", &token.most, MOST_TOKENS, TOKENS),
        place: place?,
    };
    Some(settings)
}

fn place(check: &mut Check<'_>, written: &Spanned<file::Jwt>) -> Option<TokenPlace> {
    match (&written.get_ref().header, &written.get_ref().cookie) {
        (Some(name), None) => header_name(check, name).map(TokenPlace::Header),
        (None, Some(name)) => cookie_name(check, name).map(TokenPlace::Cookie),
        _ => {
            let help = "write jwt = { header = \"authorization\", ... } or jwt = { cookie = \"token\", ... }";
            check.wrong(written.span(), "a token stands in one header or in one cookie", help);
            None
        }
    }
}

fn keys(check: &mut Check<'_>, written: &Spanned<file::Jwt>) -> Vec<KeySettings> {
    let keys = check.list("customer.from.jwt.keys", &written.get_ref().keys);
    if written.get_ref().keys.is_none() {
        check.missing(written.span(), "this token", "customer.from.jwt.keys");
    }
    if let Some(first) = keys.get(MOST_KEYS) {
        let what = format!("there are {} keys in this list", keys.len());
        let help = format!("a forged token is held against all of them; use at most {MOST_KEYS}");
        check.wrong(first.span(), what, help);
        return Vec::new();
    }
    keys.iter().filter_map(|written| key(check, written)).collect()
}

fn key(check: &mut Check<'_>, written: &Spanned<file::TokenKey>) -> Option<KeySettings> {
    let file::TokenKey { file, algorithm, id } = written.get_ref();
    if algorithm.is_none() {
        check.missing(written.span(), "this key", "customer.from.jwt.keys.algorithm");
    }
    if file.is_none() {
        check.missing(written.span(), "this key", "customer.from.jwt.keys.file");
    }
    let index = check.one_of("signing algorithm", algorithm.as_ref()?, &ALGORITHMS.map(|(name, _)| name));
    let (path, text) = check.text_of(file.as_ref()?)?;
    let (name, algorithm) = ALGORITHMS[index?];
    match bytes(algorithm, &text) {
        Ok(bytes) => Some(KeySettings { algorithm, id: id.as_ref().map(|id| id.get_ref().clone()), bytes }),
        Err(Wrong { what, help }) => {
            let at = file.as_ref().map_or_else(|| written.span(), Spanned::span);
            check.wrong(at, format!("{}: for {name}, {what}", path.display()), help);
            None
        }
    }
}

/// The key itself, of a file for this algorithm.
fn bytes(algorithm: Algorithm, text: &str) -> Result<Vec<u8>, Wrong> {
    if algorithm == Algorithm::HS256 {
        return secret(text);
    }
    if text.contains("PRIVATE KEY") {
        let help = "keep it where tokens are signed; `openssl pkey -in FILE -pubout` writes the public half of it";
        return Err(Wrong::new("this is a private key, which the proxy must not have", help));
    }
    match (algorithm, public(text)) {
        (Algorithm::EdDSA, Some((ED25519, _, bytes))) => Ok(bytes),
        (Algorithm::ES256, Some((EC, Some(P256), bytes))) if bytes.len() == P256_BYTES => Ok(bytes),
        (Algorithm::RS256, Some((RSA, _, bytes))) if bytes.len() >= LEAST_RSA_BYTES => Ok(bytes),
        (Algorithm::RS256, Some((RSA, _, _))) => Err(Wrong::new(
            "this key is shorter than 2048 bits",
            "sign with a longer one: tokens by this can be forged",
        )),
        (Algorithm::EdDSA, _) => Err(not_a_key("Ed25519")),
        (Algorithm::ES256, _) => Err(not_a_key("the curve P-256")),
        _ => Err(not_a_key("RSA")),
    }
}

/// What a public key is for, its curve, and the key alone.
fn public(text: &str) -> Option<(ObjectIdentifier, Option<ObjectIdentifier>, Vec<u8>)> {
    let SubjectPublicKeyInfoOwned { algorithm, subject_public_key } =
        SubjectPublicKeyInfoOwned::from_pem(text.trim()).ok()?;
    let curve = algorithm.parameters.and_then(|curve| curve.decode_as().ok());
    Some((algorithm.oid, curve, subject_public_key.as_bytes()?.to_vec()))
}

/// A secret that whoever signs has too.
fn secret(text: &str) -> Result<Vec<u8>, Wrong> {
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.contains("-----BEGIN") {
        // Whoever has the public key could sign with its text.
        let help = "write the algorithm that the key is for: EdDSA, ES256 or RS256";
        return Err(Wrong::new("this is a key in PEM, which is no secret", help));
    }
    if secret.len() < LEAST_SECRET {
        let what = format!("the secret has {} characters, which can be guessed", secret.len());
        return Err(Wrong::new(what, format!("write at least {LEAST_SECRET}: `openssl rand -hex 32` makes one")));
    }
    Ok(secret.as_bytes().to_vec())
}

fn not_a_key(of: &str) -> Wrong {
    let help = "`openssl pkey -in PRIVATE -pubout` writes one; the first line is -----BEGIN PUBLIC KEY-----";
    Wrong::new(format!("this is not a public key of {of} in PEM"), help)
}

const ALGORITHMS: [(&str, Algorithm); 4] = [
    ("EdDSA", Algorithm::EdDSA),
    ("ES256", Algorithm::ES256),
    ("RS256", Algorithm::RS256),
    ("HS256", Algorithm::HS256),
];
const MOST_KEYS: usize = 8;
const LEEWAY: Duration = Duration::from_secs(30);
const TOKENS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();
const MOST_TOKENS: u32 = 10_000_000;
/// As many as the hash has bytes (RFC 7518, section 3.2).
const LEAST_SECRET: usize = 32;
/// RFC 8410, RFC 5480 and RFC 3279.
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// An uncompressed point.
const P256_BYTES: usize = 65;
/// A modulus of 2048 bits and what stands around it in DER.
const LEAST_RSA_BYTES: usize = 264;
