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

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]
import stage  # noqa: E402
from clients import Wrk  # noqa: E402
from house import OURS, PROXIED, REFUSED, House  # noqa: E402

SCENARIOS = {"proxied": Wrk(PROXIED), "refused": Wrk(REFUSED, status=503)}
# With --browser: the headers that a browser sends with every request, cookies included.
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "application/json, text/plain, */*",
    "Accept-Language": "sv-SE,sv;q=0.8,en-US;q=0.5,en;q=0.3",
    "Accept-Encoding": "gzip, deflate",
    "Referer": "http://bets.example/sport/",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
    "Cookie": "consent=yes; session=5f2d7c0a9be14b6f8a3d; theme=dark",
}


def main():
    options = arguments()
    stage.find("valgrind", "valgrind")
    with stage.Stage() as here:
        bench = Observed(here, [OURS], None)
        bench.options = options
        bench.start_all()
        for scenario in options.scenario or SCENARIOS:
            bench.count(scenario)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", choices=SCENARIOS, action="append")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--browser", action="store_true", help="send the headers of a browser, not only Host")
    parser.add_argument("--top", type=int, default=0, help="show so many functions")
    parser.add_argument("--admission", action="store_true", help="which part of them is admission's")
    parser.add_argument("--dump", metavar="FILE", help="keep callgrind's own file as FILE.<scenario>")
    return parser.parse_args()


class Observed(House):
    """The stage of the comparison, with Sluss under callgrind."""

    def start(self, name, command, port):
        if name == OURS:
            dumps = self.here.folder / "callgrind.%p"
            command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={dumps}", *command]
        self.commands[name] = " ".join(str(word) for word in command)
        self.processes[name] = self.here.start(name, command)
        self.here.wait_for_port(name, self.processes[name], port, 60)

    def count(self, scenario):
        """Count one scenario, after a second of warming up."""
        pid = self.processes[OURS].pid
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
        if self.options.admission:
            print(f"admission: {admissions_part(dump) * 100:.1f} % of the instructions in user mode")
        print(f"{scenario}: {sum(counts.values()) / requests:,.0f} user instructions per request ({requests} requests)")

    def control(self, what, pid):
        done = subprocess.run(["callgrind_control", what, str(pid)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise stage.Failed(f"callgrind_control {what}: {done.stdout}{done.stderr}")

    def load(self, scenario, seconds):
        client = SCENARIOS[scenario]
        client.connections = self.options.connections
        command = client.command(self, OURS, seconds)
        if self.options.browser:
            command[-1:-1] = [word for name, value in BROWSER.items() for word in ("-H", f"{name}: {value}")]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        return client.requests(said.stdout, seconds)


def admissions_part(dump):
    """Which part of the instructions lies in admission, and in what brings requests to it: by the function, or by the file
    that was inlined into another."""
    names, files, ours, total = {}, {}, 0, 0
    function = file = None
    inclusive = False
    for line in dump.read_text().splitlines():
        if match := re.match(r"c?(fn|fl|fi|fe)=(\(\d+\))(?: (.*))?$", line):
            kind, number, name = match.groups()
            known = names if kind == "fn" else files
            if name:
                known[number] = name
            if not line.startswith("c"):
                if kind == "fn":
                    function = known[number]
                else:
                    file = known[number]
        elif line.startswith("calls="):
            inclusive = True
        elif re.match(r"[\d+*-]", line):
            if not inclusive:
                cost = int(line.split()[1])
                total += cost
                is_ours = "admission::" in function or "proxy::admit" in function
                if is_ours or "src/admission/" in file or file.endswith("proxy/admit.rs"):
                    ours += cost
            inclusive = False
    return ours / total


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
