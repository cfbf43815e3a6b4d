#!/usr/bin/env python3
"""Compare the limit that serves with the candidates it had to beat, and write the table into docs/limits-compared.md.

    python3 scripts/compare_limits.py BINARY [SEEDS]

Plays the stories of scenarios/flow/ that judge a limit, and the variations of them that flow_control.py makes. All laws run in our
own domain: the same queue, lending and ramp, from the same seeds. What a candidate does not hold fails nothing.
"""

import sys

import flow_control
from flow_control import FLOW, PLANTS, bounds, deciding, named, number, of_law, subject
from pages import ROOT, put, table

PAGE = ROOT / "docs" / "limits-compared.md"
BEGIN, END = "<!-- limits: begin, written by `make compare-limits` -->", "<!-- limits: end -->"
LAWS = ["sluss", "sluss:climb", "sluss:power", "sluss:slope"]


def main():
    binary, seeds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    flow_control.MADE.mkdir(parents=True, exist_ok=True)
    cells, files = flow_control.cell_files(), stories()
    played, _ = flow_control.played(binary, [*cells.values(), *files], seeds, LAWS)
    lines = [f"{seeds} seeds: the worst, and the mean in brackets. In bold what does not hold what is promised of ours, or is its goal.", ""]
    rows = cell_rows(cells, played) + [row for file in files for row in story_rows(played[file])]
    lines += table(["story", "figure", "promised", *(f"`{law}`" for law in LAWS)], rows, numbers_from=3)
    put(PAGE, BEGIN, END, "\n".join(lines))
    print("\n".join(lines))


def stories():
    both = [file for template in ("ratchet", "knee-moves") for file in flow_control.both_plants(template)]
    alone = [named(FLOW / f"{story}.toml") for story in ("constant", "pauses", "cold", "rare-and-long", "mix")]
    return [*both, *flow_control.step_files(), *flow_control.overload_files(), *alone]


def cell_rows(cells, played):
    """The grid of 24 cells comes down to the worst cell of each plant and the mean of all its means."""
    rows = []
    for plant, title in PLANTS.items():
        for nth, what in enumerate(("goodput, once found", "goodput, search included")):
            ours = [of_law(played[file], LAWS[0])[nth] for file in cells.values()]
            found = [worst_cell(cells, played, plant, law, nth) for law in LAWS]
            rows.append(["" if nth else f"any backend, {title.format('n')}", what, bounds(ours[0]), *found])
    return rows


def worst_cell(cells, played, plant, law, nth):
    found = {place: of_law(played[file], law)[nth] for place, file in cells.items() if place[0] == plant}
    worst, (_, seats, work) = min((one["least"], place) for place, one in found.items())
    mean = sum(one["mean"] for one in found.values()) / len(found)
    return bold(f"{number(worst)} at {seats} × {work} ms ({number(mean)})", all(holds(one) for one in found.values()))


def story_rows(story):
    """A row for each figure that is promised of ours; the queue's wait is the same law's everywhere."""
    rows, title = [], story["name"].removeprefix("flow: ")
    for nth, ours in enumerate(of_law(story, LAWS[0])):
        if ours["figure"] == "latency_p99_ms":
            continue
        found = [of_law(story, law)[nth] for law in LAWS]
        cells = [bold(f"{number(deciding(one))} ({number(one['mean'])})", holds(one)) for one in found]
        rows.append([title, subject(ours), bounds(ours), *cells])
        title = ""
    return rows


def holds(one):
    """As the simulator judges ours, the goal in place of the bound where there is one."""
    least, most = one["at_least"], one["at_most"]
    if one["goal"] is not None:
        least, most = (one["goal"], most) if least is not None else (least, one["goal"])
    return (least is None or one["least"] >= least) and (most is None or one["most"] <= most)


def bold(text, held):
    return text if held else f"**{text}**"


main()
