"""Clients that everybody uses: curl, nghttp and h2load, over HTTP/1.1 and HTTP/2, in the clear and through TLS."""

import json
import re
import subprocess

from proxied import CERTIFICATE, KEYS, Failed, Proxy, backend, check

# So many requests, on so many connections, so many at a time on each.
REQUESTS, CONNECTIONS, STREAMS = 2000, 4, 32
# So much room that none of them is refused: one address has many seats, and this backend is slow.
ROOM = 'limit = 200\nqueue = { longest_wait = "10s", length = 1000 }\n'


def run(stage, binary, only=None):
    """Every client at a proxy in the clear and at one with TLS."""
    port = backend()
    clear = Proxy(stage, binary, port, product=ROOM, name="clear")
    secure = Proxy(stage, binary, port, product=ROOM, rest=f"[listen.tls]\n{CERTIFICATE}", name="secure")
    places = {"http": f"http://bet.example:{clear.port}", "https": f"https://bet.example:{secure.port}"}
    told = []
    for name, act in {"curl": curls, "nghttp": nghttp, "h2load": h2load}.items():
        if not only or name == only:
            told.append(f"{name}: {act(places, (clear, secure))}")
    clear.alive()
    secure.alive()
    return "; ".join(told)


def curl(url, *arguments, **more):
    """What curl wrote: the head and the body, and the facts that it knows."""
    port = url.split("/")[2].split(":")[1]
    facts = "\n%{json}"
    command = ["curl", "-sS", "-i", "-m", "20", "--resolve", f"bet.example:{port}:127.0.0.1"]
    command += ["--cacert", KEYS / "server.pem", "-w", facts, *arguments, url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, **more)
    if done.returncode:
        raise Failed(f"{' '.join(map(str, command))}\n{done.returncode}: {done.stderr}")
    said, facts = done.stdout.rsplit("\n", 1)
    return said, json.loads(facts)


def body(said):
    """What follows the last head."""
    return said.replace("\r", "").rsplit("\n\n", 1)[1]


def curls(places, proxies):
    """Each way of asking, each kind of request."""
    ways = [
        ("http", ["--http1.0"], "1"),
        ("http", ["--http1.1"], "1.1"),
        # Offers an upgrade that may be ignored (RFC 9110, section 7.8), and that RFC 9113 has taken back.
        ("http", ["--http2"], "1.1"),
        ("http", ["--http2-prior-knowledge"], "2"),
        ("https", ["--http1.1"], "1.1"),
        ("https", ["--http2"], "2"),
        ("https", ["--http2", "--tls-max", "1.2"], "2"),
    ]
    for scheme, way, version in ways:
        place = places[scheme]
        said, facts = curl(f"{place}/odds?a=b", *way)
        what = f"curl {' '.join(way)} {scheme}"
        check(facts["http_version"] == version, f"{what}: {facts['http_version']}")
        told = json.loads(body(said))
        check(facts["http_code"] == 200 and told["path"] == "/odds?a=b", f"{what}: {said}")
        check(told["headers"]["x-forwarded-proto"] == scheme, f"{what}: {told}")
        # Chunks and a word before the body came with HTTP/1.1.
        if version != "1":
            kinds(place, way, what)
    refusals(places, proxies)
    return f"{len(ways)} ways"


def kinds(place, way, what):
    """A body, one that is asked for first, one without a length, a part, trailers, none."""
    sent = json.loads(body(curl(f"{place}/x", *way, "--data-binary", "a" * 100_000)[0]))
    check((sent["method"], sent["bytes"]) == ("POST", 100_000), f"{what}: {sent}")
    asked, _ = curl(f"{place}/x", *way, "-H", "Expect: 100-continue", "--data-binary", "hello")
    # Over HTTP/2 the library tells nobody to go on: such a client sends after a second of its own (RFC 9110, section 10.1.1).
    told_to = " 100" in asked or "--http1.1" not in way
    check(told_to and json.loads(body(asked))["bytes"] == 5, f"{what}: {asked}")
    piped = json.loads(body(curl(f"{place}/x", *way, "-T", "-", input="b" * 5000)[0]))
    check((piped["method"], piped["bytes"]) == ("PUT", 5000), f"{what}: {piped}")
    part, facts = curl(f"{place}/size/1000", *way, "-r", "10-19")
    check(facts["http_code"] == 206 and body(part) == "0123456789", f"{what}: {part}")
    check("content-range: bytes 10-19/1000" in part.lower(), f"{what}: {part}")
    large, facts = curl(f"{place}/size/3000000", *way)
    check(facts["size_download"] == 3_000_000 and len(body(large)) == 3_000_000, f"{what}: {facts['size_download']}")
    trailed, facts = curl(f"{place}/trailers", *way, "-H", "TE: trailers")
    check("hello world" in trailed and "x-sum: 11" in trailed.lower(), f"{what}: {trailed}")
    head, facts = curl(f"{place}/size/1000", *way, "-I")
    check("content-length: 1000" in head.lower() and facts["size_download"] == 0, f"{what}: {head}")


def refusals(places, proxies):
    """A no is a no in both protocols, with a time to come back, and the next request is heard on the same connection."""
    for (scheme, place), proxy in zip(places.items(), proxies, strict=True):
        proxy.order("park")
        # In the clear curl 7.88 cannot use a connection of HTTP/2 again, whoever it is to: "(16) Error in the HTTP2 framing layer".
        for way in ("--http1.1", *(["--http2"] if scheme == "https" else [])):
            said, facts = curl(f"{place}/bets", way, "-d", "x", f"{place}/again")
            check(said.count("retry-after: ") == 2 and facts["http_code"] == 503, f"{way}: {said}")
            check(facts["num_connects"] == 0, f"{way}: a refusal has cost the connection")
        proxy.order("open")


def nghttp(places, _):
    """The same page as often as there are streams, at once."""
    for place in places.values():
        url = local(place) + "/size/100000"
        command = ["nghttp", "-n", "-s", "-m", STREAMS, "-t", "20s", url]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=60)
        answers = re.findall(r"\b200\b +\d+K? ", done.stdout)
        check(done.returncode == 0 and len(answers) == STREAMS, f"{url}: {done.stdout}{done.stderr}")
    return f"{STREAMS} streams"


def h2load(places, _):
    """Many requests; each must be answered, and well."""
    for place in places.values():
        command = ["h2load", "-n", REQUESTS, "-c", CONNECTIONS, "-m", STREAMS, local(place) + "/odds"]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=60)
        told = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", done.stdout)
        check(told and int(told[1]) == REQUESTS, f"{place}: {done.stdout}{done.stderr}")
        check(f"{REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout)
    return f"{REQUESTS} requests, {STREAMS} streams"


def local(place):
    """Neither of them can be told where a name is."""
    return place.replace("bet.example", "127.0.0.1")
