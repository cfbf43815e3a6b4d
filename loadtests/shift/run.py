#!/usr/bin/env python3
"""Move half of the load to another site, twice: what do customers notice? (`make load-shift`)

What it measures and how to read it: loadtests/shift/README.md.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import stage  # noqa: E402

HERE = Path(__file__).resolve().parent
PRODUCT, SHARE, STEP, EVERY_S = "horse-racing", 50, 10, 3
SEATS, SERVICE_MS, SLOW_MS = 16, 20, 600
WARM_UP_S, WINDOW_S = 5, 8
# It is slowed once it has so much; and a shift may take so long before the test gives up on it.
SLOWED_AT, PATIENCE_S = 30, 60
# What must hold.
CALM_STEPS_S = SHARE / STEP * EVERY_S * 2
SHARE_OFF_BY = 5
BACK_WITHIN_S = 4 * EVERY_S
LEAST_SERVED_WHEN_SLOWED = 0.995


def main():
    options = arguments()
    with stage.Stage() as here:
        play = Play(here, options)
        play.start()
        calm, slowed = play.calm(), play.slowed()
        asked = play.stop_customers()
        return show(judge(calm, slowed, asked))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=120, help="requests a second")
    parser.add_argument("--binary", help="another binary than the release build's")
    return parser.parse_args()


class Play:
    def __init__(self, here, options):
        self.here, self.options = here, options
        self.binary = options.binary or stage.sluss_binary()
        self.port, self.admin, self.north, self.south = stage.free_ports(4)

    def start(self):
        sites = {}
        for name, port in (("north", self.north), ("south", self.south)):
            command = [sys.executable, HERE / "backend.py", port, SEATS, SERVICE_MS]
            sites[name] = self.here.start(name, command, port, talk=True)
        self.second_site = sites["south"]
        self.here.start_sluss(self.binary, HERE / "sluss.toml", self.port, self.admin, NORTH=self.north, SOUTH=self.south)
        # Those of the test that parks a product: open loop, every fourth a bet.
        crowd = HERE.parent / "park_isolation" / "customers.py"
        command = [sys.executable, crowd, self.port, PRODUCT, self.options.rate, self.record()]
        self.customers = self.here.start("customers", command, talk=True)
        time.sleep(WARM_UP_S)

    def record(self):
        return self.here.folder / "customers.txt"

    def calm(self):
        """Half goes over, and nothing is wrong."""
        before = self.window()
        began = time.monotonic()
        self.begin()
        self.until(lambda share, shift: shift is None, "it arrives or gives up")
        arrived = time.monotonic()
        served_before = self.served()
        after = self.window()
        served = {site: count - served_before[site] for site, count in self.served().items()}
        found = {"before": before, "moving": (began, arrived), "after": after, "took_s": arrived - began, "share": self.share(),
                 "south_served": served["south"] / max(1, sum(served.values())), "steps": self.steps()}
        self.shift({"order": "back"})
        time.sleep(2)
        return found

    def slowed(self):
        """Half is to go over, and the second site becomes slow midway."""
        steps_before = self.steps()
        before = self.window()
        self.begin()
        self.until(lambda share, shift: share >= SLOWED_AT, f"it has {SLOWED_AT} per cent")
        slowed = time.monotonic()
        self.second_site.stdin.write(f"{SLOW_MS}\n".encode())
        self.second_site.stdin.flush()
        self.until(lambda share, shift: share < SLOWED_AT or shift is None, "it steps back")
        back = time.monotonic()
        self.until(lambda share, shift: shift is None, "it gives up or arrives")
        ended = time.monotonic()
        after = self.window()
        steps = {word: count - steps_before.get(word, 0) for word, count in self.steps().items()}
        return {"before": before, "moving": (slowed, ended), "after": after, "back_s": back - slowed, "ended_s": ended - slowed,
                "share": self.share(), "steps": {word: count for word, count in steps.items() if count}}

    def begin(self):
        self.shift({"order": "begin", "from": "north", "to": "south", "share": SHARE, "step": STEP, "every_ms": EVERY_S * 1000})

    def shift(self, order):
        body = json.dumps({"product": PRODUCT, "reason": "load test", "who": "load test", **order})
        status, _, text = stage.ask(self.admin, "/api/v1/shift", "POST", body, {"Content-Type": "application/json"})
        if status != 200:
            raise stage.Failed(f"the shift was answered {status}: {text.decode(errors='replace')}")

    def product(self):
        return stage.status(self.admin)["products"][0]

    def share(self):
        return next(site["share"] for site in self.product()["sites"] if site["name"] == "south")

    def until(self, holds, what):
        end = time.monotonic() + PATIENCE_S
        while True:
            product = self.product()
            share = next(site["share"] for site in product["sites"] if site["name"] == "south")
            if holds(share, product["shift"]):
                return
            if time.monotonic() > end:
                raise stage.Failed(f"not after {PATIENCE_S} s: {what}; {product['sites']}, {product['shift']}")
            time.sleep(0.1)

    def window(self):
        began = time.monotonic()
        time.sleep(WINDOW_S)
        return began, time.monotonic()

    def counters(self, name, label):
        of = {}
        for series, value in stage.samples(self.admin).items():
            if series.startswith(name + "{"):
                word = series.split(f'{label}="')[1].split('"')[0]
                of[word] = of.get(word, 0) + value
        return of

    def served(self):
        answers = self.counters("sluss_upstream_answers_total", "pool")
        return {site: answers.get(f"{PRODUCT}/{site}", 0) for site in ("north", "south")}

    def steps(self):
        return {word: int(count) for word, count in self.counters("sluss_admission_shift_steps_total", "step").items() if count}

    def stop_customers(self):
        """Everything that was asked: (due, sent late by, took, status)."""
        self.customers.terminate()
        self.customers.wait(timeout=10)
        if said := self.here.log("customers"):
            raise stage.Failed(f"the customers: {said}")
        rows = (line.split() for line in self.record().read_text().splitlines())
        return sorted((float(due), float(late), float(took), int(status)) for due, late, took, status, _ in rows)


def look(asked, window):
    """What became of those who were due within it."""
    mine = [row for row in asked if window[0] <= row[0] < window[1]]
    took = sorted((row[2] - row[1]) * 1000 for row in mine)
    unserved = sum(row[3] != 200 for row in mine)
    return {"asked": len(mine), "unserved": unserved, "p50": stage.quantile(took, 0.5), "p99": stage.quantile(took, 0.99)}


def judge(calm, slowed, asked):
    for part in (calm, slowed):
        part.update({name: look(asked, part[name]) for name in ("before", "moving", "after")})
    unserved = sum(calm[name]["unserved"] for name in ("before", "moving", "after"))
    moving = slowed["moving"]
    served = 1 - moving["unserved"] / max(1, moving["asked"])
    ratio = slowed["after"]["p99"] / slowed["before"]["p99"]
    promises = [
        ("a calm shift arrives", calm["share"] == SHARE, f"{calm['share']} per cent after {calm['took_s']:.1f} s"),
        ("  without a detour", calm["took_s"] <= CALM_STEPS_S, f"{calm['took_s']:.1f} s, bound {CALM_STEPS_S:.0f} s; {calm['steps']}"),
        ("  its share is what it serves", abs(calm["south_served"] * 100 - SHARE) <= SHARE_OFF_BY,
         f"{calm['south_served']:.1%} of the answers"),
        ("  nobody goes unserved", unserved == 0, f"{unserved} of {sum(calm[n]['asked'] for n in ('before', 'moving', 'after'))}"),
        ("a site that becomes slow steps back", slowed["back_s"] <= BACK_WITHIN_S,
         f"after {slowed['back_s']:.1f} s, bound {BACK_WITHIN_S} s"),
        ("  to where it was good, or less", slowed["share"] < SLOWED_AT,
         f"{slowed['share']} per cent, {slowed['ended_s']:.1f} s after it was slowed; {slowed['steps']}"),
        ("  customers are served meanwhile", served >= LEAST_SERVED_WHEN_SLOWED,
         f"{served:.2%}; {moving['unserved']} of {moving['asked']} were not"),
        ("  and nobody goes unserved then", slowed["after"]["unserved"] == 0,
         f"{slowed['after']['unserved']} of {slowed['after']['asked']}; p99 {ratio:.1f} times what it was"),
    ]
    return calm, slowed, promises


def show(result):
    calm, slowed, promises = result
    print(f"{'':28}{'asked':>7}{'unserved':>10}{'p50':>8}{'p99':>9}")
    for title, part in (("calm", calm), ("slowed midway", slowed)):
        for name in ("before", "moving", "after"):
            row = part[name]
            print(f"{title + ', ' + name:28}{row['asked']:7}{row['unserved']:10}{row['p50']:5.0f} ms{row['p99']:6.0f} ms")
    for what, holds, found in promises:
        print(f"{'HELD' if holds else 'NOT HELD':10}{what:40}{found}")
    return 0 if all(holds for _, holds, _ in promises) else 1


if __name__ == "__main__":
    stage.main(main)
