"""A backend that can do so much and no more: `backend.py PORT SEATS MILLISECONDS RECORD`.

So many are served at a time, each for so long; the others wait in the order in which they came. A path ends with the account that asks,
or `x` for somebody who has none. A login names the account and begins a session; of somebody who has none it is answered 401. The record
has a line for each second: how many were begun for accounts, and how many for those who have none."""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import backends  # noqa: E402

ANSWER = b"HTTP/1.1 %s\r\ncontent-length: 2\r\n%s\r\nok"


class Plant(backends.Plant):
    """One that keeps a record."""

    def __init__(self, seats, service_s, record):
        super().__init__(seats, service_s)
        self.record, self.second, self.begun = record, 0, [0, 0]

    def begins(self, head):
        if int(time.monotonic()) != self.second:
            self.record.write(f"{self.second} {self.begun[0]} {self.begun[1]}\n")
            self.second, self.begun = int(time.monotonic()), [0, 0]
        self.begun[who(head) == b"x"] += 1


class Conversation(backends.Conversation):
    """One connection."""

    plant = None

    def asked(self, head):
        self.plant.ask(self, head.lower())

    def answer(self, head):
        status, named, account = b"200 OK", b"", who(head)
        if b" /login/" in head:
            status = b"401 Unauthorized" if account == b"x" else status
            named = b"" if account == b"x" else b"x-account: %s\r\nset-cookie: session=of-%s; Path=/\r\n" % (account, account)
        self.say(ANSWER % (status, named))


def who(head):
    return head.split(b" ", 2)[1].rsplit(b"/", 1)[1]


if __name__ == "__main__":
    PORT, SEATS, SERVICE_S = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000
    with open(sys.argv[4], "w", buffering=1) as record:
        Conversation.plant = Plant(SEATS, SERVICE_S, record)
        backends.serve(PORT, Conversation)
