"""Every answer that is ours, held against the rules of HTTP by httplint.

Two ways to come by them: all refusals and faults in every form, as a test of the answers wrote them into the folder that
SLUSS_ANSWERS names; and those that the proxy and its admin address give over a socket, the parser's own among them.
"""

import contextlib
import io
import os
import socket
import time
from argparse import Namespace
from pathlib import Path

from httplint.cli.http_parser import HttpCliParser, modes
from proxied import PORTS, Failed, Proxy, check

REST = """[cors]
origins = ["https://www.example.com"]
credentials = true
[pages]
links = [{ href = "/help", sv = "Hjälp", en = "Help" }]
[trace]
request_id = "x-request-id"
"""
ORIGIN = "origin: https://www.example.com\r\n"
READERS = ["", ORIGIN, f"accept-language: sv\r\n{ORIGIN}", f"sec-fetch-mode: navigate\r\n{ORIGIN}"]
TARGETS = ["/horse/odds", "/horse/bets", "/nothing", "/horse/../bets", "/horse/" + "a" * 9000]
# httplint is shown the answer alone, and cannot see that it is one to a preflight. That a target is too long is the client's doing.
EXCUSED = ("CORS headers are only allowed in preflight responses.", "The server won't accept a URI this long")
# Refusals by two, faults, the unknown outcome; by three forms and two kinds of reader. Fewer is a folder that nobody filled.
LEAST = 250


def run(stage, binary, only=None):
    """All of them."""
    folder = Path(os.environ.get("SLUSS_ANSWERS", "/nowhere"))
    written = [(path.name, path.read_bytes()) for path in sorted(folder.glob("*")) if not only or only in path.name]
    check(only or len(written) >= LEAST, f"SLUSS_ANSWERS={folder} has {len(written)} answers: run `make outside`")
    heard = [] if only else live(stage, binary)
    found = [f"{name}\n{chr(10).join(notes)}" for name, said in written + heard if (notes := bad(said))]
    if found:
        raise Failed("\n\n".join(found) + f"\n\n{len(found)} answers are bad")
    return f"{len(written)} written answers and {len(heard)} heard"


def live(stage, binary):
    """Answers over a socket, of a proxy without a backend and of one whose product is parked."""
    alone = Proxy(stage, binary, next(PORTS), rest=REST, path="/horse/", name="alone")
    heard = [(repr(asked[:80]), hear(alone.port, asked)) for asked in requests()]
    heard += [(repr(asked), hear(alone.admin_port, asked)) for asked in orders()]
    parked = Proxy(stage, binary, next(PORTS), rest=REST, path="/horse/", name="parked")
    parked.order("park")
    heard += [("parked " + repr(asked[:80]), hear(parked.port, asked)) for asked in requests()]
    full = Proxy(stage, binary, next(PORTS), listen="connections = 1", name="full")
    with socket.create_connection(("127.0.0.1", full.port)):
        heard.append(("no room", until_told(full)))
    for proxy in (alone, parked, full):
        proxy.alive()
    return heard


def until_told(proxy):
    """What a second connection hears: it may come before the first is counted."""
    for _ in range(50):
        said = hear(proxy.port, "GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        if b" 503 " in said.split(b"\r\n")[0] and b"proxy_overloaded" in said:
            return said
        time.sleep(0.1)
    raise Failed(f"there is always room: {said}")


def requests():
    """One of each kind that is answered here."""
    for reader in READERS:
        common = f"host: bet.example\r\nconnection: close\r\n{reader}\r\n"
        for target in TARGETS:
            yield f"GET {target} HTTP/1.1\r\n{common}"
        yield f"CONNECT bet.example:443 HTTP/1.1\r\n{common}"
        yield f"GET /horse/odds HTTP/1.1\r\nhost: two\r\n{common}"
        yield f"POST /horse/bets HTTP/1.1\r\ncontent-length: 99999999999\r\n{common}"
        yield f"POST /horse/bets HTTP/1.1\r\ntransfer-encoding: gzip, chunked\r\n{common}0\r\n\r\n"
        yield f"POST /horse/bets HTTP/1.1\r\ntransfer-encoding: chunked\r\n{common}zz\r\n"
    yield ("OPTIONS /horse/bets HTTP/1.1\r\nhost: bet.example\r\nconnection: close\r\n"
           f"access-control-request-method: POST\r\n{ORIGIN}\r\n")
    # What the parser answers by itself.
    yield "nonsense\r\n\r\n"
    yield "GET /horse/odds HTTP/1.1\r\nhost: h\r\n" + "a: b\r\n" * 500 + "\r\n"
    yield "GET /horse/odds HTTP/1.1\r\nhost: h\r\nx: " + "a" * 90_000 + "\r\n\r\n"


def orders():
    """What operators and machines hear."""
    end = "host: localhost\r\nconnection: close\r\n"
    for path in ("/livez", "/readyz", "/metrics", "/api/v1/status", "/api/v1/events", "/nothing", "/api/v1/events/none"):
        yield f"GET {path} HTTP/1.1\r\n{end}\r\n"
    for kind, said in (("text/plain", "{}"), ("application/json", "{}"), ("application/json", '{"order": "park"}')):
        yield f"POST /api/v1/orders HTTP/1.1\r\n{end}content-type: {kind}\r\ncontent-length: {len(said)}\r\n\r\n{said}"
    yield f"DELETE /api/v1/status HTTP/1.1\r\n{end}\r\n"
    yield "POST /api/v1/orders HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


def hear(port, request):
    """All that is answered, until the connection is closed."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        # Who is refused may be cut while it still says more.
        with contextlib.suppress(ConnectionError):
            connection.sendall(request.encode())
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(65536):
                said += piece
    return said


def bad(said):
    """What httplint calls bad in an answer."""
    if not said:
        return ["nothing was answered"]
    with contextlib.redirect_stdout(io.StringIO()) as told:
        HttpCliParser(Namespace(mode=modes.RESPONSE), time.time()).handle_input(said)
    return [note for note in told.getvalue().splitlines() if "[BAD]" in note and not any(one in note for one in EXCUSED)]
