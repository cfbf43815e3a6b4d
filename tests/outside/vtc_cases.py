"""Cases that varnishtest plays against the proxy: it is the client and the backend, and the proxy stands between.

Each file under vtc/ has a proxy of its own. Lines `#listen: key = value` and `#product: key = value` in it go into the
configuration; `${proxy}` and `${backend}` are addresses in the form that varnishtest wants, `${admin}` in that of curl.
Cases in HTTP/2 allow one stream at a time: then the window of the connection is what it is to begin with, and no WINDOW_UPDATE comes
into the middle of varnishtest's handshake.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor

from proxied import HERE, PORTS, Failed, Proxy


def run(stage, binary, only=None):
    """Play every case, two at a time; all that fail are told."""
    cases = sorted(path for path in (HERE / "vtc").glob("*.vtc") if not only or only in path.name)
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda case: play(stage, binary, case), cases))
    failed = [text for text in said if text]
    if failed:
        raise Failed("\n\n".join(failed) + f"\n\n{len(failed)} of {len(cases)} cases fail")
    return f"{len(cases)} cases"


def start(stage, binary, case, port):
    """A proxy for a case, which will listen on this port."""
    wants = {"listen": "", "product": ""}
    for line in case.read_text().splitlines():
        for section in wants:
            wants[section] += line.removeprefix(f"#{section}: ") + "\n" if line.startswith(f"#{section}: ") else ""
    return Proxy(stage, binary, port, **wants, name=case.stem)


def play(stage, binary, case):
    """Nothing, or what varnishtest said."""
    port = next(PORTS)
    proxy = start(stage, binary, case, port)
    macros = [f"-Dproxy=127.0.0.1 {proxy.port}", f"-Dbackend=127.0.0.1 {port}", f"-Dadmin=127.0.0.1:{proxy.admin_port}"]
    done = subprocess.run(["varnishtest", "-t", "20", *macros, case], capture_output=True, text=True, errors="replace", cwd=stage.folder, check=False)
    try:
        proxy.alive()
    except Failed as failed:
        return f"{case.name}: {failed}"
    finally:
        proxy.process.terminate()
    # A case that varnishtest skips has shown nothing: 77 is no success.
    return f"{done.stdout}{done.stderr}" if done.returncode else None
