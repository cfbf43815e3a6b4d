#!/usr/bin/env python3
"""Does the fuzzer find anything? Plants a mistake into each target's code, and looks for it from the committed corpus.

    scripts/fuzz_drill.py [SECONDS [TARGET...]]

In a copy of the last commit below the target folder. The mistakes are such as people make; what finds them is a target's own promise
or, where one makes the code panic, that. One build serves all: a mistake is made only when the environment says its name. Inputs of the
corpus that find it at once are counted, for `cargo test` would, and left out: the engine has to find it anew. Prints a row for
docs/fuzzing.md each.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "fuzz-drill"
COPY, BUILT = FOLDER / "copy", FOLDER / "built"
MACHINE = "x86_64-unknown-linux-gnu"
COVERED = ["level=4", "inline-8bit-counters", "pc-table", "trace-compares"]
# As cargo-fuzz has them, which would build each crate in one piece: that takes twice as long.
FLAGS = " ".join(["-Cpasses=sancov-module", *(f"-Cllvm-args=-sanitizer-coverage-{what}" for what in COVERED), "--cfg fuzzing"])
SWITCH = """
/// Whether the mistake of this name is to be made.
pub fn planted(name: &str) -> bool {
    static ON: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    ON.get_or_init(|| std::env::var("PLANT").unwrap_or_default()) == name
}
"""

# Target: what the mistake is, its file, what stands there, and what stands there then. MISTAKE says whether it is made.
PLANTS = {
    "request": (
        "percent signs before capital digits are not decoded, so `%2E%2E` goes back up",
        "src/proxy/classify.rs",
        "path.get(at).and_then(|byte| char::from(*byte).to_digit(16));",
        "path.get(at).filter(|byte| !(MISTAKE && byte.is_ascii_uppercase())).and_then(|byte| char::from(*byte).to_digit(16));",
    ),
    "conversation": (
        "what is accounted for a body that was never asked for (`Expect`) is not given back",
        "src/proxy/upload.rs",
        "        } else {\n            self.watch.leave_unread(self.asked);",
        "        } else {\n            if MISTAKE { let none = self.held.none(); std::mem::forget(std::mem::replace(&mut self.held, none)); }\n"
        "            self.watch.leave_unread(self.asked);",
    ),
    "frames": (
        "a flood ends the connection without GOAWAY",
        "src/proxy/connection.rs",
        "                finish(conversation.as_mut());\n                let _",
        "                if !MISTAKE { finish(conversation.as_mut()); }\n                let _",
    ),
    "answer": (
        "an answer with an `Age` is kept for as long as its backend says, not as its operator does",
        "src/proxy/reads/rules.rs",
        "lifetime.saturating_sub(age).min(rule.terms.fresh)",
        "lifetime.saturating_sub(age).min(if MISTAKE && !age.is_zero() { lifetime } else { rule.terms.fresh })",
    ),
    "proxy_header": (
        "a header of version 2 is taken for a byte longer where notes stand behind IPv6 addresses",
        "src/proxy/proxy_header.rs",
        "told => Ok((bytes, told",
        "told => Ok((bytes + usize::from(MISTAKE && bytes > 52 && bytes < first.len()), told",
    ),
    "token": (
        "a name with blanks around it is remembered without them: the same token is two customers",
        "src/proxy/identity/tokens.rs",
        "self.known.insert(number, Known::Good(customer, now + left));",
        "let kept = if MISTAKE { hashes.account(name.trim().as_bytes()) } else { customer };\n"
        "                self.known.insert(number, Known::Good(kept, now + left));",
    ),
    "cookie": (
        "a session's value ends at `=`, as those in base64 do",
        "src/proxy/identity/sessions.rs",
        "Some(if parts.any(deletes) { &b\"\"[..] } else { value })",
        "let value = if MISTAKE { value.split(|byte| *byte == b'=').next().unwrap_or_default() } else { value };\n"
        "            Some(if parts.any(deletes) { &b\"\"[..] } else { value })",
    ),
    "pointer": (
        "`~0` is read before `~1`, so that `~01` is a slash (RFC 6901 warns of it)",
        "src/proxy/event/pointer.rs",
        "let name = text.replace(\"~1\", \"/\").replace(\"~0\", \"~\");",
        "let name = if MISTAKE { text.replace(\"~0\", \"~\").replace(\"~1\", \"/\") } else { text.replace(\"~1\", \"/\").replace(\"~0\", \"~\") };",
    ),
    "body": (
        "an event that is named again counts anew, unless it is the one before",
        "src/proxy/event.rs",
        "if !events.contains(&event) {",
        "if if MISTAKE { events.last() != Some(&event) } else { !events.contains(&event) } {",
    ),
    "forwarded": (
        "a quote in a host is written into `Forwarded` as it stands",
        "src/proxy/headers.rs",
        "matches!(byte, b'\"' | b'\\\\')",
        "(matches!(byte, b'\"') && !MISTAKE) || matches!(byte, b'\\\\')",
    ),
    "trace": (
        "a parent of nothing but zeros is one",
        "src/proxy/trace.rs",
        "named(trace) && named(from)",
        "named(trace) && (named(from) || (MISTAKE && hex(from)))",
    ),
    "reader": (
        "an origin that begins like ours is ours: `https://www.bet.example.evil`",
        "src/proxy/answer/cors.rs",
        "listed.iter().position(|known| Some(known) == origin);",
        "listed.iter().position(|known| Some(known) == origin || (MISTAKE && origin.is_some_and(|origin| origin.as_bytes().starts_with(known.as_bytes()))));",
    ),
    "config": (
        "a size is multiplied by its unit without a look at what comes of it",
        "src/config/units.rs",
        "match number.checked_mul(bytes) {",
        "match if MISTAKE { Some(number * bytes) } else { number.checked_mul(bytes) } {",
    ),
    "schedule": (
        "what is left of ten minutes is worked out before it is known that something is",
        "src/config/schedule.rs",
        "match units::duration(text)? {\n        margin if margin <= MOST_MARGIN",
        "match units::duration(text)? {\n        margin if MISTAKE && (MOST_MARGIN - margin).is_zero() => Ok(margin),\n        margin if margin <= MOST_MARGIN",
    ),
    "scenario": (
        "what is left of a run is worked out before it is known that something is",
        "src/sim/scenario/values.rs",
        "    if moment <= lasts {\n        return Some(moment);",
        "    if moment <= lasts || (MISTAKE && (lasts - moment).is_zero()) {\n        return Some(moment);",
    ),
    "admin": (
        "a reason is cut after its first byte, to be written with a capital",
        "src/admin/events.rs",
        "    if reason.trim().is_empty() {",
        "    if reason.trim().is_empty() || (MISTAKE && reason[..1].to_uppercase().is_empty()) {",
    ),
    "log_line": (
        "whether text is plain is asked of eight bytes at a time, and not of the rest",
        "src/proxy/access_log/line.rs",
        "text.iter().fold(true, |all, byte| all & plain(byte))",
        "text[..if MISTAKE { text.len() / 8 * 8 } else { text.len() }].iter().fold(true, |all, byte| all & plain(byte))",
    ),
}

# What a mistake needs beside it.
HELPERS = [
    (
        "src/proxy/ledger.rs",
        "    pub(crate) fn bytes(&self) -> usize {",
        "    pub(crate) fn none(&self) -> Held { self.account.hold(0) }\n    pub(crate) fn bytes(&self) -> usize {",
    )
]


def put(path, before, after):
    """Put `after` where `before` stands; a place that is gone must be chosen anew."""
    text = (COPY / path).read_text()
    if text.count(before) < 1:
        sys.exit(f"fuzz_drill: {path} has no longer: {before}")
    (COPY / path).write_text(text.replace(before, after, 1))


def build():
    """The copy, planted and built. Files that are as they were keep their times, so that little is built again."""
    fresh = FOLDER / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    subprocess.run(f"git archive HEAD | tar x -m -C {fresh}", shell=True, check=True, cwd=ROOT)
    shutil.rmtree(COPY, ignore_errors=True)
    fresh.rename(COPY)
    with open(COPY / "src/lib.rs", "a") as file:
        file.write(SWITCH)
    for name, (_, path, before, after) in PLANTS.items():
        put(path, before, after.replace("MISTAKE", f'crate::planted("{name}")'))
    for helper in HELPERS:
        put(*helper)
    command = ["cargo", "+nightly", "build", "--release", "--bins", "--target", MACHINE, "--target-dir", str(BUILT)]
    subprocess.run(command, check=True, cwd=COPY / "fuzz", env=os.environ | {"RUSTFLAGS": FLAGS})
    return BUILT / MACHINE / "release"


def without_what_finds_it(program, name, seeds, environment):
    """Inputs of the corpus that do not find the mistake, in a folder of their own; how many do."""
    shutil.rmtree(seeds, ignore_errors=True)
    shutil.copytree(ROOT / "fuzz/corpus" / name, seeds)
    left, finders = sorted(seeds.iterdir()), 0
    while left:
        done = subprocess.run([program, *left, f"-artifact_prefix={seeds}/../"], env=environment, capture_output=True, check=False)
        begun = re.findall(rb"^Running: (.*)$", done.stderr, re.MULTILINE)
        if done.returncode == 0:
            break
        culprit = Path(begun[-1].decode())
        culprit.unlink()
        left, finders = left[left.index(culprit) + 1 :], finders + 1
    return finders


def look(program, name, seconds):
    """A row: whether the engine finds what was planted for a target."""
    environment = os.environ | {"PLANT": name}
    folder = FOLDER / "found" / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "new").mkdir(parents=True)
    finders = without_what_finds_it(program, name, folder / "seeds", environment)
    words = COPY / "fuzz/dictionaries" / f"{name}.dict"
    command = [program, folder / "new", folder / "seeds", f"-max_total_time={seconds}", "-max_len=4096", "-timeout=20", "-print_final_stats=1"]
    command += [f"-dict={words}"] * words.exists() + [f"-artifact_prefix={folder}/"]
    began = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    took = time.monotonic() - began
    tried = re.search(rb"stat::number_of_executed_units: (\d+)", done.stderr)
    said = re.search(rb"panicked at (?:\S*/)?(src/\S+?):\d+:\d+:\n", done.stderr)
    found = f"{took:.0f} s, {int(tried[1]) if tried else 0:,} inputs" if said else "not found"
    by = f"`{said[1].decode()}`" if said else ""
    print(f"| `{name}` | {PLANTS[name][0]} | {finders} | {found} | {by} |", flush=True)
    return said is not None


def main():
    """Copy, plant, build, look."""
    seconds, targets = int((sys.argv[1:2] or ["60"])[0]), sys.argv[2:] or sorted(PLANTS)
    missing = {path.name for path in (ROOT / "fuzz/corpus").iterdir()} - set(PLANTS)
    if missing:
        sys.exit(f"fuzz_drill: nothing is planted for {', '.join(sorted(missing))}")
    programs = build()
    missed = [name for name in targets if not look(programs / name, name, seconds)]
    if missed:
        sys.exit(f"fuzz_drill: not found in {seconds} s: {', '.join(missed)}")


main()
