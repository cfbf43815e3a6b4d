//! Machines that ask by themselves, each known by what the configuration says of it.

use std::net::IpAddr;

use http::request::Parts;
use subtle::ConstantTimeEq;

use super::settings::{MachineSettings, MachineToken};
use super::without_bearer;
use crate::proxy::headers::Peer;

/// The place among `machines` of the first that a request is from.
pub(super) fn find(
    machines: &[MachineSettings],
    request: &Parts,
    peer: &Peer,
    address: impl Fn() -> IpAddr,
) -> Option<usize> {
    machines.iter().position(|machine| {
        is_from(machine, &address)
            && says(machine, request, peer)
            && machine.token.as_ref().is_none_or(|token| shows(token, request))
    })
}

fn is_from(machine: &MachineSettings, address: impl Fn() -> IpAddr) -> bool {
    machine.from.is_empty() || {
        let address = address();
        machine.from.iter().any(|network| network.contains(&address))
    }
}

fn says(machine: &MachineSettings, request: &Parts, peer: &Peer) -> bool {
    let Some((name, value)) = &machine.header else { return true };
    peer.trusted && request.headers.get(name) == Some(value)
}

fn shows(token: &MachineToken, request: &Parts) -> bool {
    let Some(shown) = request.headers.get(&token.header) else { return false };
    without_bearer(shown.as_bytes()).ct_eq(token.secret.as_bytes()).into()
}
