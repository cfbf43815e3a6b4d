//! Machines that ask by themselves, each known by what the configuration says of it.

use std::net::IpAddr;

use http::request::Parts;
use subtle::ConstantTimeEq;

use super::settings::{MachineSettings, MachineToken};
use super::without_bearer;
use crate::proxy::headers::Peer;

/// The first of `machines` that a request is from, and its place among them.
pub(super) fn find(
    machines: &[MachineSettings],
    request: &Parts,
    peer: &Peer,
    address: impl Fn() -> IpAddr,
) -> Option<u16> {
    let found = machines.iter().position(|machine| {
        is_from(machine, &address)
            && says(machine, request, peer)
            && machine.token.as_ref().is_none_or(|token| shows(token, request))
    });
    found.map(|index| index as u16)
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
