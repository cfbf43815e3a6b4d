//! Signed tokens: one that is verified names its customer, any other nobody.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

use super::*;

const STRANGERS: &str = "10.0.0.0/8";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn ed25519() -> Ed25519KeyPair {
    let pair = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("random bytes");
    Ed25519KeyPair::from_pkcs8(pair.as_ref()).expect("a pair of our own making")
}

fn p256() -> EcdsaKeyPair {
    let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let pair = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("random bytes");
    EcdsaKeyPair::from_pkcs8(algorithm, pair.as_ref(), &random).expect("a pair of our own making")
}

/// A public key in PEM; `before` is what its kind has in front of it in DER.
fn pem(before: &[u8], key: &[u8]) -> String {
    let der = STANDARD.encode([before, key].concat());
    let lines = der.as_bytes().chunks(64).map(|line| format!("{}\n", String::from_utf8_lossy(line)));
    format!("-----BEGIN PUBLIC KEY-----\n{}-----END PUBLIC KEY-----\n", lines.collect::<String>())
}

fn ed25519_pem(pair: &Ed25519KeyPair) -> String {
    pem(b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", pair.public_key().as_ref())
}

fn p256_pem(pair: &EcdsaKeyPair) -> String {
    let before =
        b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
    pem(before, pair.public_key().as_ref())
}

fn encoded(document: &Value) -> String {
    URL_SAFE_NO_PAD.encode(document.to_string())
}

fn token(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn by_ed25519(pair: &Ed25519KeyPair, claims: &Value) -> String {
    token(&json!({"alg": "EdDSA"}), claims, |message| pair.sign(message).as_ref().to_vec())
}

fn by_secret(secret: &str, claims: &Value) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    token(&json!({"alg": "HS256"}), claims, |message| hmac::sign(&key, message).as_ref().to_vec())
}

/// So many seconds from now.
fn at(seconds: i64) -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64 + seconds
}

fn of(name: &str) -> Value {
    json!({"sub": name, "exp": at(600)})
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}")
}

/// Tokens in `Authorization`, by these keys: file and algorithm.
fn from(keys: &[(&NamedTempFile, &str)], more: &str) -> String {
    let key =
        |(file, name): &(&NamedTempFile, &str)| format!("{{ file = {}, algorithm = {name:?} }}", quoted(file.path()));
    let keys: Vec<String> = keys.iter().map(key).collect();
    format!("{{ jwt = {{ header = \"authorization\", keys = [{}]{more} }} }}", keys.join(", "))
}

fn verdict(proxy: &Proxy, name: &str) -> f64 {
    proxy.metric(&format!("sluss_proxy_tokens_total{{verdict=\"{name}\"}}"))
}

#[test]
fn a_token_that_is_verified_names_its_customer() {
    let door = Door::default();
    let backend = backend(&door, nobody_logs_in);
    let pair = ed25519();
    let key = file(&ed25519_pem(&pair));
    let proxy = setup(&from(&[(&key, "EdDSA")], ""), STRANGERS).horse(&backend, ONE_SEAT).start();
    let anna = by_ed25519(&pair, &of("anna"));
    let mut clients = has_a_share_of(&proxy, 2, |_| bearer(&anna));
    assert_eq!((verdict(&proxy, "verified"), verdict(&proxy, "remembered")), (1.0, 2.0), "it is verified once");
    // A second token of hers is still hers, and Bert's is not.
    is_over_share(&proxy, &bearer(&by_ed25519(&pair, &json!({"sub": "anna", "exp": at(700)}))));
    clients.extend(has_a_share_of(&proxy, 2, |_| bearer(&by_ed25519(&pair, &of("bert")))));
    all_are_served(&door, clients);
    // The backend judges it for itself.
    assert!(backend.requests().iter().all(|request| request.header("authorization").is_some()));
}

#[test]
fn every_algorithm_that_is_offered_is_verified() {
    let backend = Backend::answering(OK);
    let (ed, ec) = (ed25519(), p256());
    let files = [ed25519_pem(&ed), p256_pem(&ec), include_str!("../../keys/rsa.pem").into(), SECRET.into()];
    let files = files.map(|text| file(&text));
    let keys = [(&files[0], "EdDSA"), (&files[1], "ES256"), (&files[2], "RS256"), (&files[3], "HS256")];
    let proxy = setup(&from(&keys, ""), STRANGERS).horse(&backend, ONE_SEAT).start();
    let random = SystemRandom::new();
    let sign = |message: &[u8]| ec.sign(&random, message).expect("random bytes").as_ref().to_vec();
    let tokens = [
        by_ed25519(&ed, &of("anna")),
        token(&json!({"alg": "ES256"}), &of("anna"), sign),
        include_str!("../../keys/rsa.jwt").to_owned(),
        by_secret(SECRET, &of("anna")),
    ];
    for (n, token) in tokens.iter().enumerate() {
        proxy.client().ask(asking("/horse/odds", &bearer(token)));
        assert_eq!(verdict(&proxy, "verified"), (n + 1) as f64, "{token}");
        // The same with one letter of its signature changed.
        let (at, letter) = (token.len() - 10, if token.as_bytes()[token.len() - 10] == b'A' { "B" } else { "A" });
        let forged = format!("{}{letter}{}", &token[..at], &token[at + 1..]);
        proxy.client().ask(asking("/horse/odds", &bearer(&forged)));
        assert_eq!(verdict(&proxy, "forged"), (n + 1) as f64, "{forged}");
    }
}

#[test]
fn a_token_that_does_not_count_is_counted_by_what_is_wrong_with_it() {
    let backend = Backend::answering(OK);
    let (pair, thief) = (ed25519(), ed25519());
    let public = ed25519_pem(&pair);
    let (key, secret) = (file(&public), file(SECRET));
    let named = format!(
        "{{ file = {}, algorithm = \"EdDSA\", id = \"new\" }}, {{ file = {}, algorithm = \"HS256\" }}",
        quoted(key.path()),
        quoted(secret.path())
    );
    let from = format!(
        "{{ jwt = {{ header = \"authorization\", keys = [{named}], issuer = \"us\", audience = \"bets\", leeway = \"5s\" }} }}"
    );
    let proxy = setup(&from, STRANGERS).horse(&backend, ONE_SEAT).start();
    let claims = |change: Value| {
        let mut claims = json!({"sub": "anna", "exp": at(600), "iss": "us", "aud": ["bets", "odds"]});
        for (name, value) in change.as_object().expect("claims") {
            claims[name] = value.clone();
        }
        claims
    };
    let good = claims(json!({}));
    let signed = |change: Value| by_ed25519(&pair, &claims(change));
    let by_ed = |header: Value| token(&header, &good, |message| pair.sign(message).as_ref().to_vec());
    let cases = [
        ("verified", signed(json!({}))),
        ("verified", by_ed(json!({"alg": "EdDSA", "kid": "new"}))),
        ("verified", signed(json!({"exp": at(-2), "nbf": at(2)}))),
        ("verified", signed(json!({"sub": 4711}))),
        ("malformed", "no.token".to_owned()),
        ("malformed", token(&json!({"alg": "none"}), &good, |_| Vec::new())),
        ("malformed", by_ed(json!({"alg": "EdDSA", "crit": ["exp"]}))),
        ("algorithm", by_ed(json!({"alg": "ES256"}))),
        ("unknown_key", by_ed(json!({"alg": "EdDSA", "kid": "old"}))),
        ("forged", by_ed25519(&thief, &good)),
        // Signed with the public key as if it were a secret.
        ("forged", by_secret(&public, &good)),
        ("forged", by_secret(public.trim_end(), &good)),
        ("expired", signed(json!({"exp": at(-60)}))),
        ("early", signed(json!({"nbf": at(60)}))),
        ("issuer", signed(json!({"iss": "them"}))),
        ("issuer", signed(json!({"iss": null}))),
        ("audience", signed(json!({"aud": "odds"}))),
        ("audience", signed(json!({"aud": null}))),
        ("claim", signed(json!({"sub": ""}))),
        ("malformed", signed(json!({"sub": ["anna"]}))),
        ("claim", signed(json!({"exp": null}))),
        ("claim", signed(json!({"nbf": "never"}))),
    ];
    for (name, token) in cases {
        let before = verdict(&proxy, name);
        assert_eq!(proxy.client().ask(asking("/horse/odds", &bearer(&token))).status(), 200);
        assert_eq!(verdict(&proxy, name), before + 1.0, "{name}: {token}");
    }
}

#[test]
fn whoever_forges_tokens_is_one_address() {
    let door = Door::default();
    let backend = backend(&door, nobody_logs_in);
    let (pair, thief) = (ed25519(), ed25519());
    let key = file(&ed25519_pem(&pair));
    let proxy = setup(&from(&[(&key, "EdDSA")], ""), STRANGERS).horse(&backend, ONE_SEAT).start();
    let clients = has_a_share_of(&proxy, 4, |n| bearer(&by_ed25519(&thief, &of(&format!("customer-{n}")))));
    all_are_served(&door, clients);
}

#[test]
fn a_token_that_is_remembered_counts_until_its_end_and_no_longer() {
    let door = Door::default();
    let backend = backend(&door, nobody_logs_in);
    let secret = file(SECRET);
    let from = from(&[(&secret, "HS256")], ", leeway = \"1ms\"");
    let proxy = setup(&from, STRANGERS).horse(&backend, ONE_SEAT).start();
    let anna = bearer(&by_secret(SECRET, &json!({"sub": "anna", "exp": at(2)})));
    let mut client = enters(&proxy, &anna);
    std::thread::sleep(std::time::Duration::from_millis(3200));
    is_counted_as_expired(&proxy, &anna, &door);
    assert_eq!(client.answer().status(), 200);
}

#[track_caller]
fn is_counted_as_expired(proxy: &Proxy, lines: &str, door: &Door) {
    door.open();
    for times in 1..3 {
        assert_eq!(proxy.client().ask(asking("/horse/odds", lines)).status(), 200);
        assert_eq!(verdict(proxy, "expired"), f64::from(times));
    }
    assert_eq!((verdict(proxy, "verified"), verdict(proxy, "remembered")), (1.0, 0.0));
}

#[test]
fn a_token_and_a_session_of_one_account_are_one_customer() {
    let door = Door::default();
    let says = "HTTP/1.1 200 OK\r\nx-account: anna\r\nset-cookie: session=hers\r\ncontent-length: 0\r\n\r\n";
    let backend = backend(&door, |_| says.to_owned());
    let secret = file(SECRET);
    let both = format!(
        "{}, {{ cookie = \"session\", bound_by = {{ header = \"x-account\" }} }}",
        from(&[(&secret, "HS256")], "")
    );
    let proxy = setup(&both, STRANGERS).horse(&backend, ONE_SEAT).start();
    proxy.client().get("/horse/login");
    let app = bearer(&by_secret(SECRET, &of("anna")));
    let clients = vec![enters(&proxy, &app), enters(&proxy, "cookie: session=hers")];
    is_over_share(&proxy, &app);
    is_over_share(&proxy, "cookie: session=hers");
    all_are_served(&door, clients);
}
