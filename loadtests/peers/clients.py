"""The clients of the comparison, each chosen for how little it takes from the two cores it shares with what is measured.

wrk (C, one thread) for HTTP/1.1, clear and through TLS; h2load (C, nghttp2) for HTTP/2; both closed loops, good for
processor time per request and for nothing else. `steady` (ours, `steady.rs`) for latency at a constant rate: wrk and h2load
wait for an answer before they ask again, oha and k6 spend more processor time on a request than the proxies do.
"""

import ctypes
import json
import re
import resource
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import stage  # noqa: E402
from house import OURS, PROXIED  # noqa: E402

POST = """wrk.method = "POST"
wrk.body = string.rep('{"race":"V75-1","horse":7,"stake":100}', 27)
wrk.headers["Content-Type"] = "application/json"
"""


@dataclass
class Wrk:
    """So many connections, each of which asks again when it has its answer."""

    path: str = PROXIED
    connections: int = 64
    secure: bool = False
    status: int = 200
    post: bool = False

    def command(self, house, proxy, seconds):
        url = f"{'https' if self.secure else 'http'}://127.0.0.1:{house.port(proxy, self.secure)}{self.path}"
        command = [stage.find("wrk", "wrk"), "-t", "1", "-c", str(self.connections), "-d", f"{seconds}s", "--timeout", "10s"]
        if self.post:
            command += ["-s", house.here.write("post.lua", POST)]
        return [str(word) for word in [*command, url]]

    def requests(self, said, seconds):
        """How many were answered; every one as it should be, or the run is worth nothing."""
        found = re.search(r"(\d+) requests in", said)
        if not found or int(found[1]) == 0:
            raise stage.Failed(f"wrk:\n{said}")
        other = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
        wanted = 0 if self.status < 400 else int(found[1])
        if "Socket errors" in said or (int(other[1]) if other else 0) != wanted:
            raise stage.Failed(f"not every answer was {self.status}:\n{said}")
        return int(found[1])


@dataclass
class H2load:
    """So many connections with 32 requests under way on each, through TLS."""

    connections: int = 16
    streams: int = 32
    secure: bool = True

    def command(self, house, proxy, seconds):
        url = f"https://127.0.0.1:{house.port(proxy, True)}{PROXIED}"
        command = [stage.find("h2load", "nghttp2-client"), "-t", "1", "-c", self.connections, "-m", self.streams, "-D", seconds]
        return [str(word) for word in [*command, url]]

    def requests(self, said, seconds):
        protocol = re.search(r"Application protocol: h2\b", said)
        found = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", said)
        statuses = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", said)
        if not protocol or not found or int(found[1]) == 0 or any(int(statuses[kind]) for kind in (2, 3, 4)):
            raise stage.Failed(f"h2load:\n{said}")
        return int(found[1])


@dataclass
class Steady:
    """Requests at a constant rate, whatever becomes of them."""

    rate: int
    connections: int = 64
    secure: bool = False

    def command(self, house, proxy, seconds):
        port = house.backend_port if proxy == "backend" else house.port(proxy)
        program = stage.sluss_binary().parent / "examples" / "steady"
        address = "127.0.0.2" if proxy == "backend" else "127.0.0.1"
        return [str(word) for word in [program, f"{address}:{port}", PROXIED, self.rate, self.connections, seconds]]

    def requests(self, said, seconds):
        told = json.loads(said)
        # Nothing answers over a socket in a microsecond.
        if told["answered"] != told["asked"] or told["p50_us"] < 1:
            raise stage.Failed(f"steady: {said}")
        return told["answered"]


def on_time():
    """Sleeps of the client end when they should, and not up to 50 µs later (PR_SET_TIMERSLACK)."""
    ctypes.CDLL(None).prctl(29, 1, 0, 0, 0)


def measure(house, proxy, client, seconds):
    """One run of a client against one proxy, and what the proxy's threads have run meanwhile."""
    process = house.process(proxy, client.secure)
    command = client.command(house, proxy, seconds)
    house.commands[f"{type(client).__name__.lower()} {proxy}"] = " ".join(command)
    # As Prometheus would: Sluss is looked at once in each of its measurements.
    admin = house.secure_admin_port if client.secure else house.admin_port
    scrape = threading.Timer(seconds / 2, stage.scrape, [admin]) if proxy == OURS else None
    client_before = resource.getrusage(resource.RUSAGE_CHILDREN)
    backend_before = sum(house.look("backend").values())
    machine_before, before, at = stage.machine_busy_s(), house.look(process), time.monotonic()
    if scrape:
        scrape.start()
    said = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                          preexec_fn=on_time)
    after, machine_after, took = house.look(process), stage.machine_busy_s(), time.monotonic() - at
    if scrape:
        scrape.join()
    client_after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if said.returncode != 0:
        raise stage.Failed(f"{' '.join(command)}:\n{said.stdout}{said.stderr}\n{house.here.log(process)}")
    try:
        requests = client.requests(said.stdout, seconds)
    except stage.Failed as why:
        raise stage.Failed(f"{proxy}: {why}\n{house.here.log(process)}") from why
    ran = {thread: ns - before.get(thread, 0) for thread, ns in after.items()}
    asking = client_after.ru_utime + client_after.ru_stime - client_before.ru_utime - client_before.ru_stime
    backend = (sum(house.look("backend").values()) - backend_before) / 1e9
    known = sum(ran.values()) / 1e9 + backend + asking
    return {
        "proxy": proxy,
        "requests": requests,
        "per_s": round(requests / seconds),
        "us": round(sum(ran.values()) / requests / 1e3, 3),
        # Which part of a core the client took: at 1.0 it would be what is measured.
        "client_cores": round(asking / took, 2),
        # What all three took together, in cores.
        "cores": round(known / took, 3),
        "threads": sorted((round(ns / 1e9 / took, 3) for ns in ran.values()), reverse=True)[:4],
        # What everybody else on the machine used meanwhile, in cores: the noise.
        "others_cores": round(max(0.0, machine_after - machine_before - known) / took, 2),
        "said": said.stdout if isinstance(client, Steady) else None,
    }
