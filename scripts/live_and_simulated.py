#!/usr/bin/env python3
"""Play the Saturday with sockets and in made-up time, and put the two side by side.

    python3 scripts/live_and_simulated.py BINARY [SEED]

The same file, scenarios/saturday.toml, the same binary. Live is one run (a minute and a quarter); in made-up time there are
twenty, from SEED on, so that chance can be told from a difference. What is more than a tenth off the mean is marked, twice
where it also lies beyond all of the twenty.
"""

import json
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request

from pages import ROOT, table

SEEDS = 20
PRODUCTS = ("horse-racing", "sport", "casino")
# Figure of the simulator, what it is, and from when on: the demo counts customers' figures from the reopening.
REOPENING, END = 10, 55
FIGURES = {
    "journeys": ("journeys finished", REOPENING),
    "attempts": ("attempts", REOPENING),
    "latency_p50_ms": ("answer, median, ms", REOPENING),
    "latency_p99_ms": ("answer, 99th percentile, ms", REOPENING),
    "reached": ("attempts at the plant, whole run", 0),
    "wait_p95_ms": ("waited, 95th percentile, ms, whole run", 0),
}


def main():
    binary, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    made_up = simulated(binary, seed)
    met = live(binary, seed)
    rows, marked = [], 0
    for product in PRODUCTS:
        for figure, (title, _) in FIGURES.items():
            found, spread = met[product][figure], made_up[product][figure]
            mark = marks(found, spread)
            marked += bool(mark)
            between = f"{number(spread['least'])} to {number(spread['most'])}"
            rows.append([product, title, number(found), number(spread["mean"]), between, mark])
    print("\n".join(table(["product", "figure", "live", "made-up time, mean", "least to most", ""], rows, numbers_from=2)))
    print(f"\n{marked} of {len(rows)} differ by more than a tenth.")


def marks(found, spread):
    if found is None or spread["mean"] is None:
        return "nothing to compare"
    off = abs(found - spread["mean"]) > 0.1 * spread["mean"]
    return ("!!" if not spread["least"] <= found <= spread["most"] else "!") if off else ""


def simulated(binary, seed):
    """{product: {figure: what the simulator tells}}"""
    story = (ROOT / "scenarios" / "saturday.toml").read_text()
    story = re.sub(r"^\[\[expect\]\]\n(?:[^\[].*\n|\n)*", "", story, flags=re.M)
    for product in PRODUCTS:
        for figure, (_, since) in FIGURES.items():
            # A figure that is not there fails; none of these is ever zero where the Saturday is played.
            story += f'\n[[expect]]\nfigure = "{figure}"\nproduct = "{product}"\nfrom = "{since}s"\nto = "{END}s"\nat_least = 0.001\n'
    with tempfile.TemporaryDirectory() as folder:
        path, out = pathlib.Path(folder) / "saturday.toml", pathlib.Path(folder) / "figures.json"
        path.write_text(story)
        command = [binary, "simulate", str(path), "--seed", str(seed), "--seeds", str(SEEDS), "--against", "sluss"]
        done = subprocess.run([*command, "--json", str(out)], stdout=subprocess.DEVNULL)
        if done.returncode == 2:
            sys.exit(2)
        figures = json.loads(out.read_text())[0]["figures"]
    return {product: {one["figure"]: one for one in figures if one["product"] == product} for product in PRODUCTS}


def live(binary, seed):
    """{product: {figure: value}}, from the demo's own figures and the proxy's metrics."""
    admin = free_port()
    command = [binary, "demo", "--json", "--skip-naive", "--keep", "--seed", str(seed), "--admin", f"127.0.0.1:{admin}"]
    demo = subprocess.Popen([*command, "--listen", f"127.0.0.1:{free_port()}"], stdout=subprocess.PIPE, text=True)
    try:
        summary = document(demo.stdout)
        with urllib.request.urlopen(f"http://127.0.0.1:{admin}/metrics", timeout=10) as answer:
            metrics = answer.read().decode()
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(timeout=30)
    if summary["problems"]:
        print("\n".join(summary["problems"]), file=sys.stderr)
    found = {}
    for place, product in enumerate(PRODUCTS):
        told = summary["with"]["products"][place]
        found[product] = {
            "journeys": told["bets"],
            "attempts": told["attempts"],
            "latency_p50_ms": told["answer_ms"]["p50"],
            "latency_p99_ms": told["answer_ms"]["p99"],
            "reached": summary["with"]["plant"]["arrived"][place],
            "wait_p95_ms": waited(metrics, product, 0.95),
        }
    return found


def document(lines):
    """The first JSON document of what a program prints, which may go on running after it."""
    text = ""
    for line in lines:
        text += line
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            continue
    sys.exit("the demo ended without its figures")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def waited(metrics, product, quantile):
    """Of all that passed, those included that did not wait, in ms: evenly within a bucket of the histogram."""
    def samples(name, label):
        pattern = rf'^{name}\{{([^}}]*)\}} (\S+)$'
        for labels, value in re.findall(pattern, metrics, flags=re.M):
            if f'product="{product}"' in labels and (found := re.search(rf'{label}="([^"]*)"', labels)):
                yield found.group(1), float(value)

    upto = {}
    for bound, count in samples("sluss_admission_queue_seconds_bucket", "le"):
        upto[float(bound)] = upto.get(float(bound), 0) + count
    at_once = sum(count for word, count in samples("sluss_admission_verdicts_total", "verdict") if word == "proceed")
    wanted = quantile * (at_once + upto.get(float("inf"), 0))
    if wanted <= at_once:
        return 0.0
    below, from_s = at_once, 0.0
    for bound, count in sorted(upto.items()):
        if at_once + count >= wanted:
            part = (wanted - below) / (at_once + count - below)
            return 1000 * (from_s + part * (bound - from_s))
        below, from_s = at_once + count, bound
    return None


def number(value):
    return "–" if value is None else f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}"


main()
