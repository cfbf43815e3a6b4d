"""The tables as they stand in docs/benchmarking.md, each between its two markers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import stage  # noqa: E402

PAGE = stage.ROOT / "docs" / "benchmarking.md"
MARKERS = {
    False: ("<!-- peers: written by make bench-peers -->", "<!-- peers: end -->"),
    True: ("<!-- guided: written by make bench-peers GUIDED=1 -->", "<!-- guided: end -->"),
}


def text(document, figures):
    lines = [provenance(document), "", "| figure | aim | median [quartiles] | |", "|---|---|---|---|"]
    lines += [figure.line() for _, told in figures for figure in told]
    lines += ["", *medians(document)]
    return "\n".join(line for line in lines if line is not None)


def provenance(document):
    who, options = document["provenance"], document["options"]
    versions = "; ".join(f"{name}: {said.strip()}" for name, said in who["versions"].items())
    changed = " with changes that are not in it" if who["changed_since_commit"] else ""
    noise = [m["others_cores"] for rounds in document["rows"].values() for one in rounds for m in one.values()
             if isinstance(m, dict) and "others_cores" in m]
    busy = stage.spread(noise)["median"] if noise else 0
    return (f"{who['date'][:10]}, commit {who['commit']}{changed}, {who['machine']['cores']} cores ({who['machine']['cpu']}), "
            f"Linux {who['machine']['kernel'].split('-')[0]}; {options['rounds']} rounds of {options['seconds']:g} s, "
            f"{document['minutes']} minutes; others on the machine used {busy:.2f} cores (median). "
            f"{len(document['thrown_away'])} measurements were thrown away because not every answer was as it should be. {versions}.")


def medians(document):
    """What lies behind the ratios: microseconds of everybody, and memory."""
    names = ["sluss", "nginx", "haproxy", "envoy", "caddy"]
    rows = [(key, cells(rounds, names)) for key, rounds in document["rows"].items()]
    rows = [(key, told) for key, told in rows if any(told)]
    yield f"| medians | {' | '.join(names)} |"
    yield "|---|" + "--:|" * len(names)
    for key, told in rows:
        yield f"| {UNITS.get(key, '`' + key + '`, CPU µs per request')} | {' | '.join(told)} |"


UNITS = {
    "latency": "`latency`, added µs p50 / p99",
    "idle": "`idle`, bytes a connection at rest / after churn / after a burst / MB kept when all have gone",
    "crowd": "`crowd`, CPU µs per request with 1,000 asking / 64 beside 9,000 idle / 64 alone",
}


def cells(rounds, names):
    return [cell([one[name] for one in rounds if name in one]) for name in names]


def cell(told):
    if not told:
        return ""
    def middle(key):
        return stage.spread([one[key] for one in told])["median"]
    first = told[0]
    if "per_connection" in first:
        numbers = [f"{middle(key):,.0f}" for key in ("per_connection", "after_churn", "after_burst")]
        return " / ".join([*numbers, f"{middle('kept_when_all_have_gone') / 1e6:.1f}"])
    if "added_p50_us" in first:
        return f"{middle('added_p50_us'):.0f} / {middle('added_p99_us'):.0f}"
    if "few_us" in first:
        return f"{middle('us'):.1f} / {middle('few_us'):.1f} / {middle('alone_us'):.1f}"
    return f"{middle('us'):.1f}"


def write(table, guided):
    page, (begin, end) = PAGE.read_text(), MARKERS[guided]
    if begin not in page or end not in page:
        raise stage.Failed(f"{PAGE} has lost the markers between which the table goes: {begin}, {end}")
    before, after = page.split(begin)[0], page.split(end)[1]
    PAGE.write_text(f"{before}{begin}\n{table}\n{end}{after}")
