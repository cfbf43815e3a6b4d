#!/usr/bin/env python3
"""A lean backend: answers every request after a fixed time. Usage: backend.py PORT SERVICE_MS"""

import asyncio
import gc
import sys

BODY = b'{"ok":true,"race":"V75-1","odds":[2.45,7.8,11.2,15.0,3.35,42.0,19.5,8.1]}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Conversation(asyncio.Protocol):
    """One connection; requests come one after the other, for Sluss does not pipeline."""

    def connection_made(self, transport):
        self.transport, self.read = transport, b""

    def data_received(self, data):
        self.read += data
        end = self.read.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.read[:end].lower()
        at = head.find(b"\r\ncontent-length:")
        length = int(head[at + 17:].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self.read) >= end + 4 + length:
            self.read = self.read[end + 4 + length:]
            asyncio.get_running_loop().call_later(SERVICE_S, self.answer)

    def answer(self):
        if not self.transport.is_closing():
            self.transport.write(ANSWER)


async def main():
    server = await asyncio.get_running_loop().create_server(Conversation, "127.0.0.1", PORT, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    PORT, SERVICE_S = int(sys.argv[1]), float(sys.argv[2]) / 1000
    gc.disable()
    asyncio.run(main())
