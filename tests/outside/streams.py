"""Calls that succeed, by a real client of gRPC to a real server of it (PyPI grpcio), through the proxy: all four kinds, with
metadata, trailers, deadlines and cancellation, while the proxy speaks HTTP/2 in the clear and through TLS; and Debian's nghttpd."""

import subprocess
import threading
import time
from concurrent import futures

import grpc
from proxied import CERTIFICATE, KEYS, PORTS, Failed, Proxy, check

CLEAR = 'protocol = "http2"\nlimit = 40\n[product.streams]\ntypes = ["application/grpc"]\nseat = "200ms"'
CA = f'[product.tls]\nca = "{KEYS}/server.pem"\nserver_name = "horse.internal"\n'


def run(stage, binary, only=None):
    """Clear and through TLS, both ways, and a server of HTTP/2 that others wrote."""
    cases = {"clear": clear, "secure": secure, "nghttpd": nghttpd}
    for name, act in cases.items():
        if not only or name == only:
            act(stage, binary)
    return f"{len(cases)} kinds of backends"


def clear(stage, binary):
    """In the clear on both sides."""
    server, port = serve()
    proxy = Proxy(stage, binary, port, product=CLEAR, path="/horse.Bets/", name="grpc-clear")
    with grpc.insecure_channel(f"127.0.0.1:{proxy.port}", NO_PROXY) as channel:
        calls(channel, server)
    proxy.alive()
    server.stop()


def secure(stage, binary):
    """Through TLS on both sides; what is spoken is agreed on."""
    server, port = serve(grpc.ssl_server_credentials([signed(stage)]))
    product = CLEAR.replace('"http2"', '"auto"') + "\n" + CA
    listen = f"[listen.tls]\n{CERTIFICATE}"
    proxy = Proxy(
        stage, binary, port, product=product, listen=listen, path="/horse.Bets/", name="grpc-secure", scheme="https"
    )
    options = [*NO_PROXY, ("grpc.ssl_target_name_override", "bet.example")]
    credentials = grpc.ssl_channel_credentials((KEYS / "server.pem").read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{proxy.port}", credentials, options) as channel:
        calls(channel, server)
    proxy.alive()
    server.stop()


def signed(stage):
    """A key and a certificate for the server, by whom the proxy trusts: one that vouches for itself is none of a server."""
    names = stage.write("names", "subjectAltName=DNS:horse.internal\nbasicConstraints=CA:FALSE\n")
    key, certificate = stage.folder / "horse.key", stage.folder / "horse.pem"
    asks = f"req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=horse.internal -keyout {key}"
    signs = f"x509 -req -days 2 -CA {KEYS}/server.pem -CAkey {KEYS}/server.key -extfile {names} -out {certificate}"
    request = subprocess.run(["openssl", *asks.split()], capture_output=True, check=True).stdout
    subprocess.run(["openssl", *signs.split()], input=request, capture_output=True, check=True)
    return key.read_bytes(), certificate.read_bytes()


def calls(channel, server):
    """All that a client may do with a channel."""
    place = channel.unary_unary("/horse.Bets/Place")
    answer, call = place.with_call(b"a bet", metadata=[("x-customer", "anna"), ("key-bin", b"\0\xff")], timeout=10)
    check(answer == b"placed: a bet", f"{answer}")
    check(dict(call.initial_metadata())["begun"] == "yes", "a head does not pass")
    trailing = dict(call.trailing_metadata())
    check(trailing["race"] == "5" and trailing["key-bin"] == b"\0\xff", f"{trailing}")
    check(place(b"x" * 1_000_000, timeout=20) == b"placed: " + b"x" * 1_000_000, "a megabyte does not pass")
    odds = channel.unary_stream("/horse.Bets/Odds")
    check(list(odds(b"200", timeout=10)) == [str(n).encode() for n in range(200)], "a stream of answers breaks")
    coupon = channel.stream_unary("/horse.Bets/Coupon")
    check(coupon(iter([b"one", b"two", b"three"]), timeout=10) == b"one,two,three", "a stream of requests breaks")
    talk(channel)
    failed(channel)
    deadline(channel, server)
    cancelled(channel, server)
    many(channel)


def talk(channel):
    """Each side waits for the other, and so does whoever would hold something back."""
    say = Said()
    heard = channel.stream_stream("/horse.Bets/Talk")(say, timeout=20)
    for word in (b"a", b"b", b"c"):
        say.word(word)
        check(next(heard) == b"heard " + word, "a talk stops")
        # The seat is given back meanwhile.
        time.sleep(0.3)
    say.word(None)
    check(not list(heard) and heard.code() == grpc.StatusCode.OK, f"{heard.code()}")


def failed(channel):
    """A status of the server's, with its message and its details: in a head alone, and behind an answer."""
    for method, code in (("Refuse", grpc.StatusCode.FAILED_PRECONDITION), ("Break", grpc.StatusCode.DATA_LOSS)):
        try:
            list(channel.unary_stream(f"/horse.Bets/{method}")(b"", timeout=10))
            raise Failed(f"{method} succeeded")
        except grpc.RpcError as ended:
            check(ended.code() == code and ended.details() == "räcker inte", f"{ended.code()} {ended.details()}")
            check(dict(ended.trailing_metadata()).get("race") == "5", f"{ended.trailing_metadata()}")


def deadline(channel, server):
    """The server is told how long its client waits, and the client does not wait longer."""
    try:
        channel.unary_unary("/horse.Bets/Sleep")(b"", timeout=0.5)
        raise Failed("a call outlived its deadline")
    except grpc.RpcError as ended:
        check(ended.code() == grpc.StatusCode.DEADLINE_EXCEEDED, f"{ended.code()}")
    check(0 < server.told.time_left < 1, f"the server was told {server.told.time_left} s")


def cancelled(channel, server):
    """Who has enough of a stream that holds no seat any more cancels it at the server too."""
    server.told.cancelled.clear()
    heard = channel.unary_stream("/horse.Bets/Watch")(b"", timeout=30)
    check(next(heard) == b"0", "nothing comes")
    time.sleep(0.6)
    heard.cancel()
    check(server.told.cancelled.wait(10), "the server still talks to a client that has gone")


def many(channel):
    """A hundred calls at once."""
    place = channel.unary_unary("/horse.Bets/Place")
    answers = [place.future(b"%d" % n, timeout=20) for n in range(100)]
    check([one.result() for one in answers] == [b"placed: %d" % n for n in range(100)], "answers are mixed up")


def nghttpd(stage, binary):
    """Bodies of any size from a server of HTTP/2 that is not our library's, to curl in HTTP/1.1 and nghttp in HTTP/2."""
    port = next(PORTS)
    page = b"0123456789" * 200_000
    file = stage.write("page", page.decode())
    stage.start("nghttpd", ["nghttpd", "--no-tls", "-m", "4", "-d", str(file.parent), str(port)], port)
    # All at once, however slow this machine is.
    product = 'protocol = "http2"\nlimit = 40\nlatency_objective = "9s"'
    proxy = Proxy(stage, binary, port, product=product, name="nghttpd-before")
    url = f"http://127.0.0.1:{proxy.port}/page"
    curl = ["curl", "-sS", "--http1.1", "--parallel", "--parallel-max", "20", *["-o", "-", url] * 20]
    for ask in (curl, ["nghttp", "-m", "20", url]):
        said = subprocess.run(ask, capture_output=True, timeout=60, check=False)
        check(len(said.stdout) == 20 * len(page), f"{ask}: {len(said.stdout)} bytes, {said.stderr.decode()}")
    proxy.alive()


class Said:
    """What a client says, word by word."""

    def __init__(self):
        self.words, self.there = [], threading.Condition()

    def word(self, word):
        """Say one more; nothing ends it."""
        with self.there:
            self.words.append(word)
            self.there.notify()

    def __iter__(self):
        return self

    def __next__(self):
        with self.there:
            self.there.wait_for(lambda: self.words, timeout=30)
            word = self.words.pop(0) if self.words else None
        if word is None:
            raise StopIteration
        return word


NO_PROXY = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", 1 << 24)]


class Told:
    """What the server saw of its calls."""

    def __init__(self):
        self.time_left, self.cancelled = None, threading.Event()


class Bets(grpc.GenericRpcHandler):
    """Messages are bytes, so that nothing need be generated."""

    def __init__(self, told):
        self.told = told

    def service(self, call):
        """The method that was called."""
        kinds = {
            "Place": grpc.unary_unary_rpc_method_handler(self.place),
            "Sleep": grpc.unary_unary_rpc_method_handler(self.sleep),
            "Odds": grpc.unary_stream_rpc_method_handler(lambda said, _: (str(n).encode() for n in range(int(said)))),
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch),
            "Refuse": grpc.unary_stream_rpc_method_handler(self.refuse),
            "Break": grpc.unary_stream_rpc_method_handler(self.breaks),
            "Coupon": grpc.stream_unary_rpc_method_handler(lambda said, _: b",".join(said)),
            "Talk": grpc.stream_stream_rpc_method_handler(lambda said, _: (b"heard " + word for word in said)),
        }
        return kinds.get(call.method.removeprefix("/horse.Bets/"))

    def place(self, said, call):
        """A bet, with a word before and one behind it."""
        call.send_initial_metadata([("begun", "yes")])
        told = dict(call.invocation_metadata())
        call.set_trailing_metadata([("race", "5"), ("key-bin", told.get("key-bin", b""))])
        return b"placed: " + said

    def sleep(self, _, call):
        """Longer than anybody waits."""
        self.told.time_left = call.time_remaining()
        time.sleep(1)
        return b""

    def watch(self, _, call):
        """Until nobody listens."""
        call.add_callback(self.told.cancelled.set)
        for number in range(600):
            if not call.is_active():
                return
            yield str(number).encode()
            time.sleep(0.05)

    def refuse(self, _, call):
        """Before anything is said."""
        call.set_trailing_metadata([("race", "5")])
        call.abort(grpc.StatusCode.FAILED_PRECONDITION, "räcker inte")

    def breaks(self, _, call):
        """After something is said."""
        yield b"begun"
        call.set_trailing_metadata([("race", "5")])
        call.abort(grpc.StatusCode.DATA_LOSS, "räcker inte")


class Serving:
    """A server, and what it was told."""

    def __init__(self, server, told):
        self.server, self.told = server, told

    def stop(self):
        """At once."""
        self.server.stop(None).wait(10)


def serve(credentials=None):
    """Start a server: it, and its port."""
    told = Told()
    server = grpc.server(futures.ThreadPoolExecutor(32), [Bets(told)], options=[("grpc.max_receive_message_length", 1 << 24)])
    address = "127.0.0.1:0"
    port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    server.start()
    return Serving(server, told), port
