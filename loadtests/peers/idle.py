"""Connections on which nothing happens, and what a proxy keeps for each."""

import contextlib
import random
import socket
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import stage  # noqa: E402
from house import PROXIED  # noqa: E402

REQUEST = f"GET {PROXIED} HTTP/1.1\r\nHost: bets.example\r\n\r\n".encode()
# Longer than anybody waits before memory is given back; ours does within 3.5 s, later on a busy machine.
CALM_S = 6.0
# No more at once than every proxy passes on without a queue.
AT_ONCE = 500


@contextlib.contextmanager
def held(house, proxy, count):
    """So many connections, each of which has asked once and keeps still."""
    sockets = opened(house, proxy, count)
    try:
        yield sockets
    finally:
        for one in sockets:
            one.close()


def opened(house, proxy, count):
    """From several addresses, so that ports last."""
    port, sockets = house.port(proxy), []
    for number in range(count):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((f"127.0.1.{1 + number % 32}", 0))
        one.settimeout(10)
        one.connect(("127.0.0.1", port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets.append(one)
        asked([one])
    return sockets


def asked(sockets):
    for one in sockets:
        one.sendall(REQUEST)
    for one in sockets:
        said = b""
        while b'"ok":true}' not in said:
            piece = one.recv(4096)
            if not piece or not b"HTTP/1.1 200".startswith((said + piece)[:12]):
                raise stage.Failed(f"an idle connection was answered {said + piece!r}")
            said += piece


def calm(house, proxy):
    """Time goes by, and somebody asks now and then, as somebody always does: allocators give back what is free when they are
    asked for something."""
    end = time.monotonic() + CALM_S
    with held(house, proxy, 4) as few:
        while time.monotonic() < end:
            asked(few)
            time.sleep(0.02)


def measure(house, proxy, count):
    """Bytes of memory for each of `count` connections: at rest, when many have come and gone, after a burst."""
    pids = house.families[house.process(proxy)]
    with held(house, proxy, 64):
        pass
    time.sleep(CALM_S)
    before = stage.private_bytes(pids)

    def each():
        calm(house, proxy)
        return round((stage.private_bytes(pids) - before) / count)

    with held(house, proxy, count) as sockets:
        told = {"per_connection": each()}
        for _ in range(8):
            random.shuffle(sockets)
            gone = sockets[: count // 4]
            for one in gone:
                one.close()
            sockets[: count // 4] = opened(house, proxy, count // 4)
        told["after_churn"] = each()
        for _ in range(4):
            for first in range(0, count, AT_ONCE):
                asked(sockets[first : first + AT_ONCE])
        told["after_burst"] = each()
    calm(house, proxy)
    told["kept_when_all_have_gone"] = stage.private_bytes(pids) - before
    return told
