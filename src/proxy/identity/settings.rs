//! Where customers and machines are known by, as checked.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use jsonwebtoken::Algorithm;

/// One place where a customer's identity may stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomerSource {
    /// A header; counts only from trusted networks, and is taken off what strangers send.
    Header(HeaderName),
    /// A signed token; counts once it is verified.
    Token(TokenSettings),
    /// A session's cookie; counts once a backend has bound it. There is at most one.
    Session(SessionSettings),
    /// The client's network address, or the network it is in: see [`Prefix`].
    Address,
}

/// How a signed token (a JWT) is found and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// Where it stands.
    pub place: TokenPlace,
    /// The claim that names the customer.
    pub claim: String,
    /// Any of these may have signed it.
    pub keys: Vec<KeySettings>,
    /// Who must have issued it, if that is asked.
    pub issuer: Option<String>,
    /// For whom it must be, if that is asked.
    pub audience: Option<String>,
    /// By how much clocks may differ.
    pub leeway: Duration,
    /// The most tokens that are remembered. Fewer than are in use, and each request costs a verification.
    pub remembered: NonZeroU32,
}

/// Where a token stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// In a header, after `Bearer ` or alone.
    Header(HeaderName),
    /// In a cookie of this name.
    Cookie(String),
}

/// A key that tokens are verified with.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySettings {
    /// The only algorithm it is for: a token that names another is not verified with it.
    pub algorithm: Algorithm,
    /// The `kid` of the tokens it is for; `None` is for all.
    pub id: Option<String>,
    /// The key alone, without what PEM wraps around it.
    pub bytes: Vec<u8>,
}

/// How a session's cookie becomes an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// The cookie's name.
    pub cookie: String,
    /// What of a login's answer binds it.
    pub bound_by: BoundBy,
    /// The most sessions that are bound at once. Fewer than there are, and customers become their address again.
    pub most: NonZeroU32,
    /// A session that is not used for so long is forgotten.
    pub idle: Duration,
}

/// What of a login's answer binds a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoundBy {
    /// A header that names the account.
    Header {
        /// Its name.
        name: HeaderName,
        /// Whether clients may see it; else it is taken off.
        pass: bool,
    },
    /// The backend sets the cookie itself.
    SetCookie,
}

/// How many leading bits of an address make one customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Of IPv4; 32 is the whole address.
    pub v4: u8,
    /// Of IPv6; one household or phone has a /64 to itself.
    pub v6: u8,
}

/// A machine that asks by itself: a payment provider, a partner's feed. Everything that is given must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineSettings {
    /// What it is called in metrics.
    pub name: String,
    /// What admission calls it; no other machine is called so as long as the proxy runs.
    pub number: u16,
    /// Networks it asks from; none when that does not matter.
    pub from: Vec<IpNet>,
    /// A header that it is known by, from trusted networks only.
    pub header: Option<(HeaderName, HeaderValue)>,
    /// A secret that it sends.
    pub token: Option<MachineToken>,
    /// How many of its requests run or wait at once, in each domain.
    pub at_once: NonZeroU32,
}

/// A secret that a machine sends, in a header, after `Bearer ` or alone.
#[derive(Clone, PartialEq, Eq)]
pub struct MachineToken {
    /// The header.
    pub header: HeaderName,
    /// The secret.
    pub secret: String,
}

impl fmt::Debug for KeySettings {
    /// Settings end up in logs; a shared secret must not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeySettings { algorithm, id, .. } = self;
        f.debug_struct("KeySettings").field("algorithm", algorithm).field("id", id).finish_non_exhaustive()
    }
}

impl fmt::Debug for MachineToken {
    /// Settings end up in logs; the secret must not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MachineToken").field("header", &self.header).finish_non_exhaustive()
    }
}
