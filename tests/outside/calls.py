"""Calls by a real client of gRPC (PyPI grpcio): what is refused or broken arrives as the status of a call, and is tried again by
that client only where nothing can have come of it."""

import json
import socket
import threading

import grpc
from proxied import PORTS, Failed, Proxy, check

METHOD = "/horse.Bets/Place"
REFUSED = 'sluss_admission_refusals_total{product="horse-racing",class="read",refusal="parked"}'
# What a careful client does by itself: up to five tries where the answer is UNAVAILABLE.
RETRIES = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.05s",
                "maxBackoff": "0.1s",
                "backoffMultiplier": 1,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


def run(stage, binary, only=None):
    """A refusal, a fault before anything was sent, and faults after."""
    cases = {"refused": refused, "unreachable": unreachable, "lost": lost}
    for name, act in cases.items():
        if not only or name == only:
            act(stage, binary)
    return f"{len(cases)} kinds of calls"


def place(port, method=METHOD, retries=False, deadline=10):
    """Make a call that cannot succeed, one that streams: how it ended."""
    policy = ("grpc.service_config", json.dumps(RETRIES)) if retries else ("grpc.enable_retries", 0)
    with grpc.insecure_channel(f"127.0.0.1:{port}", [policy, ("grpc.enable_http_proxy", 0)]) as channel:
        try:
            list(channel.stream_stream(method)(iter([b"one", b"two"]), timeout=deadline))
        except grpc.RpcError as ended:
            return ended
    raise Failed("a call succeeded, with nobody behind the proxy who could have answered")


def told(ended, code, message):
    """It ended so, in the form of a head that is a trailer too ("Trailers-Only")."""
    check(ended.code() == code and ended.details() == message, f"{ended.code()} {ended.details()}, not {code} {message}")
    check(not ended.initial_metadata(), f"a head came by itself: {ended.initial_metadata()}")
    metadata = dict(ended.trailing_metadata())
    check(message in metadata.get("proxy-status", ""), f"{metadata}")
    return metadata


def refused(stage, binary):
    """A product that is parked: UNAVAILABLE, with a time to come back, to which a client that tries again by itself keeps."""
    backend = Listening()
    proxy = Proxy(stage, binary, backend.port, name="grpc-refused")
    proxy.order("park")
    metadata = told(place(proxy.port), grpc.StatusCode.UNAVAILABLE, "parked")
    pushback, seconds = int(metadata["grpc-retry-pushback-ms"]), int(metadata["retry-after"])
    check(pushback == 1000 * seconds >= 1000, f"{metadata}")
    before = proxy.metric(REFUSED)
    # It is told to come back in five to ten seconds. Left to itself it would come five times in these two.
    place(proxy.port, retries=True, deadline=2)
    check(proxy.metric(REFUSED) == before + 1, f"it came {proxy.metric(REFUSED) - before:.0f} times")
    check(backend.came == 0, "a refused call has reached the backend")
    proxy.alive()


def unreachable(stage, binary):
    """Nobody accepts connections, so nothing was sent: UNAVAILABLE."""
    proxy = Proxy(stage, binary, next(PORTS), name="grpc-unreachable")
    told(place(proxy.port), grpc.StatusCode.UNAVAILABLE, "backend_unreachable")
    proxy.alive()


def lost(stage, binary):
    """The backend hangs up when it has the call: UNKNOWN, and a client that tries again by itself does not."""
    backend = Listening()
    proxy = Proxy(stage, binary, backend.port, path="/horse.Bets/", name="grpc-lost")
    told(place(proxy.port, retries=True), grpc.StatusCode.UNKNOWN, "backend_broken_answer")
    check(backend.came == 1, f"it was sent {backend.came} times")
    told(place(proxy.port, "/nowhere.At/All"), grpc.StatusCode.UNIMPLEMENTED, "no_product")
    proxy.alive()


class Listening:
    """A backend that reads a request and hangs up."""

    def __init__(self):
        self.came = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        """Until the process ends."""
        while True:
            connection, _ = self.socket.accept()
            with connection:
                if connection.recv(65536):
                    self.came += 1
