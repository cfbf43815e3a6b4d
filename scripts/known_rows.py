#!/usr/bin/env python3
"""Rehearse the known experiments and put them side by side with ours into docs/flow-control.md.

    python3 scripts/known_rows.py BINARY [SEEDS]

Runs BINARY simulate scenarios/known/*.toml --seeds SEEDS --markdown docs/known-rows.md, and makes from it the short
table between the markers in docs/flow-control.md. Nothing here decides anything: whether a row holds is the simulator's
verdict, and its exit code is passed on.
"""

import glob
import re
import subprocess
import sys

from pages import FLOW_CONTROL, ROOT, natural, put, table

FULL = ROOT / "docs" / "known-rows.md"
BEGIN, END = "<!-- known rows: begin, written by `make known-rows` -->", "<!-- known rows: end -->"
HEAD = """# Known rows

Every figure that the research behind this project measured, beside what our simulator finds. Written by `make known-rows`;
what the columns mean is in [scenarios.md](scenarios.md). A row holds when the mean is within its tolerance of the known
figure, or the known figure lies between the least and the most of our seeds.

"""
LOADS = {"EXP1 at 1.2x": "1.2 ×", "EXP1 at 2x": "2 ×", "EXP1 at 4x": "4 ×", "EXP1 at 10x": "10 ×"}


def main():
    binary, seeds = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "20"
    files = sorted(glob.glob("scenarios/known/*.toml", root_dir=ROOT), key=natural)
    done = subprocess.run([binary, "simulate", *files, "--seeds", seeds, "--markdown", str(FULL)], cwd=ROOT)
    if done.returncode == 2:
        sys.exit(2)
    text = FULL.read_text()
    if not text.startswith(HEAD):
        FULL.write_text(HEAD + text)
    put(FLOW_CONTROL, BEGIN, END, short(stories(text), seeds))
    sys.exit(done.returncode)


def stories(text):
    """{story: ({law: {column: value}} of ours, [(law, figure, expected, found, verdict)])}"""
    found = {}
    for part in re.split(r"^### ", text, flags=re.M)[1:]:
        title, _, body = part.partition("\n")
        tables = [rows(text) for text in re.findall(r"(?:^\|.*\n?)+", body, flags=re.M)]
        found[title.strip()] = tables
    return found


def rows(text):
    lines = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.strip().splitlines()]
    head, *rest = [line for line in lines if not set("".join(line)) <= set("-: ")]
    return [dict(zip(head, line)) for line in rest]


def short(stories, seeds):
    out = [f"Means of {seeds} seeds, `known → found`; of ours the worst of the seeds. In bold what does not hold. All rows: "
           "[known-rows.md](known-rows.md).", ""]
    exp1 = {title: stories[title] for title in LOADS if title in stories}
    out += ["**EXP1**, goodput in per cent of capacity at so many times the capacity:", ""]
    out += grid(exp1, "goodput, of capacity", list(LOADS.values()))
    for title, tables in stories.items():
        if title in LOADS:
            continue
        wanted = figures_of(tables)
        out += ["", f"**{title}**:", ""] + matrix(tables, wanted)
    return "\n".join(out)


def grid(stories, figure, heads):
    laws = []
    for tables in stories.values():
        found = (row["law"] for row in tables[-1] if row["figure"] == figure)
        laws = list(dict.fromkeys([*laws, *found]))
    return table(["law", *heads], ([named(law), *(cell(tables, law, figure) for tables in stories.values())] for law in laws))


def matrix(tables, figures):
    laws = list(dict.fromkeys(row["law"] for row in tables[-1]))
    if len(figures) > len(laws):
        return table(["figure", *map(named, laws)], ([figure, *(cell(tables, law, figure) for law in laws)] for figure in figures))
    return table(["law", *figures], ([named(law), *(cell(tables, law, figure) for figure in figures)] for law in laws))


def figures_of(tables):
    """The figures that more than half of the laws have."""
    counts = {}
    for row in tables[-1]:
        counts[row["figure"]] = counts.get(row["figure"], 0) + 1
    laws = len({row["law"] for row in tables[-1]})
    return [figure for figure, count in counts.items() if count * 2 > laws]


def cell(tables, law, figure):
    for row in tables[-1]:
        if row["law"] == law and row["figure"] == figure:
            known = re.sub(r"\s*\(.*\)", "", row["expected"])
            mean = re.sub(r"\s*\(.*\)| at worst", "", row["found"])
            text = f"{known} → {mean}" if "overload.md" in row["expected"] else mean
            return text if row["verdict"] == "held" else f"**{text}**"
    return ""


def named(law):
    return "**ours**" if law == "sluss" else f"`{law}`"


main()
