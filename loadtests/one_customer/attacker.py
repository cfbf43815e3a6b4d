"""One customer: `attacker.py PORT ASKS RECORD`. On each line of standard input, `CONNECTIONS RATE`: so many connections, all from one
address, that together ask so often a second; a connection asks again as soon as it has heard. `0 0` hangs up.

What is asked goes round, of these the ones in ASKS: odds with a fresh cookie, a login with a fresh made-up session, a bet with a freshly forged token, a coupon
with a made-up name in a header. Nothing is obeyed. When it hangs up, a line goes to the record: seconds, asked, served, and each
no's name with how often."""

import base64
import gc
import json
import os
import select
import socket
import sys
import time
from collections import Counter, deque

ADDRESS = "127.66.6.6"
TOKEN_HEAD = base64.urlsafe_b64encode(b'{"alg":"EdDSA","typ":"JWT"}').rstrip(b"=").decode()


def forged(number):
    """A token that looks as a good one does, by nobody."""
    claims = json.dumps({"sub": f"a{number}", "exp": int(time.time()) + 3600}).encode()
    return ".".join([TOKEN_HEAD, *(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (claims, os.urandom(64)))])


def request(kind, number):
    end = "host: bet\r\ncontent-length: 0\r\n\r\n"
    if kind == "odds":
        return f"GET /odds/x HTTP/1.1\r\ncookie: session=fresh-{number}\r\n{end}".encode()
    if kind == "login":
        return f"POST /login/x HTTP/1.1\r\ncookie: session=of-c{number}\r\n{end}".encode()
    if kind == "bets":
        return f"POST /bets/x HTTP/1.1\r\nauthorization: Bearer {forged(number)}\r\n{end}".encode()
    return f"POST /coupon/x HTTP/1.1\r\nx-customer: c{number}\r\n{end}".encode()


class Attack:
    def __init__(self, port, asks, connections, rate):
        self.port, self.asks, self.rate, self.number, self.began = port, asks, rate, 0, time.monotonic()
        self.heard, self.poll, self.socks, self.read = Counter(), select.epoll(), {}, {}
        # The one that has been silent longest asks first, so that all stay busy.
        self.idle = deque(self.connect() for _ in range(connections))

    def connect(self):
        sock = socket.socket()
        sock.bind((ADDRESS, 0))
        sock.connect(("127.0.0.1", self.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        self.socks[sock.fileno()], self.read[sock.fileno()] = sock, b""
        self.poll.register(sock, select.EPOLLIN)
        return sock.fileno()

    def turn(self):
        """What is due goes out, what has come is heard."""
        due = int((time.monotonic() - self.began) * self.rate) - self.number
        # What no connection was free for is not made up for: it would come in a burst.
        if due > len(self.idle):
            self.began += (due - len(self.idle)) / self.rate
        for _ in range(min(due, len(self.idle))):
            self.socks[self.idle.popleft()].send(request(self.asks[self.number % len(self.asks)], self.number))
            self.number += 1
        for fd, _ in self.poll.poll(0.002):
            self.hear(fd)

    def hear(self, fd):
        try:
            more = self.socks[fd].recv(65536)
        except OSError:
            more = b""
        if not more:
            self.socks.pop(fd).close()
            self.heard["hung_up_on"] += 1
            if fd in self.idle:
                self.idle.remove(fd)
            self.idle.append(self.connect())
            return
        self.read[fd] += more
        head, end, rest = self.read[fd].partition(b"\r\n\r\n")
        if not end or len(rest) < int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0]):
            return
        self.read[fd] = b""
        name = head.split(b'details="', 1)[1].split(b'"', 1)[0].decode() if b'details="' in head else head[9:12].decode()
        self.heard[name] += 1
        self.idle.append(fd)

    def hang_up(self, record):
        for sock in self.socks.values():
            sock.close()
        self.poll.close()
        named = " ".join(f"{name} {count}" for name, count in self.heard.most_common())
        record.write(f"{self.number} {named}\n")


def main():
    port, asks, attack, told = int(sys.argv[1]), sys.argv[2].split(","), None, select.poll()
    told.register(sys.stdin, select.POLLIN)
    with open(sys.argv[3], "w", buffering=1) as record:
        while True:
            if told.poll(0 if attack else None):
                words = sys.stdin.readline().split()
                if attack:
                    attack.hang_up(record)
                if not words:
                    return
                connections, rate = int(words[0]), float(words[1])
                attack = Attack(port, asks, connections, rate) if connections else None
            elif attack:
                attack.turn()


gc.disable()
main()
