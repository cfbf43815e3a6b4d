"""What every backend of a load test stands on: one connection's requests, read whole, one after the other.

asyncio's protocols and not its streams: a backend has to cost less than the proxy before it.
"""

import asyncio
import gc
import re
from collections import deque

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Conversation(asyncio.Protocol):
    """One connection. Requests come one after the other, for Sluss does not pipeline. Say in `asked` what becomes of them."""

    def connection_made(self, transport):
        self.transport, self.read = transport, b""

    def data_received(self, data):
        self.read += data
        head, found, rest = self.read.partition(b"\r\n\r\n")
        length = int((LENGTH.search(head) or [0, 0])[1])
        if found and len(rest) >= length:
            self.read = rest[length:]
            self.asked(head)

    def asked(self, head):
        """A request has come whole, with this head."""
        raise NotImplementedError

    def say(self, answer):
        """Write this, if anybody is there to read it."""
        if not self.transport.is_closing():
            self.transport.write(answer)


class Plant:
    """What a backend can do and no more: so many at a time, each for so long; the others wait in the order in which they came. Their
    conversations `answer` when they have been served."""

    def __init__(self, seats, service_s):
        self.free, self.service_s, self.line = seats, service_s, deque()

    def ask(self, conversation, head):
        self.line.append((conversation, head))
        self.go_on()

    def go_on(self):
        while self.free and self.line:
            conversation, head = self.line.popleft()
            if not conversation.transport.is_closing():
                self.free -= 1
                self.begins(head)
                asyncio.get_running_loop().call_later(self.service_s, self.over, conversation, head)

    def begins(self, head):
        """Somebody's turn has come."""

    def over(self, conversation, head):
        self.free += 1
        conversation.answer(head)
        self.go_on()


def serve(port, conversation):
    """Serve connections of this kind until the process is stopped. A pause to collect garbage would look like a slow backend."""
    gc.disable()
    asyncio.run(serve_for_ever(port, conversation))


async def serve_for_ever(port, conversation):
    server = await asyncio.get_running_loop().create_server(conversation, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()
