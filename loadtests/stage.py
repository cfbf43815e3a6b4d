"""What every load test stands on: processes that are always stopped, free ports, processor time, and who measured where.

Standard library only. Linux only: processor time is read from /proc.
"""

import contextlib
import http.client
import json
import os
import platform
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """The run cannot be believed or did not happen; the text says why."""


class Stage:
    """A temporary folder and the processes started in it. Leaving it stops them, whatever happened."""

    def __enter__(self):
        # SIGTERM ends the run the way Ctrl-C does, so that whoever stops it leaves nothing behind either.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        self.folder = Path(tempfile.mkdtemp(prefix="sluss-load-"))
        self.running = []
        return self

    def __exit__(self, *_):
        for process in reversed(self.running):
            if process.poll() is None:
                process.terminate()
        for process in self.running:
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                # Its own session, so that workers which outlived their master go too.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, name, text):
        """Put a file into the folder."""
        path = self.folder / name
        path.write_text(text)
        return path

    def start(self, name, command, port=None, talk=False):
        """Start a process; its output goes to NAME.log. With a port, wait until it listens there. With `talk`, its
        standard input is a pipe."""
        log = open(self.folder / f"{name}.log", "wb")
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE if talk else subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()
        self.running.append(process)
        if port:
            self.wait_for_port(name, process, port)
        return process

    def start_sluss(self, binary, template, port, admin, first=(), **words):
        """Start Sluss by a configuration that is made from a template, behind the words `first`; return when it takes
        requests and orders."""
        words = {"FOLDER": self.folder, "PORT": port, "ADMIN": admin, **words}
        config = self.write("sluss.toml", fill(template, words))
        process = self.start("sluss", [*first, binary, "run", "--config", config])
        wait_until_ready(admin)
        return process

    def wait_for_port(self, name, process, port, patience_s=10.0):
        """Return when somebody listens; fail with the process's own words when nobody does."""
        end = time.monotonic() + patience_s
        while time.monotonic() < end and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=0.2):
                return
            time.sleep(0.02)
        raise Failed(f"{name} does not listen on port {port}:\n{self.log(name)}")

    def log(self, name, most=4000):
        """The end of what a process said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-most:]


def free_ports(count):
    """Ports that nobody listens on now, outside the range the kernel hands to clients if there is room below it."""
    try:
        low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        low = 32768
    ports, candidate = [], max(low // 2, 10000) + os.getpid() % 4000
    while len(ports) < count:
        candidate += 1
        if candidate >= 65000:
            raise Failed("no free ports")
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", candidate))
            ports.append(candidate)
    return ports


def fill(template, values):
    """Put values where the template has @NAME@."""
    text = Path(template).read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    left = re.search(r"@[A-Z_]+@", text)
    if left:
        raise Failed(f"{template} wants {left.group()}, which nobody gave")
    return text


def find(command, package):
    """A command's path; Debian puts servers where ordinary users do not look."""
    path = shutil.which(command, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if not path:
        raise Failed(f"{command} is missing: apt-get install {package}")
    return path


def sluss_binary(guided=False):
    """The release build, or the one that was laid out by what a run of it has shown."""
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    binary = (folder / "guided" if guided else folder) / "release" / "sluss"
    if not binary.exists():
        raise Failed(f"there is no {binary}: {'make guided' if guided else 'cargo build --release'}")
    return binary


# --- HTTP ------------------------------------------------------------------------------------------------


def ask(port, path, method="GET", body=None, headers=None):
    """One request on a connection of its own: status, headers, body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def order(admin_port, order, product, reason):
    """Give an order over the admin API."""
    body = json.dumps({"order": order, "product": product, "reason": reason, "who": "load test"})
    status, _, text = ask(admin_port, "/api/v1/orders", "POST", body, {"Content-Type": "application/json"})
    if status != 200:
        raise Failed(f"the order {order} {product} was answered {status}: {text.decode(errors='replace')}")


def status(admin_port):
    """The status document of the admin API."""
    return json.loads(ask(admin_port, "/api/v1/status")[2])


def wait_until_ready(admin_port, patience_s=10.0):
    """Return when Sluss takes requests and orders."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if ask(admin_port, "/readyz")[0] == 200:
                return
        time.sleep(0.02)
    raise Failed("Sluss did not become ready")


def scrape(admin_port):
    """What /metrics says, read and not looked at: reading numbers out of it takes Python 20 ms of a core."""
    return len(ask(admin_port, "/metrics")[2])


def samples(admin_port):
    """Everything on /metrics, as {'name{labels}': value}."""
    lines = ask(admin_port, "/metrics")[2].decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


# --- processor time --------------------------------------------------------------------------------------


def family(pid):
    """A process and all its descendants that live."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
    members, grew = {pid}, True
    while grew:
        more = {child for child, parent in parents.items() if parent in members} - members
        members, grew = members | more, bool(more)
    return members


def cpu_ticks(pid):
    """(user, system) ticks of a process and all its descendants that live."""
    ticks = [0, 0]
    for member in family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
            ticks = [ticks[0] + int(fields[11]), ticks[1] + int(fields[12])]
    return tuple(ticks)


def cpu_threads(pids):
    """Nanoseconds that each thread of these processes has run, in user mode and in the kernel: {(thread, name): ns}. What
    the ticks of /proc/PID/stat are made from, without their rounding to 10 ms."""
    threads = {}
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*"):
            with contextlib.suppress(OSError):
                name = (task / "comm").read_text().strip()
                threads[int(task.name), name] = int((task / "schedstat").read_text().split()[0])
    return threads


def private_bytes(pids):
    """Bytes of memory that these processes have to themselves, and their fair part of what they share."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def machine_busy_s():
    """Seconds that all processors together have worked since boot, for anybody."""
    fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_S


def wait_for_quiet(most_cores, patience_s):
    """Wait until the rest of the machine uses less than so many cores, at most so long. What it uses now."""
    end = time.monotonic() + patience_s
    while True:
        before, at = machine_busy_s(), time.monotonic()
        time.sleep(0.5)
        used = (machine_busy_s() - before) / (time.monotonic() - at)
        if used <= most_cores or time.monotonic() >= end:
            return used


# --- what goes into a result -----------------------------------------------------------------------------


def spread(values):
    """Median, least and greatest."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    median = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    return {"median": median, "min": ordered[0], "max": ordered[-1]}


def quantile(ordered, q):
    """The q-quantile of a sorted list, by nearest rank."""
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, max(0, -(-int(q * 1e6) * len(ordered) // 1_000_000) - 1))]


def provenance(programs):
    """Who measured what, where and when."""
    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.processor())
    git = lambda *words: subprocess.run(  # noqa: E731
        ["git", "-C", ROOT, *words], capture_output=True, text=True, check=False).stdout.strip()
    first_line = lambda command: subprocess.run(  # noqa: E731
        command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    versions = {}
    for name, command in programs.items():
        said = first_line([str(word) for word in command])
        line = next((line for line in (said.stdout + said.stderr).splitlines() if line), "?")
        # Some say where they lie, too.
        versions[name] = line.replace(str(command[0]), "").strip()
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release()},
        "commit": git("rev-parse", "--short=12", "HEAD"),
        "changed_since_commit": bool(git("status", "--porcelain", "--", "src", "Cargo.toml", "Cargo.lock")),
        "versions": versions,
    }


def keep(name, document, folder):
    """Write a result where it can be committed; paths of this machine are taken out."""
    text = json.dumps(document, indent=1)
    for path, word in ((folder, "$FOLDER"), (os.environ.get("CARGO_TARGET_DIR") or ROOT / "target", "target"), (ROOT, ".")):
        text = text.replace(str(path), word)
    day = document["provenance"]["date"][:10]
    path = ROOT / "loadtests" / "results" / f"{name}-{day}-{document['provenance']['commit'][:8]}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text + "\n")
    return path.relative_to(ROOT)


def main(run):
    """Run it; a failure is one sentence and exit code 1, Ctrl-C is 130."""
    try:
        sys.exit(run() or 0)
    except Failed as why:
        print(f"\nFAILED: {why}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(130)
