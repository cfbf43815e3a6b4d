#!/usr/bin/env python3
"""Park one product under load: do the others notice? (`make load-park`)

What it measures and how to read it: loadtests/park_isolation/README.md.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import stage  # noqa: E402

HERE = Path(__file__).resolve().parent
PARKED, OTHERS = "horse-racing", ["sport", "casino"]
PRODUCTS = [PARKED, *OTHERS]
SERVICE_MS = 10
# What must hold.
MOST_P99_RATIO = 1.1
LEAST_SUCCESS = 0.995


def main():
    options = arguments()
    with stage.Stage() as here:
        play = Play(here, options)
        who = stage.provenance({"sluss": [play.binary, "--version"], "python": [sys.executable, "-V"]})
        play.start_all()
        windows = play.rounds()
        asked = play.stop_customers()
        result = judge(windows, asked, play)
        document = {"what": "one product parked in turns: p99 of the others", "provenance": who,
                    "options": {key: value for key, value in vars(options).items() if key != "keep"}, **result}
        show(document)
        if options.keep:
            print(f"\nwritten to {stage.keep('park-isolation', document, here.folder)}")
        return 1 if result["broken"] else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=6, help="of one window")
    parser.add_argument("--rate", type=float, default=150, help="requests per second and product")
    parser.add_argument("--rush", type=float, default=1, help="so many times that for the parked product while it is parked")
    parser.add_argument("--no-keep", dest="keep", action="store_false", help="do not write loadtests/results/")
    return parser.parse_args()


class Play:
    def __init__(self, here, options):
        self.here, self.options = here, options
        self.binary = stage.sluss_binary()
        self.port, self.admin, *self.backends = stage.free_ports(5)
        self.customers, self.reopenings = {}, []

    def start_all(self):
        for product, port in zip(PRODUCTS, self.backends):
            self.here.start(f"{product} backend", [sys.executable, HERE / "backend.py", port, SERVICE_MS], port)
        names = dict(zip(("HORSE", "SPORT", "CASINO"), self.backends))
        self.here.start_sluss(self.binary, HERE / "sluss.toml", self.port, self.admin, **names)
        for product in PRODUCTS:
            command = [sys.executable, HERE / "customers.py", self.port, product, self.options.rate, self.record(product)]
            self.customers[product] = self.here.start(f"{product} customers", command, talk=True)

    def record(self, product):
        return self.here.folder / f"{product}.txt"

    def rounds(self):
        """Open, parked, open, parked, ... and open once more. The windows, by kind."""
        time.sleep(4)
        windows = {"open": [], "parked": [], "reopening": []}
        for number in range(self.options.rounds):
            windows["open"].append(self.window())
            ordered = self.order("park")
            told_by = self.wait_for("parked")
            windows["parked"].append(self.window())
            print(f"round {number + 1}: parked within {told_by - ordered:.3f} s", end="", flush=True)
            reopened = self.order("reopen")
            self.reopen(reopened)
            windows["reopening"].append((reopened, time.monotonic()))
            time.sleep(0.5)
        windows["open"].append(self.window())
        return windows

    def window(self):
        began = time.monotonic()
        time.sleep(self.options.seconds)
        return began, time.monotonic()

    def order(self, order):
        at = time.monotonic()
        stage.order(self.admin, order, PARKED, f"load test: {order}")
        self.rush(self.options.rush if order == "park" else 1)
        return at

    def rush(self, times):
        if self.options.rush != 1:
            told = self.customers[PARKED].stdin
            told.write(f"{self.options.rate * times}\n".encode())
            told.flush()

    def horse(self):
        return next(product for product in stage.status(self.admin)["products"] if product["name"] == PARKED)

    def wait_for(self, state, patience_s=20):
        end = time.monotonic() + patience_s
        while self.horse()["state"] != state:
            if time.monotonic() > end:
                raise stage.Failed(f"{PARKED} is not {state} after {patience_s} s: {self.horse()}")
            time.sleep(0.01)
        return time.monotonic()

    def reopen(self, since):
        """Watch it come back: ramping first, then open."""
        seen, states = [], []
        while True:
            now, horse = time.monotonic() - since, self.horse()
            if not states or states[-1][1] != horse["state"]:
                states.append((round(now, 3), horse["state"]))
            if horse["ramp_seats"] is not None and (not seen or seen[-1][1] != horse["ramp_seats"]):
                seen.append((round(now, 3), horse["ramp_seats"]))
            if horse["state"] == "open":
                break
            if now > 20:
                raise stage.Failed(f"not open 20 s after reopening: {horse}")
            time.sleep(0.02)
        self.reopenings.append({"states": states, "ramp_seats": seen})
        print(f"; reopened: {', '.join(f'{state} at {at} s' for at, state in states)}", flush=True)

    def stop_customers(self):
        """Everything that was asked: by product, (due, sent late by, took, status, Retry-After)."""
        self.metrics = {name: value for name, value in stage.samples(self.admin).items()
                        if name.startswith(("sluss_admission_refusals_total", "sluss_admission_transitions_total"))
                        and value}
        for process in self.customers.values():
            process.terminate()
        asked = {}
        for product, process in self.customers.items():
            process.wait(timeout=10)
            said = self.here.log(f"{product} customers")
            if said:
                raise stage.Failed(f"the customers of {product}: {said}")
            rows = (line.split() for line in self.record(product).read_text().splitlines())
            asked[product] = sorted((float(due), float(late), float(took), int(status), retry == "1")
                                    for due, late, took, status, retry in rows)
        return asked


# --- judging ----------------------------------------------------------------------------------------------


def judge(windows, asked, play):
    """What came of it, and what should not have."""
    rounds, broken = [], []
    for number, parked in enumerate(windows["parked"]):
        one = {}
        for product in OTHERS:
            before, during, after = (look(asked[product], window) for window in
                                     (windows["open"][number], parked, windows["open"][number + 1]))
            reopening = look(asked[product], windows["reopening"][number])
            one[product] = {"open": before, "parked": during, "reopening": reopening,
                            "p50_ratio": during["p50_ms"] / before["p50_ms"],
                            "p99_ratio": during["p99_ms"] / before["p99_ms"],
                            # The same for two windows in which nothing was different: what the machine does by itself.
                            "p99_ratio_open_open": after["p99_ms"] / before["p99_ms"]}
        one[PARKED] = {"open": look(asked[PARKED], windows["open"][number]), "parked": refusals(asked[PARKED], parked)}
        rounds.append(one)
    ratios = [one[product]["p99_ratio"] for one in rounds for product in OTHERS]
    control = [one[product]["p99_ratio_open_open"] for one in rounds for product in OTHERS]
    summary = {
        "p99_ratio": stage.spread(ratios),
        "p99_ratio_by_product": {product: stage.spread([one[product]["p99_ratio"] for one in rounds]) for product in OTHERS},
        "p50_ratio": stage.spread([one[product]["p50_ratio"] for one in rounds for product in OTHERS]),
        "p99_ratio_open_open": stage.spread(control),
        # Over the whole run: windows, orders and ramps.
        "success": {product: sum(row[3] == 200 for row in asked[product]) / len(asked[product]) for product in OTHERS},
        "requests": {product: len(rows) for product, rows in asked.items()},
        "sent_late_p99_ms": {product: quantile([row[1] for row in rows], 0.99) for product, rows in asked.items()},
        "refused_p50_ms": stage.spread([one[PARKED]["parked"]["p50_ms"] for one in rounds]),
        "refused_p99_ms": stage.spread([one[PARKED]["parked"]["p99_ms"] for one in rounds]),
    }
    if summary["p99_ratio"]["median"] > MOST_P99_RATIO:
        broken.append(f"the median p99 ratio is {summary['p99_ratio']['median']:.3f}, more than {MOST_P99_RATIO}")
    for product, success in summary["success"].items():
        if success < LEAST_SUCCESS:
            broken.append(f"{success:.2%} of {product}'s requests succeeded, less than {LEAST_SUCCESS:.1%}")
    for number, one in enumerate(rounds):
        told = one[PARKED]["parked"]
        if told["mannered"] != told["requests"]:
            broken.append(f"round {number + 1}: {told['requests'] - told['mannered']} of {told['requests']} answers of "
                          f"the parked product were not 503 with Retry-After: {told['statuses']}")
    for number, seen in enumerate(play.reopenings):
        if [state for _, state in seen["states"]] != ["ramping", "open"]:
            broken.append(f"round {number + 1}: after reopening came {seen['states']}, not ramping and then open")
    return {"summary": summary, "broken": broken, "reopenings": play.reopenings, "metrics": play.metrics, "rounds": rounds}


def within(rows, window):
    return [row for row in rows if window[0] <= row[0] < window[1]]


def quantile(values_s, q):
    """In milliseconds."""
    return round(stage.quantile(sorted(values_s), q) * 1000, 3)


def look(rows, window):
    rows = within(rows, window)
    took = [row[2] for row in rows if row[3] == 200]
    return {"requests": len(rows), "succeeded": len(took), "p50_ms": quantile(took, 0.5), "p99_ms": quantile(took, 0.99)}


def refusals(rows, window):
    rows = within(rows, window)
    statuses = {}
    for row in rows:
        statuses[row[3]] = statuses.get(row[3], 0) + 1
    took = [row[2] for row in rows]
    return {"requests": len(rows), "mannered": sum(row[3] == 503 and row[4] for row in rows), "statuses": statuses,
            "p50_ms": quantile(took, 0.5), "p99_ms": quantile(took, 0.99)}


def show(document):
    options, summary = document["options"], document["summary"]
    text = lambda s, form="{:.3f}": f"{form} [{form} .. {form}]".format(s["median"], s["min"], s["max"])  # noqa: E731
    print(f"\n{options['rounds']} rounds of {options['seconds']:g} s open and {options['seconds']:g} s parked, "
          f"{options['rate']:g} requests/s and product"
          + (f", {options['rush']:g} times as many for the parked" if options["rush"] != 1 else "")
          + "; median [least .. greatest]")
    print(f"  p99 of sport and casino, parked / open    {text(summary['p99_ratio'])}")
    print(f"  the same of two open windows (noise)      {text(summary['p99_ratio_open_open'])}")
    print(f"  p50, parked / open                        {text(summary['p50_ratio'])}")
    for product in OTHERS:
        p99 = [one[product][kind]["p99_ms"] for one in document["rounds"] for kind in ("open", "parked")]
        print(f"  {product}: {summary['success'][product]:.3%} of {summary['requests'][product]} served; "
              f"p99 {text(stage.spread(p99), '{:.1f}')} ms")
    print(f"  refused while parked, p99                 {text(summary['refused_p99_ms'], '{:.1f}')} ms")
    print(f"  customers were late by (p99)              "
          + ", ".join(f"{product} {late} ms" for product, late in summary["sent_late_p99_ms"].items()))
    for sentence in document["broken"]:
        print(f"  BROKEN: {sentence}")
    if not document["broken"]:
        print("  all held")


if __name__ == "__main__":
    stage.main(main)
