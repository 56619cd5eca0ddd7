"""Processes that are measured and processes that measure: started on a core of their own, ended with the run."""

import contextlib
import hashlib
import hmac
import json
import mmap
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
SERVER_CORE, LOAD_CORE = 0, 1
READY_S = 20
KEY = "bench-key-0123456789"
SEED = "62656e63682062656e63682062656e63682062656e63682062656e6368206265"
# CPUCLOCK_SCHED of the kernel: time on a processor, of all threads of a process.
CPU_CLOCK_OF_PROCESS = 2
NGINX_RTMP_MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so"


class Problem(Exception):
    """A reason to end the measurement."""


# Below what Linux gives to outgoing connections (net.ipv4.ip_local_port_range): between the look and the listener no
# viewer or relay can take it.
PORTS = range(20_000, 32_000)


def free_port():
    """A port without a listener."""
    for port in random.sample(PORTS, len(PORTS)):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise Problem(f"no port of 127.0.0.1 from {PORTS.start} to {PORTS.stop} is free")


def wait_for(what, condition, seconds=READY_S, every=0.02):
    """Waits until the condition gives something true, and gives that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if found := condition():
                return found
        time.sleep(every)
    raise Problem(f"{what}: not within {seconds} s")


def get(url):
    """The body of an answer with status 200; OSError otherwise."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read()


def accepts(port):
    """Whether a process listens."""
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


class Process:
    """A child pinned to a core, in a group of its own."""

    def __init__(self, lab, name, core, command, **options):
        self.name, self.log = name, lab.folder / f"{name}.log"
        with open(self.log, "ab") as log:
            options = {"stdout": log, "stderr": log, **options}
            environment = {k: v for k, v in os.environ.items() if not k.startswith("LECTERN_")}
            pinned = ["taskset", "-c", str(core), *map(str, command)]
            self.child = subprocess.Popen(
                pinned, stdin=subprocess.DEVNULL, env=environment, start_new_session=True, **options
            )
        self.pid = self.child.pid

    def cpu_s(self):
        """User and system time of all its threads so far."""
        # As clock_getcpuclockid(3) makes it. The sum of utime and stime in /proc/PID/stat is the same in steps of 10 ms,
        # which is too coarse for a stream to two sinks.
        try:
            return time.clock_gettime((~self.pid << 3) | CPU_CLOCK_OF_PROCESS)
        except OSError as error:
            raise Problem(f"{self.name} has ended: {self.said()}") from error

    def memory_kib(self):
        """Proportional set size: what it has in memory, without the kernel's socket buffers."""
        for line in pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
        raise Problem(f"the kernel tells no memory of {self.name}")

    def said(self):
        """The end of its log."""
        return self.log.read_text(errors="replace")[-800:]

    def end(self):
        """Kills it and what it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.child.wait()


class Lab(contextlib.ExitStack):
    """A folder and the processes of one run; leaving it ends them."""

    def __init__(self, binaries):
        super().__init__()
        self.binaries = pathlib.Path(binaries)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lectern-bench-"))
        self.callback(shutil.rmtree, self.folder, ignore_errors=True)

    def start(self, name, core, command, **options):
        """Starts a process that ends with the lab."""
        process = Process(self, name, core, command, **options)
        self.callback(process.end)
        return process

    def script(self, name, *arguments):
        """Starts one of the helpers beside this file on the load's core, and waits until it is ready."""
        command = [sys.executable, "-B", HERE / f"{name}.py", *arguments]
        process = self.start(name, LOAD_CORE, command, stdout=subprocess.PIPE)
        if process.child.stdout.readline() != b"ready\n":
            raise Problem(f"{name} ended: {process.said()}")
        return process

    def publish(self, recording, number, url):
        """Publishers of a recording (file, loop in ms)."""
        return self.script("replay", recording.path, recording.loop_ms, number, url)

    def sinks(self, number, relay):
        """Servers that drop what is pushed to them: their ports, and what they have got."""
        ports = [free_port() for _ in range(number)]
        counters = self.folder / "sink.counters"
        counters.write_bytes(bytes(16))
        self.script("sink", counters, *ports, *(["--relay"] if relay else []))
        return ports, Counters(counters)

    def node(self, role, core, config):
        """A node; gives the process once it answers."""
        file = self.folder / f"{role}.json"
        file.write_text(json.dumps(config))
        command = [self.binaries / "lectern-node", role, "--config", file, "--log", "warn"]
        process = self.start(role, core, command)
        admin = f"http://{config['listen']['admin']}/healthz"
        wait_for(f"the {role} answers ({process.log})", lambda: get(admin) is not None)
        return process

    def ingest(self, core, streams, peers, window=8):
        """An ingest; gives the process and its publish URL with `{n}` for the stream's number."""
        keys = self.folder / "keys"
        keys.mkdir(exist_ok=True)
        names = [f"s{n}" for n in range(streams)]
        for name in names:
            (keys / name).write_text(KEY)
        (self.folder / "seed").write_text(SEED)
        token = hmac.new(SEED.encode(), b"relay", hashlib.sha256).hexdigest()
        (self.folder / "token").write_text(token)
        listen = {"rtmp": f"127.0.0.1:{free_port()}", "admin": f"127.0.0.1:{free_port()}"}
        self.peers(peers)
        config = {
            "event": "default/bench", "streams": [{"name": name} for name in names], "hls": {"window": window},
            "discovery": {"type": "file", "path": str(self.folder / "peers.json")},
            "seedFile": str(self.folder / "seed"), "publishKeysDir": str(keys), "listen": listen,
        }  # fmt: skip
        return self.node("ingest", core, config), f"rtmp://{listen['rtmp']}/live/s{{n}}?key={KEY}"

    def peers(self, peers):
        """Tells the ingest where edges are: pairs of relay and admin port."""
        draft, at = self.folder / "peers.part", "127.0.0.1:"
        draft.write_text(json.dumps([{"relay": f"{at}{relay}", "admin": f"{at}{admin}"} for relay, admin in peers]))
        draft.rename(self.folder / "peers.json")

    def edge(self, core, ports, merge_window_ms=None):
        """An edge on these ports (a dictionary of http, rtmp, relay, admin)."""
        config = {
            "event": "default/bench", "tokenFile": str(self.folder / "token"), "viewersPerEdge": 100_000,
            "drainMs": 1_000, "listen": {name: f"127.0.0.1:{port}" for name, port in ports.items()},
        }  # fmt: skip
        if merge_window_ms is not None:
            config["mergeWindowMs"] = merge_window_ms
        return self.node("edge", core, config)

    def nginx(self, body):
        """An nginx of one process; `body` is what stands beside `events`."""
        config = self.folder / "nginx.conf"
        user = "user root;" if os.geteuid() == 0 else ""
        config.write_text(
            f"load_module {NGINX_RTMP_MODULE};\n{user} daemon off; master_process off; pid {self.folder}/nginx.pid;\n"
            f"error_log {self.folder}/nginx.error crit; events {{ worker_connections 16384; }}\n{body}\n"
        )
        binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        command = [binary, "-c", config, "-e", self.folder / "nginx.error", "-p", self.folder]
        return self.start("nginx", SERVER_CORE, command)

    def nginx_rtmp(self, chunk_size=None, push=()):
        """nginx-rtmp; gives the process and its URL with `{n}`."""
        port = free_port()
        chunk = f"chunk_size {chunk_size};" if chunk_size else ""
        pushes = " ".join(f"push rtmp://127.0.0.1:{sink}/live;" for sink in push)
        process = self.nginx(
            f"rtmp {{ access_log off; server {{ listen 127.0.0.1:{port}; ping 10m; {chunk}\n"
            f"application live {{ live on; {pushes} }} }} }}"
        )
        wait_for("nginx-rtmp answers", lambda: accepts(port))
        return process, f"rtmp://127.0.0.1:{port}/live/s{{n}}"

    def nginx_files(self, folder):
        """nginx with static files; gives the process and the URL of the folder."""
        port = free_port()
        process = self.nginx(
            "http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;\n"
            "types { application/vnd.apple.mpegurl m3u8; video/mp2t ts; }\n"
            # Validity of a second: with a longer one a live playlist would be served stale.
            "open_file_cache max=1000 inactive=60s; open_file_cache_valid 1s;\n"
            f"server {{ listen 127.0.0.1:{port} backlog=4096; root {folder}; }} }}"
        )
        wait_for("nginx answers", lambda: accepts(port))
        return process, f"http://127.0.0.1:{port}"


class Counters:
    """What sinks have got."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.map = mmap.mmap(file.fileno(), 16, prot=mmap.PROT_READ)

    def bytes(self):
        """Bytes of media."""
        return struct.unpack_from("<Q", self.map, 0)[0]

    def links(self):
        """Links that are open."""
        return struct.unpack_from("<Q", self.map, 8)[0]


def edge_ports():
    """Ports for an edge."""
    return {name: free_port() for name in ("http", "rtmp", "relay", "admin")}
