#!/usr/bin/env python3
"""Readers of odds beside bets: what does the backend see? (`make load-odds`)

What it measures and how to read it: loadtests/odds_readers/README.md.
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import stage  # noqa: E402

HERE = Path(__file__).resolve().parent
SERVICE_MS = 10
FRESH_S = 1.0
# Times are written where a request is read, which may be a little later than it was sent.
BLUR_S = 0.05
PROCESSES = 2


def main():
    options = arguments()
    with stage.Stage() as here:
        play = Play(here, options)
        play.start()
        rows = [play.window("bets alone", 0), play.window("one object", 1), play.window("fifty objects", 50)]
    broken = [f"{row['what']}: {wrong}" for row in rows for wrong in row["broken"]]
    for row in rows:
        print(f"{row['what']:14} {row['odds']}; bets {row['bets']}; backend {row['backend']}")
    print("\n".join(broken) or "held: one request for each object and second")
    return 1 if broken else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=5000, help="reads per second")
    parser.add_argument("--bets", type=float, default=100, help="bets per second")
    parser.add_argument("--seconds", type=float, default=6, help="of each of the three windows")
    parser.add_argument("--binary", help="another binary than the release build's")
    return parser.parse_args()


class Play:
    def __init__(self, here, options):
        self.here, self.options = here, options
        self.binary = options.binary or stage.sluss_binary()
        self.port, self.admin, self.horse = stage.free_ports(3)
        self.record = here.folder / "backend.txt"

    def start(self):
        self.here.start("backend", [sys.executable, HERE / "backend.py", self.horse, SERVICE_MS, self.record], self.horse)
        self.here.start_sluss(self.binary, HERE / "sluss.toml", self.port, self.admin, HORSE=self.horse)

    def window(self, what, objects):
        """Everybody for so many seconds; what they and the backend saw."""
        seconds, began = self.options.seconds, time.monotonic()
        crowds = {"bets": [self.customers(f"bets, {what}", "bets", 1, self.options.bets)], "odds": []}
        if objects:
            share = self.options.rate / PROCESSES
            crowds["odds"] = [self.customers(f"odds {n}, {what}", "odds", objects, share) for n in range(PROCESSES)]
        seen = {kind: [self.heard(*one) for one in some] for kind, some in crowds.items()}
        # What one window fetched must be old before the next begins.
        time.sleep(FRESH_S + 0.2)
        row = {"what": what, "broken": []}
        for kind, rate in (("odds", self.options.rate if objects else 0), ("bets", self.options.bets)):
            asked, good = (sum(one[at] for one in seen[kind]) for at in (0, 1))
            row[kind] = f"{good / seconds:.0f}/s of {asked / seconds:.0f}/s, {spread([ms for one in seen[kind] for ms in one[2]])}"
            if good < asked:
                row["broken"].append(f"{asked - good} {kind} of {asked} were not answered")
            if asked < 0.9 * rate * seconds:
                row["broken"].append(f"only {asked / seconds:.0f} {kind} a second were asked for: too fast for this machine")
        row["backend"] = self.backend(began, row["broken"])
        return row

    def customers(self, name, kind, objects, rate):
        path = self.here.folder / f"{name}.txt"
        command = [sys.executable, HERE / "customers.py", self.port, kind, objects, rate, self.options.seconds, path]
        return name, self.here.start(name, command), path

    def heard(self, name, process, path):
        process.wait(timeout=self.options.seconds + 20)
        if said := self.here.log(name):
            raise stage.Failed(f"{name}: {said}")
        asked, good, *took = path.read_text().split()
        return int(asked), int(good), [float(ms) for ms in took]

    def backend(self, began, broken):
        """What it was asked for since then, by object and second."""
        rows = [line.split() for line in self.record.read_text().splitlines()]
        rows = [(float(at), target) for at, target in rows if float(at) >= began and "/odds" in target]
        last, by_second = {}, Counter()
        for at, target in rows:
            if target in last and at - last[target] < FRESH_S - BLUR_S:
                broken.append(f"{target} was asked for again after {at - last[target]:.3f} s")
            last[target] = at
            by_second[target, int(at - began)] += 1
        if not rows:
            return "no reads"
        per = len(rows) / len(last) / self.options.seconds
        return f"{len(rows)} reads of {len(last)} objects: {per:.2f} for each and second, at most {max(by_second.values())}"


def spread(took):
    took = sorted(took)
    if not took:
        return "nobody"
    return f"p50 {took[len(took) // 2]:.1f} ms, p99 {took[int(len(took) * 0.99)]:.1f} ms"


if __name__ == "__main__":
    sys.exit(main())
