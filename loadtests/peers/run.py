#!/usr/bin/env python3
"""Processor time per request: Sluss, nginx and HAProxy in turn, in one run (`make bench-peers`).

What it measures and how to read it: loadtests/peers/README.md and docs/benchmarking.md.
"""

import argparse
import re
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import stage  # noqa: E402

HERE = Path(__file__).resolve().parent
OURS = "sluss"
PROXIES = [OURS, "nginx", "haproxy"]
ANSWER = '{"race":"V75-1000","start":"16:20","horses":[{"no":1,"odds":2.45},{"no":2,"odds":7.80},{"no":3,"odds":11.20}],"ok":true}'
assert len(ANSWER) == 120
# What a request asks for, and what every answer to it must be.
SCENARIOS = {
    "proxied": {"path": "/sport/odds/v75-1", "status": 200},
    "refused": {"path": "/horse/odds/v75-1", "status": 503},
}
# With --browser: the headers that a browser sends with every request, cookies included.
BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "application/json, text/plain, */*",
    "Accept-Language": "sv-SE,sv;q=0.8,en-US;q=0.5,en;q=0.3",
    "Accept-Encoding": "gzip, deflate",
    "Referer": "http://bets.example/sport/",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "same-origin",
    "Cookie": "consent=yes; session=5f2d7c0a9be14b6f8a3d; theme=dark",
}


def main():
    options = arguments()
    with stage.Stage() as here:
        bench = Bench(here, options)
        who = stage.provenance({"sluss": [bench.binary, "--version"], "nginx": [bench.nginx, "-v"],
                                "haproxy": [bench.haproxy, "-v"], "wrk": [bench.wrk, "-v"]})
        bench.start_all()
        rounds = bench.rounds()
        document = {
            "what": "processor time of the whole proxy process per request",
            "provenance": who,
            "options": {key: value for key, value in vars(options).items() if key != "keep"},
            "commands": bench.commands,
            "summary": summary(rounds),
            "rounds": rounds,
        }
        show(document)
        if options.keep:
            print(f"\nwritten to {stage.keep('peers-browser' if options.browser else 'peers', document, here.folder)}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=2, help="of one proxy in one scenario in one round")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--browser", action="store_true", help="send the headers of a browser, not only Host")
    parser.add_argument("--scenario", choices=SCENARIOS, action="append", help="only this one")
    parser.add_argument("--quiet-cores", type=float, default=0.2, help="wait while others use more than this")
    parser.add_argument("--patience", type=float, default=20, help="seconds to wait for that, before each measurement")
    parser.add_argument("--tries", type=int, default=3, help="how often a round that others disturbed is run")
    parser.add_argument("--no-keep", dest="keep", action="store_false", help="do not write loadtests/results/")
    return parser.parse_args()


class Bench:
    def __init__(self, here, options):
        self.here, self.options = here, options
        self.binary = stage.sluss_binary()
        self.nginx = stage.find("nginx", "nginx")
        self.haproxy = stage.find("haproxy", "haproxy")
        self.wrk = stage.find("wrk", "wrk")
        self.backend_port, self.admin_port, *ports = stage.free_ports(5)
        self.ports = dict(zip(PROXIES, ports))
        self.processes, self.commands = {}, {}

    # --- the stage ---------------------------------------------------------------------------------------

    def start_all(self):
        self.start("backend", [self.nginx, "-p", self.here.folder, "-c", self.config("backend.conf")], self.backend_port)
        self.start(OURS, [self.binary, "run", "--config", self.config("sluss.toml", PORT=self.ports[OURS])], self.ports[OURS])
        stage.wait_until_ready(self.admin_port)
        stage.order(self.admin_port, "park", "horse-racing", "the refused scenario")
        self.wait_until_parked()
        # The others say no in exactly our words, so that all three send as much.
        status, headers, body = stage.ask(self.ports[OURS], SCENARIOS["refused"]["path"])
        if status != 503:
            raise stage.Failed(f"a parked product answered {status}")
        self.here.write("refusal.json", body.decode())
        words = {"BODY": body.decode().replace("'", "\\'"), "PROXY_STATUS": headers["proxy-status"]}
        nginx = self.config("nginx.conf", PORT=self.ports["nginx"], **words)
        self.start("nginx", [self.nginx, "-p", self.here.folder, "-c", nginx], self.ports["nginx"])
        haproxy = self.config("haproxy.cfg", PORT=self.ports["haproxy"], **words)
        self.start("haproxy", [self.haproxy, "-db", "-f", haproxy], self.ports["haproxy"])
        for proxy in PROXIES:
            self.check_answers(proxy)

    def config(self, name, **values):
        common = {"FOLDER": self.here.folder, "BACKEND": self.backend_port, "ADMIN": self.admin_port, "ANSWER": ANSWER}
        return self.here.write(name, stage.fill(HERE / name, {**common, **values}))

    def start(self, name, command, port):
        self.commands[name] = " ".join(str(word) for word in command)
        self.processes[name] = self.here.start(name, command, port)

    def wait_until_parked(self):
        for _ in range(100):
            if stage.status(self.admin_port)["products"][0]["state"] == "parked":
                return
            time.sleep(0.02)
        raise stage.Failed("the product did not reach `parked`")

    def check_answers(self, proxy):
        """Every scenario answers what it should, and the body that all send."""
        for name, scenario in SCENARIOS.items():
            status, headers, body = stage.ask(self.ports[proxy], scenario["path"])
            wanted = ANSWER.encode() if name == "proxied" else (self.here.folder / "refusal.json").read_bytes()
            if status != scenario["status"] or body != wanted:
                raise stage.Failed(f"{proxy}, {name}: {status} with {body!r}\n{self.here.log(proxy)}")
            lower = {key.lower() for key in headers}
            if name == "refused" and not {"retry-after", "cache-control", "proxy-status"} <= lower:
                raise stage.Failed(f"{proxy} refuses without the headers that Sluss sends: {headers}")

    # --- measuring ---------------------------------------------------------------------------------------

    def rounds(self):
        scenarios = self.options.scenario or list(SCENARIOS)
        for scenario in scenarios:
            for proxy in PROXIES:
                self.measure(scenario, proxy, 1)
        return [self.round(number, scenario) for number in range(self.options.rounds) for scenario in scenarios]

    def round(self, number, scenario):
        """Everybody in turn, each first equally often; the least disturbed of a few tries."""
        turn = number % len(PROXIES)
        best = None
        for _ in range(self.options.tries):
            measured = {}
            for proxy in PROXIES[turn:] + PROXIES[:turn]:
                stage.wait_for_quiet(self.options.quiet_cores, self.options.patience)
                measured[proxy] = self.measure(scenario, proxy, self.options.seconds)
            noise = max(m["others_cores"] for m in measured.values())
            if best is None or noise < best["others_cores"]:
                best = {"scenario": scenario, "others_cores": noise, "measured": measured}
            if noise <= self.options.quiet_cores:
                break
        tell(number, best)
        return best

    def measure(self, scenario, proxy, seconds):
        """One run of the client against one proxy."""
        url = f"http://127.0.0.1:{self.ports[proxy]}{SCENARIOS[scenario]['path']}"
        command = [self.wrk, "-t", "1", "-c", str(self.options.connections), "-d", f"{seconds}s"]
        if self.options.browser:
            command += [word for name, value in BROWSER.items() for word in ("-H", f"{name}: {value}")]
        command.append(url)
        self.commands[f"wrk {scenario} {proxy}"] = " ".join(command)
        # As Prometheus would: Sluss is looked at once in each of its measurements.
        scrape = threading.Timer(seconds / 2, stage.samples, [self.admin_port]) if proxy == OURS else None
        pid = self.processes[proxy].pid
        client_before = resource.getrusage(resource.RUSAGE_CHILDREN)
        backend_before = stage.cpu_ticks(self.processes["backend"].pid)
        machine_before, before, at = stage.machine_busy_s(), stage.cpu_ticks(pid), time.monotonic()
        if scrape:
            scrape.start()
        said = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if scrape:
            scrape.join()
        after, machine_after, took = stage.cpu_ticks(pid), stage.machine_busy_s(), time.monotonic() - at
        client_after = resource.getrusage(resource.RUSAGE_CHILDREN)
        backend_after = stage.cpu_ticks(self.processes["backend"].pid)
        requests = self.check(scenario, proxy, said)
        user, system = ((now - then) / stage.TICKS_PER_S for now, then in zip(after, before))
        ours = user + system + (sum(backend_after) - sum(backend_before)) / stage.TICKS_PER_S
        ours += client_after.ru_utime + client_after.ru_stime - client_before.ru_utime - client_before.ru_stime
        return {
            "requests": requests,
            "per_s": round(requests / took),
            "us": round((user + system) / requests * 1e6, 3),
            "user_us": round(user / requests * 1e6, 3),
            # What everybody else on the machine used meanwhile, in cores: the noise.
            "others_cores": round(max(0.0, machine_after - machine_before - ours) / took, 2),
        }

    def check(self, scenario, proxy, said):
        """How many requests were answered; every one as it should be, or the run is worth nothing."""
        text = said.stdout
        found = re.search(r"(\d+) requests in", text)
        if said.returncode != 0 or not found or int(found[1]) == 0:
            raise stage.Failed(f"wrk against {proxy}, {scenario}:\n{text}{said.stderr}")
        requests = int(found[1])
        errors = re.search(r"Socket errors: .*", text)
        non_2xx = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        non_2xx = int(non_2xx[1]) if non_2xx else 0
        wanted = 0 if scenario == "proxied" else requests
        if errors or non_2xx != wanted:
            raise stage.Failed(f"{proxy}, {scenario}: of {requests} answers {non_2xx} were not 2xx, {wanted} should have "
                               f"been; {errors[0] if errors else 'no socket errors'}\n{self.here.log(proxy)}")
        self.check_answers(proxy)
        return requests


# --- telling -----------------------------------------------------------------------------------------------


def tell(number, one):
    parts = [f"{proxy} {m['us']:.2f} ({m['user_us']:.2f})" for proxy, m in sorted(one["measured"].items())]
    print(f"round {number + 1}, {one['scenario']}: {', '.join(parts)} us per request (user); others "
          f"{one['others_cores']} cores", flush=True)


def summary(rounds):
    """For each scenario: microseconds of each proxy, and ours as a multiple of each peer's, round by round."""
    result = {}
    for scenario in {one["scenario"]: None for one in rounds}:
        measured = [one["measured"] for one in rounds if one["scenario"] == scenario]
        result[scenario] = {
            "us": {proxy: stage.spread([m[proxy]["us"] for m in measured]) for proxy in PROXIES},
            "user_us": {proxy: stage.spread([m[proxy]["user_us"] for m in measured]) for proxy in PROXIES},
            "ratio": {peer: stage.spread([round(m[OURS]["us"] / m[peer]["us"], 4) for m in measured])
                      for peer in PROXIES if peer != OURS},
            "others_cores": stage.spread([one["others_cores"] for one in rounds if one["scenario"] == scenario]),
        }
    return result


def show(document):
    options = document["options"]
    headers = "a browser's headers" if options["browser"] else "only Host"
    print(f"\n{options['rounds']} rounds of {options['seconds']} s each, {options['connections']} connections, {headers}; "
          "median [least .. greatest]")
    for scenario, said in document["summary"].items():
        print(f"\n{scenario}")
        for proxy in PROXIES:
            us, user = said["us"][proxy], said["user_us"][proxy]
            line = f"  {proxy:8} {us['median']:6.2f} us [{us['min']:.2f} .. {us['max']:.2f}], user {user['median']:.2f}"
            if proxy != OURS:
                ratio = said["ratio"][proxy]
                line += f"; sluss / {proxy} = {ratio['median']:.3f} [{ratio['min']:.3f} .. {ratio['max']:.3f}]"
            print(line)
        others = said["others_cores"]
        print(f"  others on the machine: {others['median']:.2f} cores [{others['min']:.2f} .. {others['max']:.2f}]")


if __name__ == "__main__":
    stage.main(main)
