#!/usr/bin/env python3
"""Does the fuzzer find anything? Plants a panic into each target's own code and starts the engine from the committed corpus.

    scripts/fuzz_drill.py [SECONDS [TARGET...]]

In a copy of the last commit below the target folder. Prints a row for docs/fuzzing.md each: when it was found, if it was. One build serves
all: a planted panic wakes only when the environment says its name.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "fuzz-drill"
COPY, BUILT = FOLDER / "copy", FOLDER / "built"
P = "crate::planted"
SWITCH = """
/// Panics where it was planted, when the environment says this name.
pub fn planted(name: &str, when: bool) {
    static ON: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    if when && ON.get_or_init(|| std::env::var("PLANT").unwrap_or_default()) == name {
        panic!("planted {name}");
    }
}
"""


def plant(path, before, after):
    """Put `after` where `before` stands; a place that is gone must be chosen anew."""
    text = (COPY / path).read_text()
    if text.count(before) < 1:
        sys.exit(f"fuzz_drill: {path} has no longer: {before}")
    (COPY / path).write_text(text.replace(before, after, 1))


def plant_all():
    """One in each target's own code, on a condition that no committed input meets."""
    plant('src/proxy/classify.rs','            (b\'%\', Some(high), Some(low)) => {\n',f'            (b\'%\', Some(high), Some(low)) => {{\n{P}("request", high == 7 && low == 15);\n')
    plant('src/proxy/upload.rs','                Some(Ok(frame)) => {\n                    upload.held.grow',f'                Some(Ok(frame)) => {{\n{P}("conversation", frame.trailers_ref().is_some_and(|t| t.len() >= 2));\n                    upload.held.grow')
    plant('src/proxy/reads/rules.rs','            b"s-maxage" => {\n',f'            b"s-maxage" => {{\n{P}("answer", value.starts_with(b"\\"") && self.revalidate);\n')
    plant('src/proxy/proxy_header.rs','            told => Ok((bytes, told.map(|told| told.source.ip().to_canonical()))),',f'            told => Ok((bytes, told.map(|told| {{ {P}("proxy_header", told.source.is_ipv6() && told.source.ip().to_canonical().is_ipv4()); told.source.ip().to_canonical() }}))),')
    plant('src/proxy/identity/tokens.rs','            Some(Value::Number(number)) => number.to_string(),',f'            Some(Value::Number(number)) => {{ {P}("token", number.is_f64()); number.to_string() }}')
    plant('src/proxy/identity/sessions.rs','    name.eq_ignore_ascii_case(b"max-age")',f'    {P}("cookie", name.eq_ignore_ascii_case(b"max-age") && value.starts_with(b"-") && value.len() > 3);\n    name.eq_ignore_ascii_case(b"max-age")')
    plant('src/proxy/event/pointer.rs','    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {\n',f'    fn visit_f64<E: Error>(self, v: f64) -> Result<(), E> {{\n{P}("pointer", self.at_the_place() && self.in_list && v < 0.0);\n')
    plant('src/proxy/event.rs','            Found::Text(text) => text.trim().parse().ok(),',f'            Found::Text(text) => {{ let n: Option<u64> = text.trim().parse().ok(); {P}("body", n.is_some_and(|n| n > u64::from(u32::MAX))); n }}')
    plant('src/proxy/headers.rs','hop.parse::<SocketAddr>().map(|with_port| with_port.ip())',f'hop.parse::<SocketAddr>().map(|with_port| {{ {P}("forwarded", with_port.is_ipv6() && with_port.port() == 0); with_port.ip() }})')
    plant('src/proxy/trace.rs','    let dashes = ',f'    {P}("trace", version == b"fe" && ends && !rest.is_empty());\n    let dashes = ')
    plant('src/proxy/answer/weights.rs','    sum.map_or(0',f'    {P}("reader", fraction.len() == 3 && sum.is_some_and(|s| s > 1000));\n    sum.map_or(0')
    plant('src/config/units.rs','        Some(0) => Err',f'        Some(0) if {{ {P}("config", unit == "GiB"); false }} => Ok(0),\n        Some(0) => Err')
    plant('src/config/schedule.rs','        margin if margin <= MOST_MARGIN => Ok(margin),',f'        margin if margin <= MOST_MARGIN => {{ {P}("schedule", margin == MOST_MARGIN); Ok(margin) }}')
    plant('src/sim/scenario/values.rs','    let sum: u32 = shares.iter().sum();',f'    let sum: u32 = shares.iter().sum();\n    {P}("scenario", sum > 100 && shares.len() > 2);')
    plant('src/admin/events.rs','        (_, Some(sooner)) => from.checked_sub(by(sooner)?),',f'        (_, Some(sooner)) => {{ let d = by(sooner)?; {P}("admin", d.as_secs() > 3600); from.checked_sub(d) }}')
    plant('src/proxy/access_log/line.rs',"                    b'\"' | b'\\\\' => self",f"                    b'\"' | b'\\\\' if {{ {P}(\"log_line\", text.windows(2).any(|w| w == b\"\\\\\\xff\")); false }} => {{}}\n                    b'\"' | b'\\\\' => self")


def main():
    """Copy, plant, build, look."""
    seconds, targets = int((sys.argv[1:2] or ["60"])[0]), sys.argv[2:]
    subprocess.run(f"rm -rf {COPY} && mkdir -p {COPY} && git archive HEAD | tar x -C {COPY}", shell=True, check=True, cwd=ROOT)
    with open(COPY / "src/lib.rs", "a") as file:
        file.write(SWITCH)
    plant_all()
    build = ["cargo", "+nightly", "fuzz", "build", "-s", "none", "--codegen-units", "16", "--target-dir", str(BUILT)]
    subprocess.run(build, check=True, cwd=COPY)
    programs = next(BUILT.glob("*/release"))
    missed = [name for name in targets or sorted(path.name for path in (ROOT / "fuzz/corpus").iterdir()) if not look(programs, name, seconds)]
    if missed:
        sys.exit(f"fuzz_drill: not found in {seconds} s: {', '.join(missed)}")


def look(programs, name, seconds):
    """Whether the engine finds what was planted for a target, and not before it has looked."""
    found = FOLDER / "found" / name
    found.mkdir(parents=True, exist_ok=True)
    command = [programs / name, found, ROOT / "fuzz/corpus" / name, f"-max_total_time={seconds}", "-max_len=4096"]
    began = time.monotonic()
    done = subprocess.run([*command, f"-artifact_prefix={found}/"], env=os.environ | {"PLANT": name}, capture_output=True, check=False)
    was_found = f"planted {name}".encode() in done.stderr
    print(f"| `{name}` | {f'{time.monotonic() - began:.0f} s' if was_found else 'not found'} |", flush=True)
    return was_found


main()
