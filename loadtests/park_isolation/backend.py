#!/usr/bin/env python3
"""A lean backend: answers every request after a fixed time. Usage: backend.py PORT SERVICE_MS"""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import backends  # noqa: E402

BODY = b'{"ok":true,"race":"V75-1","odds":[2.45,7.8,11.2,15.0,3.35,42.0,19.5,8.1]}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(BODY), BODY)


class Conversation(backends.Conversation):
    """One connection."""

    def asked(self, _head):
        asyncio.get_running_loop().call_later(SERVICE_S, self.say, ANSWER)


if __name__ == "__main__":
    PORT, SERVICE_S = int(sys.argv[1]), float(sys.argv[2]) / 1000
    backends.serve(PORT, Conversation)
