"""The proxy under test, started as a process of its own, and what may stand behind it."""

import http.client
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "loadtests"))
from stage import Failed, Stage, free_ports  # noqa: E402

HERE = Path(__file__).resolve().parent
# For bet.example, by itself; it stands here for a hundred years.
KEYS = HERE.parent / "keys"
CERTIFICATE = f'certificates = [{{ chain = "{KEYS}/server.pem", key = "{KEYS}/server.key" }}]\n'
# Drawn once: a port that is free now and nobody listens on yet must not be drawn again.
PORTS = iter(free_ports(200))

# One worker, so that the connections to the backend are those that a case counts.
CONFIG = """journal = "off"
log = "json"
[listen]
address = "127.0.0.1:{port}"
workers = 1
drain = "5s"
{listen}
[admin]
address = "127.0.0.1:{admin}"
{rest}
[[product]]
name = "horse-racing"
match = [{{ path = "{path}" }}]
backends = ["{scheme}://127.0.0.1:{backend}"]
{product}
  [[product.class]]
  class = "commit"
  match = [{{ method = "POST", path = "{path}bets" }}]
"""


class Proxy:
    """A running proxy before a backend; `stage` stops it."""

    def __init__(self, stage, binary, backend, listen="", product="", rest="", path="/", name="sluss", scheme="http"):
        self.stage, self.name = stage, name
        self.port, self.admin_port = next(PORTS), next(PORTS)
        places = {"port": self.port, "admin": self.admin_port, "backend": backend, "path": path, "scheme": scheme}
        file = stage.write(f"{name}.toml", CONFIG.format(listen=listen, product=product, rest=rest, **places))
        self.process = stage.start(name, [binary, "run", "--config", file], self.port)

    def order(self, order, **more):
        """Give an order at the admin address."""
        said = {"order": order, "reason": "a test", "who": "outside", "product": "horse-racing"} | more
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=10)
        connection.request("POST", "/api/v1/orders", json.dumps(said), {"content-type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            raise Failed(f"{said} was answered {answer.status}: {answer.read().decode()}")
        connection.close()

    def metric(self, line):
        """The value of one line of the metrics, 0 where there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=10)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return next((float(said.rsplit(" ", 1)[1]) for said in text.splitlines() if said.startswith(line)), 0.0)

    def alive(self):
        """Fail with its last words if it is gone."""
        if self.process.poll() is not None:
            raise Failed(f"the proxy is gone:\n{self.stage.log(self.name)}")
        if "panicked" in self.stage.log(self.name, 1 << 20):
            raise Failed(f"the proxy panicked:\n{self.stage.log(self.name)}")


class Backend(BaseHTTPRequestHandler):
    """Answers with what it was asked; `/size/N` with N bytes, also parts of them; `/trailers` with a trailer."""

    protocol_version = "HTTP/1.1"
    # Each answer in one write, or it would wait for the other side's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self):
        """Answer what was asked for."""
        length = int(self.headers.get("content-length") or 0)
        said = self.chunks() if self.headers.get("transfer-encoding") else self.rfile.read(length)
        if self.path.startswith("/size/"):
            return self.sized(int(self.path.split("/")[2]))
        if self.path == "/trailers":
            return self.trailers()
        told = {"method": self.command, "path": self.path, "bytes": len(said), "headers": dict(self.headers.items())}
        return self.told(200, json.dumps(told).encode())

    do_POST = do_PUT = do_HEAD = do_GET

    def sized(self, size):
        """So many bytes, or the part of them that was asked for."""
        whole = b"0123456789" * (size // 10 + 1)
        asked = self.headers.get("range")
        # Several at once need not be served (RFC 9110, section 14.2).
        if not asked or "," in asked:
            return self.told(200, whole[:size])
        first, last = (int(number) for number in asked.removeprefix("bytes=").split("-"))
        part = whole[first : last + 1]
        return self.told(206, part, ("content-range", f"bytes {first}-{last}/{size}"))

    def trailers(self):
        """Two chunks and a trailer."""
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.send_header("trailer", "x-sum")
        self.end_headers()
        self.wfile.write(b"5\r\nhello\r\n6\r\n world\r\n0\r\nx-sum: 11\r\n\r\n")

    def told(self, status, body, *headers):
        """An answer of one piece."""
        self.send_response(status)
        for name, value in (*headers, ("content-type", "application/json"), ("content-length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def chunks(self):
        """The body of a request that comes in chunks."""
        said = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            said += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return said

    def log_message(self, *_):
        """Nobody reads it."""


class Quiet(ThreadingHTTPServer):
    """Connections that are cut in the middle are what some of these tests are about."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, address):
        """A broken pipe is nobody's fault; anything else is told."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, address)


def backend():
    """Start a backend in this process; its port."""
    server = Quiet(("127.0.0.1", 0), Backend)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def check(holds, what):
    """Fail the suite unless it holds."""
    if not holds:
        raise Failed(what)
