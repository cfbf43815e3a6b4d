#!/usr/bin/env python3
"""Sluss beside nginx, HAProxy, Envoy and Caddy, by turns, in one run (`make bench-peers`).

What is measured and how to read it: loadtests/peers/README.md; the table goes into docs/benchmarking.md.
"""

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import stage  # noqa: E402
import table  # noqa: E402
from clients import measure  # noqa: E402
from house import House, OURS, PEERS  # noqa: E402
from rows import ROWS  # noqa: E402


def main():
    options = arguments()
    began = time.monotonic()
    with stage.Stage() as here:
        bench = Bench(House(here, [OURS, *options.peers], options.tools, stage.sluss_binary(options.guided)), options)
        bench.house.start_all()
        document = {
            "what": "Sluss beside its peers: processor time per request, latency, memory",
            "provenance": bench.house.provenance({"wrk": ["wrk", "-v"], "h2load": ["h2load", "--version"]}),
            "options": {key: value for key, value in vars(options).items() if key not in ("keep", "tools")},
            "rows": {},
        }
        figures = []
        for key in options.rows:
            told, rounds = ROWS[key].run(bench, key)
            document["rows"][key] = rounds
            figures.append((key, told))
            for figure in told:
                print(figure.line(), flush=True)
        document["minutes"] = round((time.monotonic() - began) / 60, 1)
        document["thrown_away"] = bench.thrown_away
        document["commands"] = bench.house.commands
        text = table.text(document, figures)
        print(f"\n{text}")
        if options.keep:
            print(f"\nwritten to {stage.keep('peers', document, here.folder)}")
            if options.rows == list(ROWS):
                table.write(text, options.guided)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=listed(ROWS), default=list(ROWS), help=f"some of {','.join(ROWS)}")
    parser.add_argument("--peers", type=listed(PEERS), default=PEERS, help=f"some of {','.join(PEERS)}")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=1, help="of one proxy in one round")
    parser.add_argument("--idle", type=int, default=4000, help="connections that are idle where their memory is measured")
    parser.add_argument("--guided", action="store_true", help="what `make guided` has built, and not the plain release")
    parser.add_argument("--tools", help="where pip put Envoy and Caddy")
    parser.add_argument("--no-keep", dest="keep", action="store_false", help="write nothing into the repository")
    return parser.parse_args()


def listed(known):
    def read(text):
        words = [word for word in text.split(",") if word]
        if unknown := [word for word in words if word not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: known are {', '.join(known)}")
        return words or list(known)
    return read


class Bench:
    """What rows are given to work with."""

    def __init__(self, house, options):
        self.house, self.options, self.thrown_away = house, options, []

    @contextlib.contextmanager
    def fresh(self, name):
        """A house in which only this proxy and ours are, and nothing was asked yet."""
        with stage.Stage() as here:
            house = House(here, [name], self.options.tools, self.house.binary)
            house.start_all()
            yield house

    def measure(self, proxy, client, seconds):
        told = self.patiently(proxy, client, int(seconds) if seconds == int(seconds) else seconds)
        said = told.pop("said")
        if said:
            told["told"] = json.loads(said)
        return told

    def patiently(self, proxy, client, seconds):
        """Measure again when not every answer was what it should be: on a busy machine a proxy may run into a timeout, or
        Sluss refuse because it comes late to its own timer. What was thrown away is told."""
        for _ in range(TRIES - 1):
            try:
                return measure(self.house, proxy, client, seconds)
            except stage.Failed as why:
                self.thrown_away.append({"proxy": proxy, "client": str(client), "why": str(why)[-1500:]})
                print(f"  {proxy}: thrown away, {str(client)}", flush=True)
                time.sleep(1)
        return measure(self.house, proxy, client, seconds)


TRIES = 4


if __name__ == "__main__":
    stage.main(main)
