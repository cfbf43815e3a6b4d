#!/usr/bin/env python3
"""Have a build do what it will do in earnest, so that its compiler can see which parts of it are used (`make guided`).

    loadtests/peers/exercise.py BINARY

A reopening with all that goes with it (`sluss demo`: who waits, who is refused, who is let in by turns), then what proxies
are asked all day: the rows of the comparison, four seconds each. Nothing is measured.
"""

import subprocess
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]
import stage  # noqa: E402
from clients import measure  # noqa: E402
from house import OURS, House  # noqa: E402
from rows import ROWS, Work  # noqa: E402

SECONDS = 4


def main():
    binary = Path(sys.argv[1]).resolve()
    # First what is seldom, but must not be slow on the one day on which it matters.
    subprocess.run([binary, "demo", "--skip-naive", "--json"], check=True, stdout=subprocess.DEVNULL)
    with stage.Stage() as here:
        house = House(here, [OURS], None, binary)
        house.start_all()
        for key, row in ROWS.items():
            if isinstance(row, Work):
                print(f"exercise: {key}", flush=True)
                measure(house, OURS, row.client, SECONDS)


if __name__ == "__main__":
    try:
        main()
    except (stage.Failed, subprocess.CalledProcessError) as why:
        sys.exit(f"exercise: {why}")
