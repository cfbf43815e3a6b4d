"""A backend that writes down when it was asked for which object: `backend.py PORT MILLISECONDS RECORD`."""

import asyncio
import sys
import time


async def serve(reader, writer, service_s, record):
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            start = head.split(b"\r\n", 1)[0].decode()
            lower = head.lower()
            if b"content-length:" in lower:
                await reader.readexactly(int(lower.split(b"content-length:")[1].split(b"\r\n")[0]))
            record.write(f"{time.monotonic():.6f} {start.split()[1]}\n")
            await asyncio.sleep(service_s)
            body = b"o" * 2000
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    port, service_ms, path = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    with open(path, "w", buffering=1) as record:
        server = await asyncio.start_server(lambda r, w: serve(r, w, service_ms / 1000, record), "127.0.0.1", port)
        async with server:
            await server.serve_forever()


asyncio.run(main())
