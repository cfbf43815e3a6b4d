#!/usr/bin/env python3
"""A backend that writes down what becomes of every request. Usage: backend.py PORT SERVICE_MS LOG

A line for each that it has read (`begun ID`), answered (`answered ID`) or let fall (`dropped ID`). SIGTERM is a crash as far as it can be
written down: it accepts nobody any more, lets fall what it has begun and what comes within a moment, and ends without a word.
"""

import asyncio
import os
import re
import signal
import sys

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
NAME = re.compile(rb"\r\nx-load: (\S+)", re.IGNORECASE)
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
CRASHES_FOR_S = 0.05


class Conversation(asyncio.Protocol):
    """One connection; requests come one after the other."""

    open = set()
    crashing = False

    def connection_made(self, transport):
        self.transport, self.read, self.asked = transport, b"", None
        self.open.add(self)

    def connection_lost(self, _why):
        self.open.discard(self)

    def data_received(self, data):
        self.read += data
        head, found, body = self.read.partition(b"\r\n\r\n")
        if not found or len(body) < int((LENGTH.search(head) or [0, 0])[1]):
            return
        self.read, self.asked = b"", (NAME.search(head) or [b"", b"-"])[1].decode()
        note("begun", self.asked)
        if Conversation.crashing:
            self.crash()
        else:
            asyncio.get_running_loop().call_later(SERVICE_S, self.answer)

    def answer(self):
        if self.asked and not self.transport.is_closing():
            note("answered", self.asked)
            self.asked = None
            self.transport.write(ANSWER)

    def crash(self):
        if self.asked:
            note("dropped", self.asked)
            self.asked = None
            self.transport.abort()


def note(what, name):
    LOG.write(f"{what} {name}\n")


def crash(server):
    server.close()
    Conversation.crashing = True
    for conversation in list(Conversation.open):
        conversation.crash()
    asyncio.get_running_loop().call_later(CRASHES_FOR_S, end)


def end():
    LOG.flush()
    os._exit(1)


async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Conversation, "127.0.0.1", PORT, backlog=1024, reuse_address=True)
    loop.add_signal_handler(signal.SIGTERM, crash, server)
    await asyncio.Event().wait()


if __name__ == "__main__":
    PORT, SERVICE_S, LOG = int(sys.argv[1]), float(sys.argv[2]) / 1000, open(sys.argv[3], "a", buffering=1)
    asyncio.run(main())
