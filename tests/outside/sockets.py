"""Real WebSockets (PyPI websockets) on both sides of the proxy."""

import asyncio
import contextlib

import websockets
from proxied import PORTS, Proxy, check
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

LARGE = "å" * 300_000
MANY = 50


def run(stage, binary, only=None):
    """All that a socket does in its life, and what it hears where there is none."""
    return asyncio.run(play(stage, binary))


async def play(stage, binary):
    """A server behind the proxy, and clients in front of it."""
    port = next(PORTS)
    async with serve(answer, "127.0.0.1", port, select_subprotocol=chosen, max_size=2 << 20):
        proxy = Proxy(stage, binary, port, product="limit = 100", name="websockets")
        url = f"ws://127.0.0.1:{proxy.port}/feed"
        await talk(url)
        await close(url)
        await many(url)
        await refused(url, proxy)
        proxy.alive()
    return f"{MANY} sockets at once"


def chosen(_socket, offered):
    """Who offers none has none."""
    return "odds" if "odds" in offered else None


async def answer(socket):
    """Says again what it hears; `leave` has it leave with a word."""
    with contextlib.suppress(websockets.ConnectionClosed):
        async for said in socket:
            if said == "leave":
                await socket.close(4001, "as you wish")
            await socket.send(said)


async def talk(url):
    """Text, bytes, a message of many frames and packets, pings, a protocol that both know."""
    async with connect(url, subprotocols=["odds"], max_size=2 << 20) as socket:
        check(socket.subprotocol == "odds", f"protocol {socket.subprotocol}")
        for said in ("hello", b"\x00\xff" * 1000, LARGE, ""):
            await socket.send(said)
            check(await asyncio.wait_for(socket.recv(), 10) == said, f"{said[:20]!r} came back changed")
        await asyncio.wait_for(await socket.ping(), 10)
        await socket.send(iter(["in ", "three ", "frames"]))
        check(await asyncio.wait_for(socket.recv(), 10) == "in three frames", "frames came back changed")


async def close(url):
    """Whoever closes, the other hears with which code."""
    async with connect(url) as socket:
        await socket.send("leave")
        with contextlib.suppress(websockets.ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 10)
        check((socket.close_code, socket.close_reason) == (4001, "as you wish"), f"{socket.close_code} {socket.close_reason}")
    socket = await connect(url)
    await socket.close(1001)
    check(socket.close_code == 1001, f"{socket.close_code}")


async def many(url):
    """Side by side, none in another's way."""

    async def one(number):
        async with connect(url) as socket:
            for turn in range(10):
                await socket.send(f"{number} {turn}")
                check(await asyncio.wait_for(socket.recv(), 20) == f"{number} {turn}", "somebody else's message")

    await asyncio.gather(*(one(number) for number in range(MANY)))


async def refused(url, proxy):
    """Where the product is parked the handshake is answered as any request is; what is open goes on."""
    async with connect(url) as before:
        proxy.order("park")
        try:
            async with connect(url):
                check(False, "a socket to a product that is parked")
        except websockets.InvalidStatus as no:
            check(no.response.status_code == 503 and "retry-after" in no.response.headers, f"{no.response}")
        await before.send("still here")
        check(await asyncio.wait_for(before.recv(), 10) == "still here", "it has ended with the product")
