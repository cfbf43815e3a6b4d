//! How the library for tokens verifies signatures: by ring. It never signs.

use std::sync::Once;

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{Error, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey};
use ring::hmac;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};

static RING: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// To be called before the first token is looked at.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        RING.install_default().expect("nobody else in this process chooses how tokens are verified");
    });
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let bytes = key.try_get_as_bytes()?;
    let public = |by: &'static dyn VerificationAlgorithm| {
        Box::new(Public(*algorithm, UnparsedPublicKey::new(by, bytes.to_vec()))) as Box<dyn JwtVerifier>
    };
    match algorithm {
        Algorithm::EdDSA => Ok(public(&ED25519)),
        Algorithm::ES256 => Ok(public(&ECDSA_P256_SHA256_FIXED)),
        Algorithm::RS256 => Ok(public(&RSA_PKCS1_2048_8192_SHA256)),
        Algorithm::HS256 => Ok(Box::new(Shared(hmac::Key::new(hmac::HMAC_SHA256, bytes)))),
        _ => Err(ErrorKind::UnsupportedAlgorithm.into()),
    }
}

/// A key that everybody may know.
struct Public(Algorithm, UnparsedPublicKey<Vec<u8>>);

/// A key that whoever signs has too.
struct Shared(hmac::Key);

impl Verifier<Vec<u8>> for Public {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        self.1.verify(message, signature).map_err(|_| Error::new())
    }
}

impl Verifier<Vec<u8>> for Shared {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        hmac::verify(&self.0, message, signature).map_err(|_| Error::new())
    }
}

impl JwtVerifier for Public {
    fn algorithm(&self) -> Algorithm {
        self.0
    }
}

impl JwtVerifier for Shared {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}
