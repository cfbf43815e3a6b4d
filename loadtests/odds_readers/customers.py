"""Customers at a constant rate, each connection pipelining nothing: `customers.py PORT KIND OBJECTS RATE SECONDS RECORD`.

KIND is `odds` or `bets`. Each of 64 connections asks when it is due, so that a slow answer delays what comes after it and is
counted with its delay. The record has one line: asked, answered with 200, then the times in milliseconds."""

import asyncio
import sys
import time

CONNECTIONS = 64


async def one(port, kind, objects, place, every_s, end, seen):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number = place
    due = time.monotonic() + every_s * place / CONNECTIONS
    while due < end:
        await asyncio.sleep(max(0, due - time.monotonic()))
        if kind == "odds":
            request = b"GET /horse/odds?race=%d HTTP/1.1\r\nhost: bet\r\n\r\n" % (number % objects)
        else:
            request = b"POST /horse/bets HTTP/1.1\r\nhost: bet\r\ncontent-length: 3\r\n\r\nbet"
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        seen.append((head[9:12] == b"200", (time.monotonic() - due) * 1000))
        number, due = number + CONNECTIONS + 1, due + every_s
    writer.close()


async def main():
    port, kind, objects = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    rate, seconds, path = float(sys.argv[4]), float(sys.argv[5]), sys.argv[6]
    end, seen = time.monotonic() + seconds, []
    every_s = CONNECTIONS / rate
    await asyncio.gather(*(one(port, kind, objects, place, every_s, end, seen) for place in range(CONNECTIONS)))
    with open(path, "w") as record:
        took = " ".join(f"{ms:.2f}" for _, ms in seen)
        record.write(f"{len(seen)} {sum(good for good, _ in seen)} {took}\n")


asyncio.run(main())
