"""A site that can do so much and no more, and can be made slower: `backend.py PORT SEATS MILLISECONDS`.

A line with a number on standard input is how many milliseconds each request takes from then on."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import backends  # noqa: E402

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Conversation(backends.Conversation):
    """One connection."""

    plant = None

    def connection_made(self, transport):
        super().connection_made(transport)
        # The loop exists only once it serves.
        asyncio.get_running_loop().add_reader(sys.stdin, told)

    def asked(self, head):
        self.plant.ask(self, head)

    def answer(self, _head):
        self.say(ANSWER)


def told():
    line = sys.stdin.readline()
    if line.strip():
        Conversation.plant.service_s = float(line) / 1000


if __name__ == "__main__":
    Conversation.plant = backends.Plant(int(sys.argv[2]), float(sys.argv[3]) / 1000)
    backends.serve(int(sys.argv[1]), Conversation)
