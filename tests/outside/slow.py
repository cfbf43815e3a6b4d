"""Clients that take their time, by slowhttptest: they are shown the door in time, and nobody else notices.

Each kind has a proxy of its own and all run at once, for they do little but wait.
"""

import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from proxied import Proxy, backend, check

CONNECTIONS, SECONDS = 100, 8
# Times that a test can wait for; the proportions are those of the defaults.
LISTEN = 'header_timeout = "2s"\nbody_timeout = "2s"\nsend_timeout = "2s"\nidle_timeout = "2s"\nwaiting_body_bytes = "4KiB"'
# After so many seconds none is left: the longest timeout, what `least_rate` allows beyond it, a second in which they arrive, and one
# for a busy machine.
GONE_BY = 6
PATIENCE_S = 3.0
# Seats for all of them: they come from the same address as the others, whose share is not what this is about.
PRODUCT = "limit = 400\nqueue = { longest_wait = \"5s\" }"
KINDS = {
    # A header line a second, for ever.
    "headers": ["-H", "-i", "1", "-x", "24", "-u", "{url}/slow"],
    # A body of which a few bytes come a second.
    "body": ["-B", "-i", "1", "-x", "10", "-s", "8192", "-u", "{url}/slow"],
    # An answer of a megabyte of which five bytes are taken a second, through a window that is hardly open.
    "read": ["-X", "-w", "10", "-y", "20", "-n", "1", "-z", "5", "-u", "{url}/size/1000000"],
    # A thousand ranges that overlap (CVE-2011-3192): answered, and that is all.
    "range": ["-R", "-a", "5", "-b", "1000", "-t", "HEAD", "-u", "{url}/size/1000"],
}
# Where an operator sees them.
COUNTED = {
    "headers": 'sluss_proxy_connections_closed_total{reason="too_slow"}',
    "body": 'sluss_proxy_faults_total{fault="client_timeout"}',
    "read": 'sluss_proxy_connections_closed_total{reason="too_slow"}',
}


def run(stage, binary, only=None):
    """Every kind, or one."""
    port = backend()
    kinds = [kind for kind in KINDS if not only or kind == only]
    with ThreadPoolExecutor(len(kinds)) as pool:
        told = list(pool.map(lambda kind: play(stage, binary, port, kind), kinds))
    return "; ".join(told)


def play(stage, binary, port, kind):
    """One kind: what came of it, in words."""
    proxy = Proxy(stage, binary, port, LISTEN, PRODUCT, name=f"slow-{kind}")
    url = f"http://127.0.0.1:{proxy.port}"
    arguments = [word.format(url=url) for word in KINDS[kind]]
    with Probe(proxy.port) as probe:
        command = ["slowhttptest", "-c", CONNECTIONS, "-r", CONNECTIONS, "-l", SECONDS, "-p", 3, *arguments]
        tool = stage.start(f"slowhttptest-{kind}", command)
        time.sleep(GONE_BY)
        # As the proxy has it: what its kernel still has to send to who does not read is not its business any more.
        left = proxy.metric("sluss_proxy_connections ")
        tool.wait(60)
    proxy.alive()
    came = proxy.metric("sluss_proxy_connections_accepted_total") - probe.answered
    check(came >= CONNECTIONS, f"slow {kind}: only {came:.0f} connections were made, which shows nothing")
    # The probe has at most one.
    check(left <= 1, f"slow {kind}: {left} are still there after {GONE_BY} s")
    check(probe.answered > 20 and not probe.failed, f"slow {kind}: of others {probe.answered} were served, and {probe.failed}")
    check(probe.longest < PATIENCE_S, f"slow {kind}: somebody else waited for {probe.longest:.1f} s")
    if kind in COUNTED:
        cut = proxy.metric(COUNTED[kind])
        check(cut >= CONNECTIONS // 2, f"slow {kind}: {cut} are counted as {COUNTED[kind]}")
    return f"{kind}: {came:.0f} slow, others {probe.longest * 1000:.0f} ms at most"


class Probe:
    """Somebody else, who asks twenty times a second on a connection of their own each time."""

    def __init__(self, port):
        self.port, self.answered, self.failed, self.longest = port, 0, [], 0.0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.ask)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def ask(self):
        """Ask until it is over."""
        while not self.over.wait(0.05):
            began = time.monotonic()
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
                connection.request("GET", "/odds")
                status = connection.getresponse().status
                connection.close()
            except OSError as error:
                status = error
            self.longest = max(self.longest, time.monotonic() - began)
            if status == 200:
                self.answered += 1
            else:
                self.failed.append(str(status))
