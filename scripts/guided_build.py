#!/usr/bin/env python3
"""Build the release with what a run has shown: profile-guided optimisation (docs/decisions/0027).

    scripts/guided_build.py        # target/guided/release/sluss; two whole builds, a quarter of an hour on two cores

The first build counts how often each of its branches is taken while loadtests/peers/exercise.py uses it; the second is laid
out by that. Wants `llvm-profdata` of the compiler's own LLVM: rustup's component llvm-tools (added where rustup is there), or
Debian's package of the same number.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
GUIDED = TARGET / "guided"


def main():
    profdata = llvm_profdata()
    counts, profile = GUIDED / "counts", GUIDED / "sluss.profdata"
    shutil.rmtree(counts, ignore_errors=True)
    counting = build(GUIDED / "counting", f"-Cprofile-generate={counts}")
    subprocess.run([sys.executable, ROOT / "loadtests" / "peers" / "exercise.py", counting], check=True)
    counted = sorted(counts.glob("*.profraw"))
    if not counted:
        sys.exit(f"guided_build: the run left nothing in {counts}: did it end by itself?")
    subprocess.run([profdata, "merge", "-o", profile, *counted], check=True)
    print(f"guided_build: {build(GUIDED, f'-Cprofile-use={profile}')}")


def build(folder, flag):
    flags = f"{os.environ.get('RUSTFLAGS', '')} {flag}".strip()
    command = ["cargo", "build", "--release", "--bin", "sluss"]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "CARGO_TARGET_DIR": str(folder), "RUSTFLAGS": flags})
    return folder / "release" / "sluss"


def llvm_profdata():
    """That of the compiler's own LLVM: another may not be able to read what it counts."""
    said = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True, cwd=ROOT).stdout
    host, llvm = (re.search(rf"^{word}: (\S+)", said, re.M)[1] for word in ("host", "LLVM version"))
    root = subprocess.run(["rustc", "--print", "sysroot"], check=True, capture_output=True, text=True, cwd=ROOT).stdout.strip()
    major = llvm.split(".")[0]
    places = [f"{root}/lib/rustlib/{host}/bin/llvm-profdata", f"llvm-profdata-{major}"]
    if not any(map(shutil.which, places)) and shutil.which("rustup"):
        subprocess.run(["rustup", "component", "add", "llvm-tools"], check=False, cwd=ROOT)
    for place in filter(shutil.which, places):
        return place
    sys.exit(f"guided_build: there is no llvm-profdata of LLVM {major}: rustup component add llvm-tools, or apt-get install llvm-{major}")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as why:
        sys.exit(f"guided_build: {why}")
