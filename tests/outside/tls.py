"""TLS as sslscan sees it: which versions and ciphers are offered, and what has no business there."""

import subprocess
import xml.etree.ElementTree as xml
from concurrent.futures import ThreadPoolExecutor

from proxied import CERTIFICATE, Failed, Proxy, backend, check

# Ephemeral keys and authenticated encryption, and nothing else. Beyond these a name is a change that somebody should look at.
CIPHERS = {
    "TLSv1.3": {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"},
    "TLSv1.2": {
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-CHACHA20-POLY1305",
    },
}


def run(stage, binary, only=None):
    """Each least version that can be configured."""
    port = backend()
    minima = [minimum for minimum in ("1.2", "1.3") if not only or minimum == only]
    with ThreadPoolExecutor(len(minima)) as pool:
        return "; ".join(pool.map(lambda minimum: scan(stage, binary, port, minimum), minima))


def scan(stage, binary, port, minimum):
    """One scan: what it found, in words."""
    proxy = Proxy(stage, binary, port, rest=f'[listen.tls]\nminimum = "{minimum}"\n{CERTIFICATE}', name=f"tls-{minimum}")
    command = ["sslscan", "--sni-name=bet.example", "--xml=-", f"127.0.0.1:{proxy.port}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    proxy.alive()
    found = xml.fromstring(done.stdout).find("ssltest")
    if found is None:
        raise Failed(f"sslscan saw nothing:\n{done.stdout}{done.stderr}")
    on = {f"{one.get('type')} {one.get('version')}" for one in found.iter("protocol") if one.get("enabled") == "1"}
    wanted = {"tls 1.3"} | ({"tls 1.2"} if minimum == "1.2" else set())
    check(on == wanted, f"minimum {minimum}: {on} are on, and not {wanted}")
    ciphers = {(one.get("sslversion"), one.get("cipher")) for one in found.iter("cipher")}
    strange = {(version, name) for version, name in ciphers if name not in CIPHERS.get(version, ())}
    check(ciphers and not strange, f"minimum {minimum}: {strange or 'no ciphers at all'}")
    check(all(one.get("strength") in ("strong", "acceptable") for one in found.iter("cipher")), "a weak cipher")
    # Whose handshake is begun anew in the middle may have somebody else's beginning in front of it (RFC 5746).
    check(all(one.get("supported") == "0" for one in found.iter("renegotiation")), "renegotiation")
    check(all(one.get("supported") == "0" for one in found.iter("compression")), "compression (CRIME)")
    flaws = [one for one in found.iter("heartbleed") if one.get("vulnerable") != "0"]
    check(not flaws and len(list(found.iter("heartbleed"))) == len(wanted), "heartbleed")
    small = [one.get("name") for one in found.iter("group") if int(one.get("bits")) < 112]
    check(not small, f"groups that are too small: {small}")
    return f"minimum {minimum}: {len(ciphers)} ciphers"
