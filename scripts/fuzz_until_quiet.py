#!/usr/bin/env python3
"""Fuzz targets until none of them has reached a new branch for ten minutes, and say what that took.

    scripts/fuzz_until_quiet.py [--quiet 600] [--most 3600] [--at-once 2] [TARGET...]

Builds with cargo-fuzz (docs/fuzzing.md), starts each target from its committed corpus and what was found since, and ends it when it
has been quiet for so long, breaks a promise, or has had its time. Prints a row for docs/fuzzing.md each; 1 when a promise broke.
New inputs land in fuzz/found/, those that break something in fuzz/artifacts/.
"""

import argparse
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

FUZZ = Path(__file__).resolve().parent.parent / "fuzz"
MACHINE = "x86_64-unknown-linux-gnu"
SEEN = re.compile(r"^#(\d+)\s+(\w+)\s+cov: (\d+)")


@dataclass
class Run:
    """One target, watched while the engine looks."""

    target: str
    tried: int = 0
    start: int = 0
    end: int = 0
    newest: float = 0.0
    began: float = 0.0
    ended: float = 0.0
    broke: str = ""

    def go(self, quiet, most):
        found, artifacts = FUZZ / "found" / self.target, FUZZ / "artifacts" / self.target
        for folder in (found, artifacts):
            folder.mkdir(parents=True, exist_ok=True)
        words = [FUZZ / "target" / MACHINE / "release" / self.target, found, FUZZ / "corpus" / self.target, "-max_len=4096", "-timeout=20",
                 f"-artifact_prefix={artifacts}/", f"-max_total_time={most}"]
        words += [f"-dict={words_of}" for words_of in [FUZZ / "dictionaries" / f"{self.target}.dict"] if words_of.exists()]
        self.began = self.newest = time.monotonic()
        engine = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
        threading.Thread(target=self.read, args=(engine.stderr,), daemon=True).start()
        while engine.poll() is None:
            time.sleep(1)
            if time.monotonic() - self.newest >= quiet:
                engine.terminate()
                engine.wait()
                break
        else:
            # The engine ends by itself with its time, and with a failure when a promise broke.
            if engine.returncode != 0:
                self.broke = f"broke a promise: fuzz/artifacts/{self.target}"
        self.ended = time.monotonic()
        return self

    def read(self, lines):
        for line in lines:
            seen = SEEN.match(line)
            if not seen:
                continue
            self.tried, branches = int(seen[1]), int(seen[3])
            if seen[2] == "INITED":
                self.start = branches
            if branches > self.end and seen[2] != "INITED":
                self.newest = time.monotonic()
            self.end = max(self.end, branches)

    def row(self):
        told = self.broke or f"none for {self.ended - self.newest:,.0f} s"
        return f"| `{self.target}` | {self.ended - self.began:,.0f} | {self.tried:,} | {self.start:,} | {self.end:,} | {told} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--quiet", type=int, default=600, help="seconds without a new branch after which it is enough")
    parser.add_argument("--most", type=int, default=3600, help="seconds that one target may take")
    parser.add_argument("--at-once", type=int, default=2)
    options = parser.parse_args()
    targets = options.targets or sorted(folder.name for folder in (FUZZ / "corpus").iterdir())
    for target in targets:
        subprocess.run(["cargo", "+nightly", "fuzz", "build", "-s", "none", target], check=True, cwd=FUZZ.parent)
    print("| target | seconds | inputs tried | branches at the start | at the end | new branches |\n|---|---|---|---|---|---|", flush=True)
    with ThreadPoolExecutor(options.at_once) as crew:
        runs = crew.map(lambda target: Run(target).go(options.quiet, options.most), targets)
        broken = 0
        for run in runs:
            print(run.row(), flush=True)
            broken += bool(run.broke)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
