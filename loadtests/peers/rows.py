"""The rows of the table: what is measured of whom, and what was aimed at (issue 6)."""

import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import idle  # noqa: E402
import stage  # noqa: E402
from clients import H2load, Steady, Wrk  # noqa: E402
from house import OURS, REFUSED  # noqa: E402

# Who plays where nothing else is said.
THREE = [OURS, "nginx", "haproxy"]
FIVE = [*THREE, "envoy", "caddy"]


@dataclass
class Figure:
    """One line of the table."""

    name: str
    aim: str
    values: list
    most: float
    unit: str = ""
    digits: int = 2

    def spread(self):
        """Median and quartiles of the rounds."""
        ordered = sorted(self.values)
        return [stage.quantile(ordered, q) for q in (0.25, 0.5, 0.75)]

    def line(self):
        low, middle, high = (f"{value:,.{self.digits}f}" for value in self.spread())
        held = "HELD" if self.spread()[1] <= self.most else "**NOT HELD**"
        return f"| {self.name} | {self.aim} | **{middle}**{self.unit} [{low} .. {high}] | {held} |"


@dataclass
class Work:
    """Processor time per request, by turns."""

    title: str
    client: object
    aims: dict
    players: list = field(default_factory=lambda: THREE)
    even: bool = False

    def run(self, bench, key):
        rounds = by_turns(bench, key, [(name, name, self.client) for name in self.players if name in bench.house.proxies])
        figures = [
            Figure(self.title, f"≤ {most} × {peer}", ratios(rounds, OURS, peer), most, f" × {peer}")
            for peer, most in self.aims.items() if peer in bench.house.proxies
        ]
        if self.even:
            figures.append(Figure(f"{self.title}: the busier worker's part of both", "≤ 0.6", busier(rounds), 0.6))
        return figures, rounds


@dataclass
class Latency:
    """What a proxy adds to the backend's own latency when the machine, with the client and the backend on it, is half busy."""

    title: str = "latency added at half load"

    def run(self, bench, key):
        house = bench.house
        players = [name for name in THREE if name in house.proxies]
        client = Steady(rate=self.half(bench, players) // 100 * 100)
        rounds = by_turns(bench, key, [(name, name, client) for name in [*players, "backend"]], seconds=2)
        figures = []
        for quantile in ("p50", "p99"):
            def added(one, name):
                return one[name]["told"][f"{quantile}_us"] - one["backend"]["told"][f"{quantile}_us"]
            for one in rounds:
                for name in players:
                    one[name][f"added_{quantile}_us"] = round(added(one, name), 1)
            values = [added(one, OURS) / max(added(one, "haproxy"), 1) for one in rounds]
            title = f"{self.title} ({client.rate:,} a second), {quantile}"
            figures.append(Figure(title, "≤ HAProxy's", values, 1.0, " × haproxy"))
        return figures, rounds

    def half(self, bench, players):
        """How many a second make this machine half busy, with whichever proxy needs most. Half of what wrk gets through would
        make it busy to the brim: requests that come one by one cost everybody more."""
        most = min(bench.measure(name, Wrk(), 1)["per_s"] for name in players)
        trials = [bench.measure(name, Steady(rate=most // 4), 1) for name in players for _ in range(2)]
        return int(min(one["per_s"] * os.cpu_count() / 2 / one["cores"] for one in trials))


@dataclass
class Idle:
    """Memory of connections on which nothing happens."""

    def run(self, bench, key):
        told = {}
        for name in FIVE:
            if name in bench.house.proxies:
                # Of its own: a heap that was large once hides what comes next.
                with bench.fresh(name) as house:
                    told[name] = idle.measure(house, name, bench.options.idle)
                print(f"  {name}: {told[name]}", flush=True)
        ours = told[OURS]
        title = f"bytes per idle keep-alive connection ({bench.options.idle:,})"
        figures = [
            Figure(title, "≤ 8,192", [ours["per_connection"]], 8192, digits=0),
            Figure("the same when a quarter has been replaced, eight times", "≤ 8,192", [ours["after_churn"]], 8192, digits=0),
            Figure("the same after all have asked at once", "≤ 8,192", [ours["after_burst"]], 8192, digits=0),
        ]
        return figures, [told]


@dataclass
class Crowd:
    """Ten thousand connections, nine in ten of which are idle."""

    idle: int = 9000

    def run(self, bench, key):
        rounds = []
        players = [name for name in THREE if name in bench.house.proxies]
        for number in range(max(3, bench.options.rounds // 2)):
            one = {}
            for name in random.sample(players, len(players)):
                alone = bench.measure(name, Wrk(), 1)
                with idle.held(bench.house, name, self.idle):
                    time.sleep(1.5)
                    crowd = bench.measure(name, Wrk(connections=1000), 2)
                    few = bench.measure(name, Wrk(), 1)
                one[name] = {"us": crowd["us"], "few_us": few["us"], "alone_us": alone["us"],
                             "ratio": round(crowd["us"] / alone["us"], 3), "few_ratio": round(few["us"] / alone["us"], 3),
                             "others_cores": crowd["others_cores"], "client_cores": crowd["client_cores"]}
            bench.house.empty_logs()
            tell(key, number, one)
            rounds.append(one)
        figures = [Figure("10,000 connections, 1,000 of them asking: CPU per request", "≤ 1.15 × that at 64",
                          [one[OURS]["ratio"] for one in rounds], 1.15, " × at 64")]
        figures.append(Figure("64 asking beside 9,000 idle ones", "≤ 1.15 × that at 64",
                              [one[OURS]["few_ratio"] for one in rounds], 1.15, " × at 64"))
        return figures, rounds


@dataclass
class Admission:
    """What admission takes of the processor at half load: its part of the instructions in user mode, by callgrind, of the part of
    the time that the proxy spends in user mode."""

    def run(self, bench, key):
        house = bench.house
        command = [sys.executable, Path(__file__).with_name("instructions.py"), "--scenario", "proxied", "--seconds", "4",
                   "--connections", "16", "--admission"]
        said = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
        if said.returncode != 0:
            raise stage.Failed(said.stdout + said.stderr)
        of_instructions = float(said.stdout.split("admission: ")[1].split(" %")[0])
        rate = bench.measure(OURS, Wrk(), 1)["per_s"] // 2
        rounds, pid = [], house.processes[OURS].pid
        for _ in range(bench.options.rounds):
            user, system = stage.cpu_ticks(pid)
            bench.measure(OURS, Steady(rate=rate), 2)
            after_user, after_system = stage.cpu_ticks(pid)
            part = (after_user - user) / max(1, after_user - user + after_system - system)
            rounds.append({"user_part": round(part, 3), "percent": round(of_instructions * part, 2)})
        house.empty_logs()
        title = f"admission's own part of the proxy's CPU at half load ({of_instructions} % of its instructions in user mode)"
        figure = Figure(title, "≤ 3 %", [one["percent"] for one in rounds], 3.0, " %", 1)
        return [figure], [*rounds, {"said": said.stdout.strip().splitlines()}]


ROWS = {
    "alive": Work("CPU per proxied request, 120 bytes, 64 connections", Wrk(), {"nginx": 1.0, "haproxy": 0.9}, FIVE),
    "many": Work("the same, 512 connections", Wrk(connections=512), {"haproxy": 1.0}, [*THREE, "envoy", "caddy"]),
    "16k": Work("16 KB bodies", Wrk("/sport/files/16k"), {"haproxy": 1.0}),
    "1m": Work("1 MB bodies", Wrk("/sport/files/1m", 16), {"haproxy": 1.0}),
    "post": Work("POST of 1 KB", Wrk("/sport/bets", post=True), {"haproxy": 1.0}),
    "tls": Work("over TLS, HTTP/1.1", Wrk(secure=True), {"haproxy": 1.0}, [*THREE, "envoy"]),
    "tls-16k": Work("over TLS, 16 KB bodies", Wrk("/sport/files/16k", secure=True), {"haproxy": 1.0}),
    "h2": Work("HTTP/2 over TLS, 16 connections of 32 streams", H2load(16), {"envoy": 0.7}, FIVE),
    "h2-few": Work("HTTP/2 over TLS, 4 connections of 32 streams", H2load(4), {"envoy": 0.7}, FIVE, even=True),
    "refused": Work("CPU per refusal of ours", Wrk(REFUSED, status=503), {"nginx": 0.9}),
    "latency": Latency(),
    "idle": Idle(),
    "crowd": Crowd(),
    "admission": Admission(),
}


# --- how rounds go -------------------------------------------------------------------------------------------


def by_turns(bench, key, players, seconds=None):
    """Rounds in which everybody is measured once, in an order that is drawn anew each time."""
    seconds = seconds or bench.options.seconds
    for _, proxy, client in players:
        bench.measure(proxy, client, 1)
    rounds = []
    for number in range(bench.options.rounds):
        one = {name: bench.measure(proxy, client, seconds) for name, proxy, client in random.sample(players, len(players))}
        bench.house.empty_logs()
        tell(key, number, one)
        rounds.append(one)
    return rounds


def ratios(rounds, ours, peer):
    return [one[ours]["us"] / one[peer]["us"] for one in rounds]


def busier(rounds):
    """Of what the two workers of ours ran, the part of the busier."""
    threads = [one[OURS]["threads"] for one in rounds]
    return [most / (most + second) for most, second, *_ in threads]


def tell(key, number, one):
    parts = [f"{name} {m['us']:.1f}" for name, m in sorted(one.items())]
    noise = max(m["others_cores"] for m in one.values())
    print(f"{key}, round {number + 1}: {', '.join(parts)} us per request; others {noise} cores", flush=True)
