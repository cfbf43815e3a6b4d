#!/usr/bin/env python3
"""Tools that others wrote, against the real binary: `make outside`, a part of `make test`.

    tests/outside/run.py SLUSS [SUITE [CASE]]

The proxy runs as its users run it, as a process with a file. Everything is on 127.0.0.1, on ports that are free, and is stopped
at the end, whatever happened.
"""

import sys
import time

import answers
import calls
import clients
import slow
import sockets
import streams
import tls
import vtc_cases
from proxied import Failed, Stage

SUITES = {
    "varnishtest": vtc_cases.run,
    "slowhttptest": slow.run,
    "sslscan": tls.run,
    "clients": clients.run,
    "httplint": answers.run,
    "grpcio": calls.run,
    "http2-backends": streams.run,
    "websockets": sockets.run,
}


def main():
    binary, only, *case = [*sys.argv[1:3], None][:2] + sys.argv[3:4]
    failed = []
    for name, run in SUITES.items():
        if only and name != only:
            continue
        began = time.monotonic()
        try:
            with Stage() as stage:
                told = run(stage, binary, *case)
            print(f"outside: {name}: {told}, {time.monotonic() - began:.1f} s", flush=True)
        except Failed as failure:
            print(f"outside: {name} fails\n{failure}\n", file=sys.stderr, flush=True)
            failed.append(name)
    if failed:
        sys.exit(f"outside: {', '.join(failed)}: failed")


main()
