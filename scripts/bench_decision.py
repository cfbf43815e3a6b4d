#!/usr/bin/env python3
"""What one decision costs in instructions, with nobody else in line and with a million: counted by callgrind, so the same
on a busy machine as on an idle one. Fails when a million cost more than 15 per cent more.

A decision is an arrival that waits and the end of another request that lets somebody through, in a full house
(benches/house/mod.rs). Beside it the way of who finds a free seat where nobody waits, and what it costs when a limit
weighs what a window has shown. Caches are not counted: what they cost tells `make bench` in nanoseconds.
"""

import json
import re
import subprocess
import sys

DECISIONS = 20_000
WINDOWS = 200
# With three others each product has somebody in line: from there on only the length differs.
OTHERS = [0, 3, 1_000, 100_000, 1_000_000]
MOST = 1.15


def executable() -> str:
    command = ["cargo", "bench", "--bench", "instructions", "--no-run", "--message-format=json"]
    for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == "instructions" and message.get("executable"):
            return message["executable"]
    sys.exit("bench_decision: cargo built no `instructions`")


def instructions(program: str, what: str, times: int, others: int = 0) -> float:
    callgrind = ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*measured*",
                 "--callgrind-out-file=/dev/null"]
    run = subprocess.run([*callgrind, program, what, str(times), str(others)], capture_output=True, text=True)
    collected = re.search(r"Collected\s*:\s*(\d+)", run.stderr)
    if run.returncode != 0 or not collected or int(collected[1]) == 0:
        sys.exit(f"bench_decision: callgrind counted nothing:\n{run.stderr}")
    return int(collected[1]) / times


def main() -> int:
    program = executable()
    print(f"{instructions(program, 'passes', DECISIONS):>10.0f} a decision where a seat is free and nobody waits")
    print(f"{instructions(program, 'closes', WINDOWS):>10.0f} when a limit closes a window, its answers included")
    print(f"{'others':>10} {'instructions a decision':>25} {'against none':>14}")
    counts = []
    for others in OTHERS:
        counts.append(instructions(program, "waits", DECISIONS, others))
        print(f"{others:>10,} {counts[-1]:>25.0f} {counts[-1] / counts[0]:>13.1%}", flush=True)
    return 0 if counts[-1] <= counts[0] * MOST else 1


if __name__ == "__main__":
    sys.exit(main())
