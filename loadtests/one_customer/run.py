#!/usr/bin/env python3
"""One customer with 1,000 connections: do the others lose anything? (`make load-crowd`)

What it measures and how to read it: loadtests/one_customer/README.md.
"""

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import stage  # noqa: E402

HERE = Path(__file__).resolve().parent
# So many at a time, each for so long: 200 a second.
SEATS, SERVICE_MS = 8, 40
CAPACITY_PER_S = SEATS * 1000 / SERVICE_MS
STEPS = 4
# What must hold.
MOST_LOST = 0.03
# Until what a window began with is as it stays, and until the slowest of the others has given up.
SETTLE_S, PATIENCE_S = 3, 20
PARKED_S = 4
# Two closures within half a minute are one, of which later times to come back are told.
FORGOTTEN_S = 35


def main():
    options = arguments()
    if options.pin and os.cpu_count() > 1:
        # The proxy has the first core's worth of the machine to itself; everybody else has the rest.
        os.sched_setaffinity(0, set(range(1, os.cpu_count())))
    with stage.Stage() as here:
        play = Play(here, options)
        play.start()
        windows = play.rounds()
        return show(windows, options, play.read_journeys(), play.read_attacks())


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15, help="of each window, of which a round has two")
    parser.add_argument("--connections", type=int, default=1000, help="of the one customer")
    parser.add_argument("--rate", type=float, default=5000, help="requests a second of the one customer")
    parser.add_argument("--asks", default="odds,login,bets,coupon", help="what the one customer asks for, in turns")
    parser.add_argument("--customers", type=int, default=200, help="how many others")
    parser.add_argument("--load", type=float, default=70, help="per cent of what the backend can do that the others ask for")
    parser.add_argument("--idle", default="10m", help="how long a pass is kept by somebody who takes no step")
    parser.add_argument("--per-address", type=int, default=256, help="at_once_per_address")
    parser.add_argument("--reopening", action="store_true", help=f"every window begins with a reopening, after {PARKED_S} s")
    parser.add_argument("--no-pin", dest="pin", action="store_false", help="let proxy and clients share all processors")
    parser.add_argument("--binary", help="another binary than the release build's")
    return parser.parse_args()


class Play:
    def __init__(self, here, options):
        self.here, self.options = here, options
        self.binary = options.binary or stage.sluss_binary()
        self.port, self.admin, self.backend = stage.free_ports(3)
        self.processes = {}
        self.record = {name: here.folder / f"{name}.txt" for name in ("backend", "crowd", "attacker")}

    def start(self):
        options = self.options
        self.run("backend", [self.backend, SEATS, SERVICE_MS, self.record["backend"]], self.backend)
        self.processes["sluss"] = self.here.start_sluss(
            self.binary, HERE / "sluss.toml", self.port, self.admin, ["taskset", "-c", "0"] if options.pin else [],
            BACKEND=self.backend, PER_ADDRESS=options.per_address, KEY=stage.ROOT / "tests" / "keys" / "ed25519.pem",
            IDLE=options.idle, WORKERS=1 if options.pin else os.cpu_count())
        per_s = options.load / 100 * CAPACITY_PER_S / STEPS
        self.run("crowd", [self.port, options.customers, per_s, self.record["crowd"]])
        self.run("attacker", [self.port, options.asks, self.record["attacker"]], talk=True)

    def run(self, name, words, port=None, talk=False):
        self.processes[name] = self.here.start(name, [sys.executable, HERE / f"{name}.py", *words], port, talk)

    def rounds(self):
        """Alone, attacked, attacked, alone, ...: neither kind is always the later."""
        # Until everybody has logged in once.
        time.sleep(self.options.customers / (self.options.load / 100 * CAPACITY_PER_S / STEPS) + SETTLE_S)
        windows = []
        for number in range(self.options.rounds):
            for attacked in (False, True) if number % 2 == 0 else (True, False):
                windows.append(self.window(attacked))
                time.sleep(FORGOTTEN_S if self.options.reopening else PATIENCE_S if attacked else SETTLE_S)
        time.sleep(PATIENCE_S)
        for name in ("crowd", "backend"):
            self.processes[name].terminate()
            self.processes[name].wait(timeout=10)
        for name in ("crowd", "attacker", "backend"):
            if said := self.here.log(name):
                raise stage.Failed(f"{name}: {said}")
        return windows

    def window(self, attacked):
        if self.options.reopening:
            stage.order(self.admin, "park", "betting", "load test")
        if attacked:
            self.attack(self.options.connections, self.options.rate)
        time.sleep(PARKED_S if self.options.reopening else SETTLE_S)
        if self.options.reopening:
            stage.order(self.admin, "reopen", "betting", "load test")
        began, busy, ticks = time.monotonic(), stage.machine_busy_s(), self.ticks()
        time.sleep(self.options.seconds)
        length = time.monotonic() - began
        window = {"attacked": attacked, "from": began, "to": began + length,
                  "machine": (stage.machine_busy_s() - busy) / length / os.cpu_count(),
                  "cpu": {name: (now - before) / stage.TICKS_PER_S / length
                          for (name, now), before in zip(self.ticks().items(), ticks.values())}}
        if attacked:
            self.attack(0, 0)
        begun = [(int(a), int(b), int(c)) for a, b, c in map(str.split, self.record["backend"].read_text().splitlines())]
        during = [row for row in begun if began <= row[0] < began + length - 1]
        window["backend"] = [sum(row[at] for row in during) / max(1, len(during)) for at in (1, 2)]
        print(f"{'attacked' if attacked else 'alone':8}  processors {', '.join(f'{n} {c:.0%}' for n, c in window['cpu'].items())}",
              file=sys.stderr, flush=True)
        return window

    def ticks(self):
        return {name: sum(stage.cpu_ticks(process.pid)) for name, process in self.processes.items()}

    def attack(self, connections, rate):
        told = self.processes["attacker"].stdin
        told.write(f"{connections} {rate}\n".encode())
        told.flush()

    def read_journeys(self):
        return [Journey(line.split()) for line in self.record["crowd"].read_text().splitlines()]

    def read_attacks(self):
        """Requests of the one customer, and what became of them."""
        asked, heard = 0, Counter()
        for line in self.record["attacker"].read_text().splitlines():
            words = line.split()
            asked += int(words[0])
            heard.update({name: int(count) for name, count in zip(words[1::2], words[2::2])})
        return asked, heard


class Journey:
    def __init__(self, words):
        self.due, self.took, self.placed = float(words[0]), float(words[1]), words[2] == "1"
        steps = [word for word in words[3:] if word[0].isdigit()]
        self.steps = list(zip(map(float, steps[::2]), map(int, steps[1::2])))
        self.noes = [word for word in words[3:] if not word[0].isdigit()]


def show(windows, options, journeys, attacks):
    """What came of it; 1 when it did not hold."""
    seen = {attacked: look([w for w in windows if w["attacked"] == attacked], journeys) for attacked in (False, True)}
    print(f"{options.customers} customers ask for {options.load:.0f} % of {CAPACITY_PER_S:.0f} requests/s; {options.rounds} rounds of "
          f"{options.seconds:g} s each way" + (", each after a reopening" if options.reopening else ""))
    print(f"{'':10}{'journeys':>9}{'finished':>10}{'bets/s':>8}{'step p50':>10}{'step p99':>10}{'journey p99':>13}"
          f"{'attempts/step':>15}{'backend: them, the one':>24}")
    for attacked, row in seen.items():
        print(f"{'attacked' if attacked else 'alone':10}{row['journeys']:9}{row['finished']:10.2%}{row['bets_per_s']:8.2f}"
              f"{row['p50']:7.0f} ms{row['p99']:7.0f} ms{row['journey_p99']:11.1f} s{row['attempts']:15.3f}"
              f"{row['backend'][0]:12.0f}/s, {row['backend'][1]:5.0f}/s")
    for attacked, row in seen.items():
        print(f"noes, {'attacked' if attacked else 'alone'}: {dict(row['noes'].most_common())}")
    asked, heard = attacks
    print(f"the one customer asked {asked} times: {dict(heard.most_common())}")
    cpu = seen[True]["cpu"]
    print("processors while attacked: " + ", ".join(f"{name} {used:.0%}" for name, used in cpu.items())
          + f"; the whole machine {seen[True]['machine']:.0%} of {os.cpu_count()}, {seen[False]['machine']:.0%} when alone")
    return judge(seen, options)


def look(windows, journeys):
    mine = [j for j in journeys if any(w["from"] <= j.due < w["to"] for w in windows)]
    steps = [step for j in mine for step in j.steps]
    took = sorted(step[0] for step in steps)
    seconds = sum(w["to"] - w["from"] for w in windows)
    mean = lambda values: sum(values) / len(values)  # noqa: E731
    return {"journeys": len(mine), "finished": mean([j.placed for j in mine]), "bets_per_s": sum(j.placed for j in mine) / seconds,
            "p50": stage.quantile(took, 0.5) * 1000, "p99": stage.quantile(took, 0.99) * 1000,
            "journey_p99": stage.quantile(sorted(j.took for j in mine if j.placed), 0.99),
            "attempts": (sum(step[1] for step in steps)) / len(steps),
            "noes": Counter(name for j in mine for name in j.noes),
            "backend": [mean([w["backend"][at] for w in windows]) for at in (0, 1)],
            "machine": mean([w["machine"] for w in windows]),
            "cpu": {name: mean([w["cpu"][name] for w in windows]) for name in windows[0]["cpu"]}}


def judge(seen, options):
    alone, attacked = seen[False], seen[True]
    lost = 1 - attacked["finished"] / alone["finished"]
    print(f"asked: the others lose less than {MOST_LOST:.0%}. found: {lost:.2%} of their journeys")
    wrong = []
    if lost >= MOST_LOST:
        wrong.append(f"the others lost {lost:.1%}")
    if alone["finished"] < 0.99 and not options.reopening:
        wrong.append("the others do not finish even when alone: this backend, or this machine, is too slow for them")
    return tell(wrong)


def tell(wrong):
    print("\n".join(wrong) or "held")
    return 1 if wrong else 0


if __name__ == "__main__":
    stage.main(main)
