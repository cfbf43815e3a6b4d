#!/usr/bin/env python3
"""Everything that an operator may change, changed under constant load: who loses anything? `make load-changes`

Customers ask at a constant rate, each request under a name of its own, half of them bets, half of them on connections that they keep.
Meanwhile the configuration is read again ten times, the binary is upgraded, weights are moved, and backends crash and come back. At the end
every request that failed must be one that a backend has written down as fallen, and no bet may have come to backends twice.
"""

import asyncio
import collections
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import stage  # noqa: E402

RATE_PER_S = 400
SERVICE_MS = 5
PATIENCE_S = 10
HERE = Path(__file__).resolve().parent

CONFIG = """journal = "sluss.journal"
[listen]
address = "127.0.0.1:{port}"
workers = 2
[admin]
address = "127.0.0.1:{admin}"
[upgrade]
drain = "10s"
{casino}
[[product]]
name = "horse-racing"
match = [{{ path = "/horse/" }}]
backends = [{backends}]
queue = {{ longest_wait = "{wait}s" }}
health = {{ path = "/health", interval = "200ms", fall = 1, rise = 1 }}
[[product.class]]
class = "commit"
match = [{{ method = "POST" }}]
"""
CASINO = """[[product]]
name = "casino"
match = [{ path = "/casino/" }]
backends = ["http://127.0.0.1:9"]
"""


class House:
    """Sluss, three backends, and what is done to them."""

    def __init__(self, stage_, binary):
        self.stage = stage_
        # A path of its own: whoever upgrades puts another file there.
        self.binary = stage_.folder / "sluss"
        self.binary.write_bytes(Path(binary).read_bytes())
        self.binary.chmod(0o755)
        self.port, self.admin, *self.backends = stage.free_ports(5)
        self.processes = {}
        self.round = 0
        self.done = collections.Counter()

    def start(self):
        for port in self.backends:
            self.revive(port)
        self.write()
        self.first = self.stage.start("sluss", [self.binary, "run", "--config", self.stage.folder / "sluss.toml"])
        stage.wait_until_ready(self.admin)

    def stop(self):
        """Whoever has followed the first process is in its group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.first.pid, signal.SIGTERM)

    def write(self):
        """Another configuration than the last: a product more or less before the other, another wait."""
        backends = ", ".join(f'"http://127.0.0.1:{port}"' for port in self.backends)
        casino, wait = CASINO if self.round % 2 else "", 3 + self.round % 3
        self.stage.write("sluss.toml", CONFIG.format(
            port=self.port, admin=self.admin, casino=casino, backends=backends, wait=wait))

    def order(self, *words):
        said = subprocess.run([self.binary, *words, "--admin", f"127.0.0.1:{self.admin}"], capture_output=True, text=True, check=False)
        if said.returncode:
            raise stage.Failed(f"sluss {' '.join(words)}: {said.stderr}")
        self.done[words[0]] += 1

    def reload(self):
        self.round += 1
        self.write()
        self.order("reload")

    def upgrade(self):
        # As a package does it: a new file under the old name.
        fresh = self.stage.folder / "sluss.new"
        fresh.write_bytes(self.binary.read_bytes())
        fresh.chmod(0o755)
        fresh.rename(self.binary)
        end = time.monotonic() + PATIENCE_S + 10
        while True:
            try:
                return self.order("upgrade", "--reason", "a load test")
            except stage.Failed as why:
                # The one before the last has ten seconds to finish.
                if "still finishes" not in str(why) or time.monotonic() >= end:
                    raise
                time.sleep(0.5)

    def weigh(self, backend, weight):
        self.order("backend", "weight", f"127.0.0.1:{self.backends[backend]}", str(weight), "--reason", "a load test")

    def crash(self, backend):
        process = self.processes[self.backends[backend]]
        process.terminate()
        process.wait()
        self.done["crash"] += 1

    def revive(self, port):
        log = self.stage.folder / f"requests-{port}"
        self.processes[port] = self.stage.start(
            f"backend-{port}-{time.monotonic_ns()}", [sys.executable, HERE / "backend.py", port, SERVICE_MS, log], port)

    def told(self):
        """What backends have written down: how often each request was begun, and which fell."""
        begun, dropped = collections.Counter(), set()
        for port in self.backends:
            for line in (self.stage.folder / f"requests-{port}").read_text().splitlines():
                what, _, name = line.partition(" ")
                if what == "begun":
                    begun[name] += 1
                elif what == "dropped":
                    dropped.add(name)
        del begun["-"]
        return begun, dropped


class Customers:
    """Requests at a constant rate, whatever becomes of those before."""

    def __init__(self, port):
        self.port, self.names = port, itertools.count()
        self.asked, self.failed, self.kept = 0, {}, []

    async def ask_for(self, seconds):
        begun, tasks = time.monotonic(), set()
        for number in range(int(seconds * RATE_PER_S)):
            await asyncio.sleep(max(0.0, begun + number / RATE_PER_S - time.monotonic()))
            task = asyncio.create_task(self.ask())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)

    async def ask(self):
        name = f"{next(self.names)}"
        self.asked += 1
        keeps, bets = int(name) % 2 == 0, int(name) % 4 < 2
        try:
            await asyncio.wait_for(self.exchange(name, keeps, bets), PATIENCE_S)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, ValueError) as why:
            self.failed[name] = f"{type(why).__name__} {why}"

    async def exchange(self, name, keeps, bets):
        connection = await self.connection(keeps)
        reader, writer = connection
        line, body = ("POST /horse/bets", b"a bet") if bets else ("GET /horse/odds", b"")
        close = "" if keeps else "connection: close\r\n"
        writer.write(f"{line} HTTP/1.1\r\nhost: bet.example\r\nx-load: {name}\r\n{close}content-length: {len(body)}\r\n\r\n".encode() + body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        said = await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200 ") or said != b"ok":
            self.failed[name] = head.split(b"\r\n")[0].decode() + " " + said.decode(errors="replace")[:200]
        if keeps and b"connection: close" not in head.lower():
            self.kept.append(connection)
        else:
            writer.close()


    async def connection(self, keeps):
        """One that is kept and that nobody has closed since, as every client looks; or a new one."""
        while keeps and self.kept:
            reader, writer = self.kept.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self.port)


async def change(house):
    """Ten rounds of about four seconds."""
    for number in range(10):
        for step in (house.reload, lambda: house.weigh(number % 3, 1 + number)):
            await asyncio.to_thread(step)
            await asyncio.sleep(0.5)
        if number % 3 == 1:
            await asyncio.to_thread(house.upgrade)
        elif number % 3 == 2:
            which = number // 3 % len(house.backends)
            await asyncio.to_thread(house.crash, which)
            await asyncio.sleep(1)
            await asyncio.to_thread(house.revive, house.backends[which])
        await asyncio.sleep(2)


async def play(house):
    customers = Customers(house.port)
    changes = asyncio.create_task(change(house))
    asking = asyncio.create_task(customers.ask_for(60))
    await changes
    await asking
    return customers


def run():
    """Play it, and hold what customers heard against what backends wrote down."""
    with stage.Stage() as on:
        house = House(on, stage.sluss_binary())
        house.start()
        try:
            customers = asyncio.run(play(house))
        finally:
            house.stop()
        begun, dropped = house.told()
        unexplained = {name: why for name, why in customers.failed.items() if name not in dropped}
        twice = [name for name, times in begun.items() if times > 1]
        bets_twice = [name for name in twice if int(name) % 4 < 2]
        print(f"{dict(house.done)}: {customers.asked} asked, {len(customers.failed)} failed, {len(dropped)} fell at backends, "
              f"{len(unexplained)} failed and did not fall there, {len(bets_twice)} bets came to backends twice")
        for name, why in list(unexplained.items())[:10]:
            print(f"  {name}: {why}; begun {begun[name]} times")
        return 1 if unexplained or bets_twice else 0


if __name__ == "__main__":
    stage.main(run)
