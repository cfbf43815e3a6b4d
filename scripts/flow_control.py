#!/usr/bin/env python3
"""Measure what flow control promises, capacity never told, and write the table into docs/flow-control.md.

    python3 scripts/flow_control.py BINARY [SEEDS]

Plays scenarios/flow/*.toml, the variations of them that are made here, and two older stories, ours with SEEDS seeds (the
worst is printed) and the laws of others with OTHERS at most. What a story promises stands in its file; whether it holds is
the simulator's verdict, and its exit code is passed on.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

from pages import FLOW_CONTROL, ROOT, put, table

FLOW = ROOT / "scenarios" / "flow"
MADE = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "flow-control"
BEGIN, END = "<!-- flow control: begin, written by `make flow-control` -->", "<!-- flow control: end -->"
SEATS, WORK = (4, 8, 32, 200), (5, 30, 200)
YARDSTICK = "scenarios/flow/wallet-yardstick.toml"
PLANTS = {"seats": "{} seats", "knee": "a knee of {}"}
LAWS = ["vegas", "gradient2", "envoy", "failsafe", "aimd", "power:0.5/adaptive-lifo"]
# Theirs are for comparison: so many seeds show a law's kind of failure.
OTHERS = 3


def main():
    binary, seeds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 20
    MADE.mkdir(parents=True, exist_ok=True)
    (MADE / "simulate.txt").write_text("")
    cells, moves = cell_files(), {"ratchet": both_plants("ratchet"), "knee-moves": both_plants("knee-moves")}
    promised = [*overload_files(), *moves["ratchet"], *moves["knee-moves"], *step_files(), *other_files()]
    ours, code = played(binary, [*cells.values(), *promised], seeds, ["sluss"])
    yardstick, yardstick_code = played(binary, [YARDSTICK], seeds, ["none"])
    few = min(seeds, OTHERS)
    theirs = {}
    for (plant, seats, _), file in cells.items():
        theirs.setdefault((plant, seats), []).append(file)
    others = {}
    for (_, seats), files in theirs.items():
        others |= played(binary, files, few, [*LAWS, cheat(seats)])[0]
    others |= played(binary, [*moves["ratchet"], *moves["knee-moves"]], few, [*LAWS, cheat(20)])[0]
    lines = [f"Ours with {seeds} seeds, the worst printed; the laws of others with {few}. In bold what does not hold.", ""]
    lines += promises(worst_cell(cells, ours), [*(ours[file] for file in promised), yardstick[YARDSTICK]])
    lines += ["", *grids(cells, ours)]
    lines += ["", *compared(cells, moves, ours, others)]
    put(FLOW_CONTROL, BEGIN, END, "\n".join(lines))
    print("\n".join(lines))
    sys.exit(max(code, yardstick_code))


def cheat(seats):
    """The law that was told the capacity."""
    return f"fixed:{seats}/adaptive-lifo"


# What is played


def made(template, name, changes, folder=FLOW):
    """A variation of a story: each change is a line's beginning and what stands there instead, or None to drop it."""
    text = (folder / f"{template}.toml").read_text()
    for start, line in changes.items():
        pattern = rf"^{re.escape(start)}.*\n"
        found = len(re.findall(pattern, text, flags=re.M))
        if found != 1:
            sys.exit(f"{template}.toml has {found} lines that begin with {start!r}; one was to be changed")
        text = re.sub(pattern, lambda _: "" if line is None else line + "\n", text, flags=re.M)
    path = MADE / f"{name}.toml"
    path.write_text(f"# Made by scripts/flow_control.py from {template}.toml.\n{text}")
    return named(path)


def named(path):
    """As the command line gets it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def cell_files():
    """{(plant, seats, work in ms): file}"""
    return {(plant, seats, work): cell(plant, seats, work) for plant in PLANTS for seats in SEATS for work in WORK}


def cell(plant, seats, work):
    per_s = seats * 1000 / work
    search, measure = (max(20, round(answers / per_s)) for answers in (2_000, 20_000))
    engine = f"seats = {seats}" if plant == "seats" else f"knee = {seats}\ncontention = 0.1"
    return made("cells", f"cells-{plant}-{seats}-{work}ms", {
        "name = \"flow:": f'name = "flow: any backend, {PLANTS[plant].format(seats)}, {work} ms"',
        "lasts =": f'lasts = "{search + measure}s"',
        "measured =": f'measured = {{ from = "{search}s", to = "{search + measure}s" }}',
        "capacity =": f"capacity = {per_s:.2f}",
        "against =": f'against = ["{cheat(seats)}"]',
        "seats =": engine,
        "rate =": f"rate = {2 * per_s:.2f}",
        "work =": f'work = "{work}ms"',
    })


def overload_files():
    rate = 'rate = [{{ at = "0s", per_s = 600 }}, {{ at = "30s", per_s = {} }}]'
    name = 'name = "flow: overload at {}x"'
    loads = {"1.2": 1200, "2": None, "4": 4000, "10": 10000}
    return [
        named(FLOW / "overload.toml") if per_s is None else made("overload", f"overload-{load}x", {
            "name = \"flow:": name.format(load), "rate =": rate.format(per_s),
        })
        for load, per_s in loads.items()
    ]


def both_plants(template):
    """The story with its knee, and with as many seats."""
    title = re.search(r'^name = "(flow: .*)"$', (FLOW / f"{template}.toml").read_text(), flags=re.M).group(1)
    seats = made(template, f"{template}-seats", {
        "name = \"flow:": f'name = "{title}; the same with 20 seats"', "knee =": "seats = 20", "contention =": None,
    })
    return [named(FLOW / f"{template}.toml"), seats]


def step_files():
    unknown = made("step", "step-unknown", {
        "name = \"flow:": 'name = "flow: a step, nothing known"',
        "carried_knee": None,
        "rate =": 'rate = [{ at = "0s", per_s = 700 }, { at = "27s", per_s = 1400 }]',
    })
    return [named(FLOW / "step.toml"), unknown]


def other_files():
    stories = ["metastable-surge", "metastable-retry", "metastable-collapse", "ramp-warm", "three-products", "recovery"]
    older = ["scenarios/saturday.toml", cold_saturday(), "scenarios/S7-casino-hangs.toml"]
    return [named(FLOW / f"{story}.toml") for story in stories] + older


def cold_saturday():
    """Horse racing takes twice as long for the first fifteen of 45 seconds, in the wallet too: the yardstick is 93.7 journeys a
    second for what is left of them, 37.5 s, and 90 % of that are promised."""
    cold = 'at = "10s"\nstation = "horse-racing"\ncold = { factor = 2, lasts = "15s" }'
    return made("saturday", "saturday-cold", {
        'name = "the Saturday': 'name = "the Saturday of the demo, horse racing cold for 15 s"',
        "[[budget]]": f"[[happening]]\n{cold}\n\n[[budget]]",
        "at_least = 3600": "at_least = 3162",
        "goal = 4006": None,
    }, ROOT / "scenarios")


def played(binary, files, seeds, laws):
    """({file: story}, exit code)"""
    out = MADE / "figures.json"
    command = [binary, "simulate", *files, "--seeds", str(seeds), "--json", str(out), "--against", *laws]
    with open(MADE / "simulate.txt", "a") as log:
        code = subprocess.run(command, cwd=ROOT, stdout=log).returncode
    if code == 2:
        sys.exit(2)
    stories = json.loads(out.read_text())
    for story in stories:
        if any(violation for violation in story["violations"]):
            print(f"{story['file']}: {story['violations'][0]}", file=sys.stderr)
    return {story["file"]: story for story in stories}, code


# What is written


def worst_cell(cells, ours):
    """The row that the grids come down to."""
    found = {place: of_law(ours[file], "sluss")[0] for place, file in cells.items()}
    plant, seats, work = min(found, key=lambda place: found[place]["least"])
    one = found[plant, seats, work]
    where = f"any backend, the worst cell: {PLANTS[plant].format(seats)}, {work} ms"
    return [where, "goodput once the limit is found", bounds(one), judged(one), told(one, one["mean"])]


def promises(first, stories):
    """Every expectation that was judged, story by story: ours, and what a yardstick says of none."""
    rows = [first]
    for story in stories:
        title = story["name"].removeprefix("flow: ")
        for one in story["figures"]:
            if one["held"] is None:
                continue
            of = "" if one["law"] == "sluss" else f", law `{one['law']}`"
            rows.append([title, subject(one) + of, bounds(one), judged(one), told(one, one["mean"])])
            title = ""
        if story["violations"]:
            rows.append(["", "**the checks found something wrong**", "nothing", str(len(story["violations"])), ""])
    return table(["story", "figure", "promised", "found", "mean"], rows, numbers_from=2)


def judged(one):
    """What decides, in bold where it is not what was promised."""
    value = deciding(one)
    found = told(one, value)
    if kept(one):
        return found
    # What misses by less than is usually written is written out: nobody should read 20 of at most 20 in bold.
    bounds_told = [told(one, bound) for bound in (one["at_least"], one["at_most"], one["goal"]) if bound is not None]
    return f"**{value:.3f}{unit(one)}**" if found in bounds_told else f"**{found}**"


def grids(cells, ours):
    lines = []
    for plant, title in PLANTS.items():
        lines += [f"**Any backend, {title.format('n')}**: goodput in per cent of capacity at twice the capacity once the limit "
                  "has been found, and (over the whole run).", ""]
        rows = []
        for seats in SEATS:
            stories = [ours[cells[plant, seats, work]] for work in WORK]
            rows.append([title.format(seats), *(cell_told(*of_law(story, "sluss")) for story in stories)])
        lines += table(["backend", *(f"{work} ms" for work in WORK)], rows) + [""]
    return lines[:-1]


def cell_told(found, whole):
    text = f"{number(found['least'])} ({number(whole['least'])})"
    return text if found["held"] and whole["held"] else f"**{text}**"


def compared(cells, moves, ours, others):
    laws = ["sluss", *LAWS, "the cheat that knows"]

    def figure(stories, file, law, nth):
        """The nth expectation of a story, whichever cheat knows that story's capacity."""
        story = stories[file]
        cheats = [one["law"] for one in story["figures"] if one["law"].startswith("fixed:")]
        return of_law(story, cheats[0] if law == laws[-1] and cheats else law)[nth]

    def of(file, law, nth):
        return figure(ours if law == "sluss" else others, file, law, nth)

    rows = []
    for law in laws:
        row = ["**ours**" if law == "sluss" else law if law == laws[-1] else f"`{law}`"]
        for plant in PLANTS:
            found = sorted((of(file, law, 0)["least"], place) for place, file in cells.items() if place[0] == plant)
            (worst, (_, seats, work)), middle = found[0], found[len(found) // 2][0]
            row.append(f"{number(worst)} ({seats} × {work} ms), {number(middle)}")
        for file in moves["ratchet"]:
            low, high, drift, _, goodput = (of(file, law, nth) for nth in range(5))
            limits = f"{number(low['least'])} to {number(high['most'])}, {number(drift['most'])} %"
            row.append(f"{limits}, {number(goodput['least'])} %")
        for file in moves["knee-moves"]:
            shares = (of(file, law, nth)["least"] / capacity * 100 for nth, capacity in ((0, 350), (1, 1000)))
            row.append(", ".join(number(share) for share in shares))
        rows.append(row)
    head = ["law", "24 cells: worst of 12 with seats, their median", "the same with a knee", "hour, knee 20: limit p5 to p95, drift, goodput",
            "hour, 20 seats", "knee moves: goodput in per cent of 7's, of 20's", "with seats"]
    return ["**The same for others**, the worst of the seeds. *The cheat that knows* is a fixed limit at the true capacity with adaptive "
            "LIFO.", "", *table(head, rows)]


def of_law(story, law):
    return [one for one in story["figures"] if one["law"] == law]


def subject(one):
    words = [TITLES.get(one["figure"], one["figure"].replace("_", " "))]
    words += [one[whose] for whose in ("crowd", "product") if one[whose]]
    return ", ".join(words) + f", {number(one['from_s'])} to {number(one['to_s'])} s"


TITLES = {
    "goodput": "goodput",
    "goodput_per_s": "served per second",
    "plant_p99_ms": "p99 at the backend",
    "latency_p99_ms": "p99 from the attempt",
    "lost_s": "capacity lost",
    "first_served_ms": "first served after",
    "unserved": "attempts not served",
    "served": "attempts served",
    "journeys": "journeys finished",
    "duplicates": "bets sent twice",
}


def bounds(one):
    """What is promised: the goal, where there is one beyond what holds today."""
    least, most = one["at_least"], one["at_most"]
    if one["goal"] is not None:
        least, most = (one["goal"], most) if least is not None else (least, one["goal"])
    sides = [f"≥ {number(least)}" if least is not None else "", f"≤ {number(most)}" if most is not None else ""]
    text = " and ".join(side for side in sides if side) + unit(one)
    return text + " on average" if one["mean_is_meant"] else text


def deciding(one):
    if one["mean_is_meant"]:
        return one["mean"]
    return one["least"] if one["at_least"] is not None else one["most"]


def kept(one):
    """Whether it holds, and is what it is to become."""
    if one["goal"] is None or not one["held"]:
        return one["held"]
    return deciding(one) >= one["goal"] if one["at_least"] is not None else deciding(one) <= one["goal"]


def told(one, value):
    return "nothing to measure" if value is None else number(value) + unit(one)


def unit(one):
    return f" {one['unit']}" if one["unit"] not in ("", "/s") else one["unit"]


def number(value):
    """Three or four figures that count, as the simulator writes them."""
    if value is None:
        return "–"
    size = abs(value)
    decimals = 0 if size == round(size) or size >= 1000 else 1 if size >= 10 else 2
    return f"{value:.{decimals}f}"


if __name__ == "__main__":
    main()
