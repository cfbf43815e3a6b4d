"""What the scripts that write tables into pages share."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FLOW_CONTROL = ROOT / "docs" / "flow-control.md"


def natural(name):
    """A key that sorts 2x before 10x."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def put(page, begin, end, table):
    """Replaces what stands between two markers of a page."""
    before, _, rest = page.read_text().partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        sys.exit(f"{page} has lost its markers {begin!r} and {end!r}")
    page.write_text(f"{before}{begin}\n{table}\n{end}{after}")


def table(head, rows, numbers_from=1):
    """A table in Markdown, its numbers to the right."""
    rule = "".join("---|" if column < numbers_from else "--:|" for column in range(len(head)))
    lines = ["| " + " | ".join(head) + " |", "|" + rule]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]
