#!/usr/bin/env python3
"""Customers of one product, open loop: they come at their times, whatever became of those before them.

Usage: customers.py PORT PRODUCT RATE_PER_S FILE. Runs until SIGTERM. One line in FILE for each request, times in
seconds of CLOCK_MONOTONIC: when it was due, how much later it was sent, how long after it was due the answer had
come, the status (0 for none), whether there was a Retry-After.

The rate may be changed while it runs: a line with a number on standard input.
"""

import asyncio
import gc
import random
import signal
import sys
import time

BET = b'{"race":"V75-1","horse":1,"stake":100}'
PATIENCE_S = 5.0


class Connection(asyncio.Protocol):
    """A kept connection: one request at a time."""

    def __init__(self, crowd):
        self.crowd, self.read, self.due = crowd, b"", None

    def connection_made(self, transport):
        self.transport = transport

    def ask(self, due, request):
        self.due, self.sent, self.read = due, time.monotonic(), b""
        self.transport.write(request)

    def data_received(self, data):
        self.read += data
        end = self.read.find(b"\r\n\r\n")
        if end < 0 or self.due is None:
            return
        head = self.read[:end].lower()
        at = head.find(b"\r\ncontent-length:")
        length = int(head[at + 17:].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self.read) < end + 4 + length:
            return
        self.over(int(head[9:12]), b"\r\nretry-after:" in head)
        self.crowd.idle.append(self)

    def connection_lost(self, error):
        if self in self.crowd.idle:
            self.crowd.idle.remove(self)
        if self.due is not None:
            self.over(0, False)

    def over(self, status, retry_after):
        due, self.due = self.due, None
        self.crowd.note(due, self.sent, time.monotonic(), status, retry_after)


class Crowd:
    def __init__(self, port, product, rate, file):
        self.port, self.rate, self.file = port, rate, file
        self.idle, self.random = [], random.Random(product)
        head = "Host: bets.example\r\nX-Customer: %s-{customer}\r\n" % product
        self.read = "GET /%s/odds/v75-1 HTTP/1.1\r\n%s\r\n" % (product, head)
        self.bet = ("POST /%s/bets HTTP/1.1\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                    % (product, head, len(BET), BET.decode()))

    def note(self, due, sent, answered, status, retry_after):
        self.file.write("%.6f %.6f %.6f %d %d\n" % (due, sent - due, answered - due, status, retry_after))

    async def come(self):
        """One customer in each slot of 1/rate, at a moment of their own; every fourth places a bet."""
        slot, number = time.monotonic(), 0
        while True:
            number += 1
            due = slot + self.random.random() / self.rate
            slot += 1 / self.rate
            delay = due - time.monotonic()
            if delay > 0:
                await asyncio.sleep(delay)
            text = self.bet if number % 4 == 0 else self.read
            self.send(due, text.replace("{customer}", str(self.random.randrange(5000))).encode())

    def send(self, due, request):
        if self.idle:
            # The newest first: it is the least likely to be closing.
            self.idle.pop().ask(due, request)
        else:
            asyncio.get_running_loop().create_task(self.connect(due, request))

    async def connect(self, due, request):
        try:
            connecting = asyncio.get_running_loop().create_connection(lambda: Connection(self), "127.0.0.1", self.port)
            _, connection = await asyncio.wait_for(connecting, PATIENCE_S)
        except (OSError, asyncio.TimeoutError):
            now = time.monotonic()
            self.note(due, now, now, 0, False)
            return
        connection.ask(due, request)

    def told(self):
        line = sys.stdin.readline()
        if line.strip():
            self.rate = float(line)


async def main(port, product, rate, path):
    with open(path, "w", buffering=1 << 16) as file:
        crowd = Crowd(port, product, rate, file)
        loop = asyncio.get_running_loop()
        coming = loop.create_task(crowd.come())
        loop.add_signal_handler(signal.SIGTERM, coming.cancel)
        loop.add_signal_handler(signal.SIGINT, coming.cancel)
        loop.add_reader(sys.stdin, crowd.told)
        try:
            await coming
        except asyncio.CancelledError:
            pass
        # Those who wait still get their answer.
        await asyncio.sleep(0.5)


if __name__ == "__main__":
    gc.disable()
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), sys.argv[4]))
