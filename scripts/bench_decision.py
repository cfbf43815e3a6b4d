#!/usr/bin/env python3
"""What one decision costs in instructions, with nobody waiting and with a million: counted by callgrind, so the same on
a busy machine as on an idle one. Fails when a million cost more than 15 per cent more.

A decision is an arrival and the end of another request (benches/house/mod.rs). Caches are not counted: what they cost
tells `make bench` in nanoseconds.
"""

import json
import re
import subprocess
import sys

DECISIONS = 20_000
WAITING = [0, 1_000, 100_000, 1_000_000]
MOST = 1.15


def executable() -> str:
    command = ["cargo", "bench", "--bench", "instructions", "--no-run", "--message-format=json"]
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == "instructions" and message.get("executable"):
            return message["executable"]
    sys.exit("bench_decision: cargo built no `instructions`")


def instructions(program: str, waiting: int) -> float:
    callgrind = ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*measured*",
                 "--callgrind-out-file=/dev/null"]
    run = subprocess.run([*callgrind, program, str(waiting), str(DECISIONS)], capture_output=True, text=True)
    collected = re.search(r"Collected\s*:\s*(\d+)", run.stderr)
    if run.returncode != 0 or not collected or int(collected[1]) == 0:
        sys.exit(f"bench_decision: callgrind counted nothing:\n{run.stderr}")
    return int(collected[1]) / DECISIONS


def main() -> int:
    program = executable()
    print(f"{'waiting':>10} {'instructions a decision':>25} {'against none':>14}")
    counts = []
    for waiting in WAITING:
        counts.append(instructions(program, waiting))
        print(f"{waiting:>10,} {counts[-1]:>25.0f} {counts[-1] / counts[0]:>13.1%}", flush=True)
    return 0 if counts[-1] <= counts[0] * MOST else 1


if __name__ == "__main__":
    sys.exit(main())
