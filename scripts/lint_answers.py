#!/usr/bin/env python3
"""Every kind of answer that is ours, held against the rules of HTTP by httplint: `make lint-answers`.

Starts the proxy given as the first argument, parks a product, and reads answers as they come over a socket. Fails on
whatever httplint calls bad. It needs PyPI and is no part of `make test`; what it once found has assertions there.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

CONFIG = """journal = "off"
[listen]
address = "127.0.0.1:18480"
[admin]
address = "127.0.0.1:18490"
[cors]
origins = ["https://www.example.com"]
credentials = true
[pages]
links = [{ href = "/help", sv = "Hjälp", en = "Help" }]
[[product]]
name = "horse-racing"
match = [{ path = "/horse/" }]
backends = ["http://127.0.0.1:9"]
[[product.class]]
class = "commit"
match = [{ path = "/horse/bets" }]
"""
ORIGIN = "origin: https://www.example.com\r\n"
READERS = ["", ORIGIN, f"accept-language: sv\r\n{ORIGIN}", f"sec-fetch-mode: navigate\r\n{ORIGIN}"]
TARGETS = ["/horse/odds", "/horse/bets", "/nothing", "/horse/../bets"]
# httplint is shown the answer alone, and cannot see that it is one to a preflight.
EXCUSED = "CORS headers are only allowed in preflight responses."


def answer(request: str) -> bytes:
    with socket.create_connection(("127.0.0.1", 18480), timeout=10) as connection:
        connection.sendall(request.encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def requests():
    for reader in READERS:
        for target in TARGETS:
            yield f"GET {target} HTTP/1.1\r\nhost: bet.example\r\nconnection: close\r\n{reader}\r\n"
        yield f"GET /horse/odds HTTP/1.1\r\nhost: bet.example\r\nupgrade: websocket\r\nconnection: close\r\n{reader}\r\n"
        yield f"GET /horse/odds HTTP/1.1\r\nhost: two\r\nhost: hosts\r\nconnection: close\r\n{reader}\r\n"
    yield ("OPTIONS /horse/bets HTTP/1.1\r\nhost: bet.example\r\nconnection: close\r\n"
           f"access-control-request-method: POST\r\n{ORIGIN}\r\n")


def park() -> None:
    order = {"order": "park", "product": "horse-racing", "reason": "a check", "who": "lint"}
    request = urllib.request.Request("http://127.0.0.1:18490/api/v1/orders", json.dumps(order).encode(),
                                     {"content-type": "application/json"})
    for _ in range(100):
        try:
            urllib.request.urlopen(request, timeout=10).read()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("lint_answers: the proxy does not come up")


def bad(linter: str, said: bytes) -> list[str]:
    notes = subprocess.run([linter, "-n"], input=said, capture_output=True, check=True).stdout.decode()
    return [note for note in notes.splitlines() if "[BAD]" in note and EXCUSED not in note]


def main() -> None:
    proxy, linter = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "lint.toml")
        config.write_text(CONFIG)
        running = subprocess.Popen([proxy, "run", "--config", str(config)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            park()
            asked = list(requests())
            found = [(request, notes) for request in asked if (notes := bad(linter, answer(request)))]
        finally:
            running.terminate()
            running.wait()
    for request, notes in found:
        print(request.strip(), *notes, "", sep="\n")
    if found:
        sys.exit(f"lint_answers: {len(found)} of {len(asked)} answers are bad")
    print(f"lint_answers: {len(asked)} answers, none bad")


main()
