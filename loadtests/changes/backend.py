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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import backends  # noqa: E402

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
NAME = re.compile(rb"\r\nx-load: (\S+)", re.IGNORECASE)
CRASHES_FOR_S = 0.05


class Conversation(backends.Conversation):
    """One connection."""

    open = set()
    crashing = False

    def connection_made(self, transport):
        super().connection_made(transport)
        self.at_work_on = None
        self.open.add(self)

    def connection_lost(self, _why):
        self.open.discard(self)

    def asked(self, head):
        self.at_work_on = (NAME.search(head) or [b"", b"-"])[1].decode()
        note("begun", self.at_work_on)
        if Conversation.crashing:
            self.crash()
        else:
            asyncio.get_running_loop().call_later(SERVICE_S, self.answer)

    def answer(self):
        if self.at_work_on and not self.transport.is_closing():
            note("answered", self.at_work_on)
            self.at_work_on = None
            self.say(ANSWER)

    def crash(self):
        if self.at_work_on:
            note("dropped", self.at_work_on)
            self.at_work_on = None
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
