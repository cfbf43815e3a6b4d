"""The others: `crowd.py PORT CUSTOMERS JOURNEYS_PER_S RECORD`. Runs until SIGTERM.

Each customer goes on a journey when it is due, and misses it while the one before is not over: login, odds, coupon, bet, with a pause between. Whoever is
told no comes back as told, and gives up after PATIENCE_S. Four of them have an address together. They keep the session that
their login has given them; the proxy knows them by it, and by their address before.

A line of the record for each journey: when it was due, seconds until it was over, 1 if the bet was placed; then for each step that was
served its seconds from the first attempt to the answer, and the attempts at it. Last come the noes it heard, `step:name`."""

import asyncio
import gc
import random
import signal
import sys
import time

STEPS = ("GET odds", "POST login", "POST coupon", "POST bets")
PAUSE_S = (0.2, 0.5)
PATIENCE_S = 20.0
ATTEMPT_S = 5.0


class Customer:
    def __init__(self, port, number, record):
        self.port, self.number, self.record = port, number, record
        self.address = f"127.7.{number // 4 // 200}.{number // 4 % 200 + 1}"
        self.session, self.line = None, None

    async def lives(self, first_s, every_s):
        due = time.monotonic() + first_s
        while True:
            await asyncio.sleep(max(0, due - time.monotonic()))
            await self.journey(due)
            due += every_s * random.uniform(0.8, 1.2)
            # Who is still on a journey when the next was due does not go on that one.
            while due < time.monotonic():
                self.over(due, 0, [], ["missed"])
                due += every_s

    async def journey(self, due):
        told, noes, done = [], [], 0
        for step in STEPS:
            began, attempts = time.monotonic(), 0
            while True:
                attempts += 1
                status, after_s, name = await self.attempt(step)
                if status == 200:
                    break
                noes.append(f"{step.split()[1]}:{name}")
                if time.monotonic() + after_s > due + PATIENCE_S:
                    return self.over(due, 0, told, noes)
                await asyncio.sleep(after_s)
            done += 1
            told += [f"{time.monotonic() - began:.4f}", str(attempts)]
            if done < len(STEPS):
                await asyncio.sleep(random.uniform(*PAUSE_S))
        self.over(due, 1, told, noes)

    def over(self, due, placed, told, noes):
        words = [f"{due:.4f}", f"{max(0, time.monotonic() - due):.4f}", str(placed), *told, *noes]
        self.record.write(" ".join(words) + "\n")

    async def attempt(self, step):
        """Status, seconds to come back after, the no's name."""
        try:
            async with asyncio.timeout(ATTEMPT_S):
                return await self.ask(step)
        except TimeoutError:
            self.hang_up()
            return 0, 1.0, "timed_out"
        except (OSError, asyncio.IncompleteReadError):
            self.hang_up()
            return 0, 1.0, "broken"

    async def ask(self, step):
        if self.line is None:
            self.line = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.address, 0))
        reader, writer = self.line
        method, name = step.split()
        cookie = f"cookie: session={self.session}\r\n" if self.session else ""
        writer.write(f"{method} /{name}/c{self.number} HTTP/1.1\r\nhost: bet\r\n{cookie}content-length: 0\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:-2])
        await reader.readexactly(int(headers["content-length"]))
        if "set-cookie" in headers:
            self.session = headers["set-cookie"].split(";")[0].removeprefix("session=")
        if headers.get("connection") == "close":
            self.hang_up()
        name = headers.get("proxy-status", "details=unnamed").rsplit("details=", 1)[-1].strip('"')
        return int(head[9:12]), float(headers.get("retry-after", 1)), name

    def hang_up(self):
        if self.line:
            self.line[1].close()
        self.line = None


async def main():
    port, customers, per_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    every_s, over = customers / per_s, asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    with open(sys.argv[4], "w", buffering=1) as record:
        for number in range(customers):
            life = Customer(port, number, record).lives(number * every_s / customers, every_s)
            LIVES.add(asyncio.create_task(life))
        await over.wait()


LIVES = set()
gc.disable()
asyncio.run(main())
