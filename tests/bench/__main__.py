"""`make bench`: Lectern beside nginx and nginx-rtmp on one machine, server and load on a core each.

Started by scripts/bench with the folder of the binaries and the name of the build profile. Environment: BENCH_SECONDS
(length of a measurement), BENCH_REPEATS, BENCH_ONLY (parts, separated by commas), BENCH_QUICK=1 (about five minutes, one
repeat), BENCH_WRITE (1: docs/benchmarks.md is rewritten, 0: it is not; by default only a full-length run writes).
"""

import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
import time

import flv
import lab
import rtmp
import table
from parts import PARTS, Settings

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "benchmarks.md"
LOOP_S = 20
# Name: picture size, video and audio kbit/s, together the rate in the name.
ENCODINGS = {"600k": ("640x360", 536, 64), "3M": ("1280x720", 2904, 96), "5M": ("1280x720", 4904, 96)}


def recording(cache, name):
    """A test picture of that rate: 25 frames a second, a key frame every two seconds, no B-frames, constant bit rate."""
    size, video, audio = ENCODINGS[name]
    path = cache / f"bench-{name}.flv"
    if not path.exists():
        draft = cache / f"bench-{name}.part"
        rate = f"{video}k"
        subprocess.run(
            ["ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25",
             "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", str(LOOP_S), "-c:v", "libx264",
             "-preset", "superfast", "-pix_fmt", "yuv420p", "-bf", "0", "-g", "50", "-keyint_min", "50", "-sc_threshold", "0",
             "-b:v", rate, "-minrate", rate, "-maxrate", rate, "-bufsize", rate, "-x264-params", "nal-hrd=cbr",
             "-c:a", "aac", "-b:a", f"{audio}k", "-f", "flv", draft],
            check=True,
        )  # fmt: skip
        draft.rename(path)
    found = flv.read(path, LOOP_S * 1000)
    found.path = path
    return found


def machine():
    """A line about the machine."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) / 2**20
    virtual = "hypervisor" in pathlib.Path("/proc/cpuinfo").read_text()
    system = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text())[1]
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    nginx = subprocess.run(["nginx", "-v"], capture_output=True, text=True, env={**os.environ, "PATH": path}, check=True)
    rtmp_module = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-rtmp"], capture_output=True, text=True, check=False
    )
    return (
        f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores{', a virtual machine' if virtual else ''}, "
        f"{memory:.0f} GiB; {system}, Linux {platform.release()}; {nginx.stderr.strip().split('/')[-1]} as nginx, "
        f"libnginx-mod-rtmp {rtmp_module.stdout or 'of unknown version'}; loopback."
    )


def say(words):
    """Progress, for people."""
    print(f"bench: {words}", file=sys.stderr, flush=True)


def positive(name, default):
    """A number from the environment."""
    text = os.environ.get(name, str(default))
    if not text.isdigit() or int(text) == 0:
        raise lab.Problem(f"{name}={text}: not a number above 0")
    return int(text)


def main():
    """Measures what was asked for, prints tables, and writes the document."""
    binaries, profile = sys.argv[1], sys.argv[2]
    quick = os.environ.get("BENCH_QUICK", "") not in ("", "0")
    names = [name for name in os.environ.get("BENCH_ONLY", "").split(",") if name] or list(PARTS)
    if unknown := set(names) - set(PARTS):
        raise lab.Problem(f"BENCH_ONLY: there is no {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if (os.cpu_count() or 1) < 2:
        raise lab.Problem("two cores are needed: one for the server, one for the load")
    seconds, repeats = positive("BENCH_SECONDS", 6 if quick else 20), positive("BENCH_REPEATS", 1 if quick else 3)
    write = os.environ.get("BENCH_WRITE", "0" if quick else "1") not in ("", "0")
    cache = pathlib.Path(binaries) / "bench"
    cache.mkdir(exist_ok=True)
    settings = Settings(seconds, repeats, quick, {name: recording(cache, name) for name in ENCODINGS}, binaries, say)
    document = DOCUMENT.read_text()
    for name in names:
        busy, began = os.getloadavg()[0], time.monotonic()
        tables = PARTS[name](settings)
        for found in tables:
            print(found.text(), flush=True)
        say(f"{name}: {time.monotonic() - began:.0f} s")
        times = "once" if repeats == 1 else f"{repeats} times; median and range"
        how = f"Measured for {seconds} s each, {times}; build profile `{profile}`; load average before the start {busy:.1f}."
        text = "\n".join([how, "", *(found.markdown() for found in tables)])
        document = table.replace(document, name, text)
        if write:
            # Part by part: what was measured stays, whatever becomes of the next.
            DOCUMENT.write_text(table.replace(document, "machine", machine()))
            say(f"wrote {name} to {DOCUMENT.relative_to(ROOT)}")


if __name__ == "__main__":
    # Asked to end, it unwinds like any failure, and ends what it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        main()
    except (lab.Problem, rtmp.Failed, subprocess.CalledProcessError) as problem:
        say(f"{problem}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
