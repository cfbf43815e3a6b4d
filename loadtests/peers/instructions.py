#!/usr/bin/env python3
"""User-space instructions per request of Sluss, by callgrind: repeatable on a busy machine, blind to the kernel.

    python3 loadtests/peers/instructions.py [--scenario refused] [--top 40]

Needs Debian's `valgrind`. For judging a change: run it before and after.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import run as peers  # noqa: E402
from run import stage  # noqa: E402


def main():
    options = arguments()
    stage.find("valgrind", "valgrind")
    with stage.Stage() as here:
        bench = Observed(here, options)
        bench.start_all()
        for scenario in options.scenario or peers.SCENARIOS:
            bench.count(scenario)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", choices=peers.SCENARIOS, action="append")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--browser", action="store_true", help="send the headers of a browser, not only Host")
    parser.add_argument("--top", type=int, default=0, help="show so many functions")
    parser.add_argument("--dump", metavar="FILE", help="keep callgrind's own file as FILE.<scenario>")
    return parser.parse_args()


class Observed(peers.Bench):
    """The stage of the comparison, with Sluss under callgrind."""

    def start(self, name, command, port):
        if name == peers.OURS:
            dumps = self.here.folder / "callgrind.%p"
            command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={dumps}", *command]
        self.commands[name] = " ".join(str(word) for word in command)
        self.processes[name] = self.here.start(name, command, port)

    def count(self, scenario):
        """Count one scenario, after a second of warming up."""
        pid = self.processes[peers.OURS].pid
        self.load(scenario, 1)
        self.control("-z", pid)
        requests = self.load(scenario, self.options.seconds)
        self.control("-d", pid)
        dump = max(self.here.folder.glob(f"callgrind.{pid}.*"), key=lambda path: path.stat().st_mtime)
        counts = by_function(dump)
        if self.options.dump:
            Path(f"{self.options.dump}.{scenario}").write_bytes(dump.read_bytes())
        if self.options.top:
            show(counts, requests, self.options.top)
        print(f"{scenario}: {sum(counts.values()) / requests:,.0f} user instructions per request ({requests} requests)")

    def control(self, what, pid):
        done = subprocess.run(["callgrind_control", what, str(pid)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise stage.Failed(f"callgrind_control {what}: {done.stdout}{done.stderr}")

    def load(self, scenario, seconds):
        url = f"http://127.0.0.1:{self.ports[peers.OURS]}{peers.SCENARIOS[scenario]['path']}"
        command = [self.wrk, "-t", "1", "-c", str(self.options.connections), "-d", f"{seconds}s"]
        if self.options.browser:
            command += [word for name, value in peers.BROWSER.items() for word in ("-H", f"{name}: {value}")]
        said = subprocess.run([*command, url], capture_output=True, text=True, check=False)
        return self.check(scenario, peers.OURS, said)


def by_function(dump):
    """Instructions of each function itself. (callgrind_annotate charges everything to the first frame when
    counting began in the middle of a run.)"""
    names, counts, function, inclusive = {}, {}, None, False
    for line in dump.read_text().splitlines():
        if line.startswith("fn="):
            number, _, name = line[3:].partition(" ")
            function = names.setdefault(number, name)
        elif line.startswith("cfn="):
            number, _, name = line[4:].partition(" ")
            names.setdefault(number, name)
        elif line.startswith("calls="):
            # The next line is what was called, which counts for itself.
            inclusive = True
        elif re.match(r"[\d+*-]", line):
            if not inclusive:
                counts[function] = counts.get(function, 0) + int(line.split()[1])
            inclusive = False
    return counts


def show(counts, requests, most):
    for name, count in sorted(counts.items(), key=lambda pair: -pair[1])[:most]:
        print(f"  {count / requests:8.1f}  {name[:180]}")


if __name__ == "__main__":
    stage.main(main)
