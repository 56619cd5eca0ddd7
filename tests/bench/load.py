"""Load on a server and what it cost: viewers of lectern-crowd, requests of wrk, or just time that passes."""

import json
import re
import subprocess
import time
from dataclasses import dataclass, field

from lab import LOAD_CORE, Problem

# lectern-crowd says how much came this often.
PROGRESS_S = 2
# Viewers that join a second, and the time after that until it is measured.
JOINS_PER_S = 600
SETTLE_S = 3
MBIT = 125_000
UNITS = {"": 1, "B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}


@dataclass
class Cost:
    """What a window of time cost and brought."""

    seconds: float
    cpu_s: float
    bytes: float
    requests: int = 0
    load_share: float = 0.0
    memory_kib: int = 0
    troubles: dict = field(default_factory=dict)

    @property
    def s_per_gb(self):
        """CPU seconds per 10^9 bytes."""
        return self.cpu_s / self.bytes * 1e9 if self.bytes else float("nan")

    @property
    def us_per_request(self):
        """CPU microseconds per request."""
        return self.cpu_s / self.requests * 1e6 if self.requests else float("nan")

    @property
    def share(self):
        """Part of a core that the server used."""
        return self.cpu_s / self.seconds


def crowd(lab, server, kind, viewers, url, seconds):
    """Runs viewers of one kind and measures `server` for the last `seconds`, when all have joined."""
    ramp = max(2.0, viewers / JOINS_PER_S)
    report = lab.folder / "crowd.json"
    command = [
        lab.binaries / "lectern-crowd", url, f"--{kind}", viewers, "--hash", "never", "--json", report,
        "--ramp", f"{ramp:.1f}s", "--duration", f"{ramp + SETTLE_S + seconds + 2 * PROGRESS_S:.1f}s",
    ]  # fmt: skip
    process = lab.start("crowd", LOAD_CORE, command, stderr=subprocess.PIPE)
    begun, came, end = None, 0, None
    # A line each two seconds: what came since the last one. The window begins and ends with a line.
    for line in process.child.stderr:
        found = re.match(rb"\s*(\d+)s .*\| (\d+) Mbit/s", line)
        if not found or int(found[1]) < ramp + SETTLE_S:
            continue
        now = (time.monotonic(), server.cpu_s(), process.cpu_s())
        if begun is None:
            begun = now
        elif end is None:
            came += int(found[2]) * MBIT * PROGRESS_S
            if now[0] - begun[0] >= seconds - PROGRESS_S / 2:
                end, memory = now, server.memory_kib()
    process.child.wait()
    if end is None:
        raise Problem(f"lectern-crowd ended too soon: {process.said()}")
    tally = json.loads(report.read_text())["viewers"][kind]
    troubles = {name: tally[name] for name in ("errors", "stalledViewers", "gaps", "back", "refusals") if tally[name]}
    if tally["pictures"] < viewers:
        troubles["withoutPicture"] = viewers - tally["pictures"]
    elapsed = end[0] - begun[0]
    return Cost(
        elapsed, end[1] - begun[1], came,
        load_share=(end[2] - begun[2]) / elapsed, memory_kib=memory, troubles=troubles,
    )  # fmt: skip


def wrk(lab, server, url, connections, seconds):
    """As many requests as the server answers."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", url]
    before, began = server.cpu_s(), time.monotonic()
    process = lab.start("wrk", LOAD_CORE, command, stdout=subprocess.PIPE)
    said = process.child.communicate()[0].decode()
    elapsed = time.monotonic() - began
    found = re.search(r"(\d+) requests in [\d.]+m?s, ([\d.]+)([KMGT]?B) read", said)
    if not found or "Non-2xx" in said:
        raise Problem(f"wrk at {url}: {said} {process.said()}")
    read = float(found[2]) * UNITS[found[3]]
    return Cost(elapsed, server.cpu_s() - before, read, requests=int(found[1]))


def passing(server, seconds, counters):
    """Measures a server that works by itself for a while; bytes are those that sinks got."""
    began, cpu, had = time.monotonic(), server.cpu_s(), counters.bytes()
    time.sleep(seconds)
    return Cost(time.monotonic() - began, server.cpu_s() - cpu, counters.bytes() - had)
