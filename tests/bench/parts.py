"""What is measured, part by part. Each gives tables; systems take turns (A-B-A-B), so that a noisy machine hits both."""

import re
import statistics
import time
from dataclasses import dataclass

import load
from lab import LOAD_CORE, SERVER_CORE, Lab, Problem, edge_ports, get, wait_for
from table import Table, against, spread

# Bars, the goals that the project set itself: at most this ratio to nginx.
HLS_BAR, PLAY_BAR, PUBLISH_BAR, FANOUT_BAR = 1.0, 0.5, 1.0, 0.5
RTMP_KIB_BAR, FLV_KIB_BAR = 8, 24
JOIN_S_BAR = 1.0
# Our RTMP players get chunks of this size; nginx-rtmp's own is 4,096.
EQUAL_CHUNK_SIZE = 60_000
# Phases of publishers begin within two seconds; a first segment is closed after two more.
SETTLE_S = 5
# Our rings hold some 20 s of media. With many publishers their growth costs more than what follows, and an event lasts for
# hours.
FULL_RINGS_S = 25
# Less than this of what was published is no fair delivery.
DELIVERED_MIN = 0.97


@dataclass
class Settings:
    """How much is measured."""

    seconds: int
    repeats: int
    quick: bool
    recordings: dict  # "600k", "3M", "5M"
    binaries: str
    say: object

    def lab(self):
        """A fresh set of processes."""
        return Lab(self.binaries)


def live_event(lab, recording, edge_core, streams=1, merge_window_ms=None):
    """An ingest on the load's core, one edge, and a publisher; the edge and its ports, once it plays."""
    ports = edge_ports()
    _, url = lab.ingest(LOAD_CORE, streams, [(ports["relay"], ports["admin"])])
    edge = lab.edge(edge_core, ports, merge_window_ms)
    lab.publish(recording, streams, url)
    wait_for("the first segment", lambda: get(f"http://127.0.0.1:{ports['http']}/live/s0/media.m3u8"), 30)
    return edge, ports


def remarks(costs):
    """Words on what viewers missed."""
    found = {}
    for cost in costs:
        for name, count in cost.troubles.items():
            found[name] = max(found.get(name, 0), count)
    return ", ".join(f"{name} {count}" for name, count in found.items()) or "none"


def hls(settings):
    """Playlists and segments against nginx with the same files."""
    table = Table(
        "HLS against nginx static files",
        ["stream", "load", "measure", "Lectern", "nginx", "ratio"],
        words=["Live viewers follow the stream as players do; the generator and the viewer policy are `lectern-crowd`'s. "
               "nginx serves copies of the same files. `wrk` sends requests as fast as the server answers (one core)."],
    )  # fmt: skip
    for rate, viewers in [("3M", 600), ("600k", 1500)]:
        with settings.lab() as lab:
            edge, ports = live_event(lab, settings.recordings[rate], SERVER_CORE)
            ours = f"http://127.0.0.1:{ports['http']}/live/s0"
            files = lab.folder / "files"
            files.mkdir()
            lab.script("mirror", f"{ours}/index.m3u8", files)
            nginx, theirs = lab.nginx_files(files)
            full = lambda: get(f"{theirs}/media.m3u8").count(b"#EXTINF") >= 4
            wait_for("four segments", full, 30)
            costs = {}
            for _ in range(settings.repeats):
                for who, server, base in [("ours", edge, ours), ("theirs", nginx, theirs)]:
                    for name, cost in hls_turn(settings, lab, server, base, viewers):
                        costs.setdefault(name, {}).setdefault(who, []).append(cost)
            hls_rows(table, rate, viewers, costs)
    return [table]


def hls_turn(settings, lab, server, base, viewers):
    """One server's turn."""
    settings.say(f"hls: {server.name}, {viewers} viewers")
    yield "live", load.crowd(lab, server, "hls", viewers, f"{base}/index.m3u8", settings.seconds)
    short = max(3, settings.seconds // 2)
    yield "playlist", load.wrk(lab, server, f"{base}/media.m3u8", 64, short)
    segment = re.findall(rb"^[^#\n].*$", get(f"{base}/media.m3u8"), re.MULTILINE)[-1].decode()
    yield "segment", load.wrk(lab, server, f"{base}/{segment}", 32, short)


def hls_rows(table, rate, viewers, costs):
    """The rows of one stream."""
    def row(name, words, measure, value, digits, bar):
        ours, theirs = ([value(cost) for cost in costs[name][who]] for who in ("ours", "theirs"))
        verdict = against(ours, theirs, bar)
        table.add(rate, words, measure, spread(ours, digits), spread(theirs, digits), verdict)

    live = f"{viewers} live viewers"
    row("live", live, "CPU s/GB", lambda c: c.s_per_gb, 3, HLS_BAR)
    row("segment", "wrk, one segment, 32 connections", "CPU s/GB", lambda c: c.s_per_gb, 3, HLS_BAR)
    row("playlist", "wrk, playlist, 64 connections", "CPU µs/request", lambda c: c.us_per_request, 1, None)
    missed = {who: remarks(costs["live"][who]) for who in ("ours", "theirs")}
    table.add(rate, live, "what viewers missed", missed["ours"], missed["theirs"], "")


SYSTEMS = {
    "Lectern RTMP": ("rtmp", {}),
    "Lectern HTTP-FLV": ("flv", {}),
    "nginx-rtmp": ("rtmp", None),
    f"nginx-rtmp, chunk {EQUAL_CHUNK_SIZE}": ("rtmp", EQUAL_CHUNK_SIZE),
}


def play_turn(settings, name, viewers, merge_window_ms=None):
    """One system with fresh processes."""
    settings.say(f"play: {name}, {viewers} viewers" + ("" if merge_window_ms is None else f", {merge_window_ms} ms"))
    kind, special = SYSTEMS[name]
    recording = settings.recordings["600k"]
    with settings.lab() as lab:
        if name.startswith("Lectern"):
            server, ports = live_event(lab, recording, SERVER_CORE, merge_window_ms=merge_window_ms)
            http, rtmp = ports["http"], ports["rtmp"]
            url = f"http://127.0.0.1:{http}/live/s0.flv" if kind == "flv" else f"rtmp://127.0.0.1:{rtmp}/live/s0"
        else:
            server, url = lab.nginx_rtmp(special)
            lab.publish(recording, 1, url)
            url = url.replace("{n}", "0")
        cost = load.crowd(lab, server, kind, viewers, url, settings.seconds)
    delivered = cost.bytes / (viewers * cost.seconds * recording.bytes_per_second)
    if delivered < DELIVERED_MIN:
        cost.troubles["deliveredPerCent"] = round(delivered * 100)
    return cost


def play(settings):
    """RTMP and HTTP-FLV viewers against nginx-rtmp's RTMP viewers."""
    ladder = [500, 2000] if settings.quick else [500, 1000, 2000, 4000]
    costs = {}
    for _ in range(settings.repeats):
        for viewers in ladder:
            for name in SYSTEMS:
                costs.setdefault((name, viewers), []).append(play_turn(settings, name, viewers))
    cost_table = Table("RTMP and HTTP-FLV play, 600 kbit/s: CPU seconds per GB", ["viewers", *SYSTEMS, "ratio RTMP", "ratio HTTP-FLV"])  # fmt: skip
    cost_table.words = ["Ratios are to the cheaper nginx-rtmp of the row; nginx-rtmp has no HTTP-FLV."]
    detail = Table("What the viewers of that table got", ["viewers", "system", "server's core", "generator's core", "what viewers missed"])  # fmt: skip
    for viewers in ladder:
        per_gb = {name: [cost.s_per_gb for cost in costs[name, viewers]] for name in SYSTEMS}
        best = min((per_gb[name] for name in SYSTEMS if name.startswith("nginx")), key=statistics.median)
        ratios = [against(per_gb[name], best, PLAY_BAR) for name in ("Lectern RTMP", "Lectern HTTP-FLV")]
        cost_table.add(viewers, *(spread(per_gb[name]) for name in SYSTEMS), *ratios)
        for name in SYSTEMS:
            of_row = costs[name, viewers]
            share = [spread([100 * value for value in values], 0) + " %"
                     for values in ([c.share for c in of_row], [c.load_share for c in of_row])]  # fmt: skip
            detail.add(viewers, name, *share, remarks(of_row))
    tables = [cost_table, play_memory(ladder, costs), detail]
    return tables if settings.quick else [*tables, play_windows(settings)]


def play_memory(ladder, costs):
    """Memory per viewer, as the slope between two sizes of a crowd."""
    low, high = (1000 if 1000 in ladder else ladder[0]), ladder[-1]
    table = Table(f"Memory per viewer (PSS, slope from {low:,} to {high:,} viewers)", ["system", "KiB per viewer", f"MiB at {high:,}", "bar"])  # fmt: skip
    for name, (kind, _) in SYSTEMS.items():
        pairs = zip(costs[name, low], costs[name, high])
        slope = [(more.memory_kib - less.memory_kib) / (high - low) for less, more in pairs]
        bar = "" if name.startswith("nginx") else FLV_KIB_BAR if kind == "flv" else RTMP_KIB_BAR
        verdict = bar and f"{bar} KiB: {'met' if statistics.median(slope) <= bar else '**missed**'}"
        table.add(name, spread(slope, 1), spread([cost.memory_kib / 1024 for cost in costs[name, high]], 1), verdict)
    return table


def play_windows(settings):
    """What other merge windows cost, for information."""
    table = Table("Merge windows, 1,000 viewers, 600 kbit/s: CPU seconds per GB", ["window", "Lectern RTMP", "Lectern HTTP-FLV"])  # fmt: skip
    for window in (0, 40):
        turns = {name: [play_turn(settings, name, 1000, window) for _ in range(settings.repeats)]
                 for name in ("Lectern RTMP", "Lectern HTTP-FLV")}  # fmt: skip
        table.add(f"{window} ms", *(spread([cost.s_per_gb for cost in costs]) for costs in turns.values()))
    return table


def push_turn(settings, system, rate, publishers, sinks, settle_s):
    """Publishers of a rate, each pushed to sinks: what it costs one system."""
    settings.say(f"{system}: {publishers} × {rate} to {sinks} sinks")
    recording = settings.recordings[rate]
    with settings.lab() as lab:
        ports, counters = lab.sinks(sinks, relay=system == "Lectern")
        if system == "Lectern":
            # No test asks a sink's admin port before there is something to fetch.
            server, url = lab.ingest(SERVER_CORE, publishers, [(port, port) for port in ports])
        else:
            server, url = lab.nginx_rtmp(EQUAL_CHUNK_SIZE if "chunk" in system else None, ports)
        lab.publish(recording, publishers, url)
        wait_for("links to all sinks", lambda: counters.links() >= publishers * sinks, 30)
        time.sleep(settle_s)
        cost = load.passing(server, settings.seconds, counters)
    wanted = publishers * sinks * cost.seconds * recording.bytes_per_second
    if cost.bytes < wanted * DELIVERED_MIN:
        cost.troubles["deliveredPerCent"] = round(cost.bytes / wanted * 100)
    return cost


PUSHERS = ["Lectern", "nginx-rtmp", f"nginx-rtmp, chunk {EQUAL_CHUNK_SIZE}"]


def push_costs(settings, shapes, settle_s):
    """Turns of all systems for all (rate, publishers, sinks)."""
    costs = {}
    for _ in range(settings.repeats):
        for shape in shapes:
            for system in PUSHERS:
                costs.setdefault((shape, system), []).append(push_turn(settings, system, *shape, settle_s))
    return costs


def publish(settings):
    """Publishers per core, each pushed to two sinks."""
    shapes = [("600k", 60, 2), ("3M", 24, 2)]
    costs = push_costs(settings, shapes, FULL_RINGS_S)
    table = Table("Publishers per core, each pushed to two sinks", ["stream", "publishers", *PUSHERS, "CPU per publisher, ratio", "missed"])  # fmt: skip
    table.words = ["Publishers per core are 1 / (CPU seconds per second and publisher), measured at the number given. "
                   "Ratios are to the cheaper nginx-rtmp of the row. Lectern also muxes and hashes every segment there, which nginx-rtmp does not."]  # fmt: skip
    for shape in shapes:
        rate, publishers, _ = shape
        each = {system: [cost.share / publishers for cost in costs[shape, system]] for system in PUSHERS}
        best = min((each[system] for system in PUSHERS[1:]), key=statistics.median)
        per_core = [spread([1 / share for share in each[system]], 0) for system in PUSHERS]
        missed = "; ".join(f"{s}: {remarks(costs[shape, s])}" for s in PUSHERS if remarks(costs[shape, s]) != "none")
        table.add(rate, publishers, *per_core, against(each["Lectern"], best, PUBLISH_BAR), missed or "nothing")
    return [table]


def fanout(settings):
    """One publisher, many sinks."""
    rates, sizes = (["3M"] if settings.quick else ["3M", "600k"]), [2, 8, 32]
    shapes = [(rate, 1, sinks) for rate in rates for sinks in sizes]
    costs = push_costs(settings, shapes, SETTLE_S)
    table = Table("Fan-out of one publisher: CPU milliseconds per second and sink", ["stream", "sinks", *PUSHERS, "ratio", "missed"])  # fmt: skip
    table.words = ["\"2 → 32\" is the slope: what one more sink costs. Ratios are to the cheaper nginx-rtmp of the row."]
    def add(rate, sinks, each, missed):
        best = min((each[system] for system in PUSHERS[1:]), key=statistics.median)
        table.add(rate, sinks, *(spread(each[s], 2) for s in PUSHERS), against(each["Lectern"], best, FANOUT_BAR), missed)

    for rate in rates:
        for sinks in sizes:
            of_row = {system: costs[(rate, 1, sinks), system] for system in PUSHERS}
            each = {system: [cost.share * 1000 / sinks for cost in found] for system, found in of_row.items()}
            missed = "; ".join(f"{s}: {remarks(c)}" for s, c in of_row.items() if remarks(c) != "none")
            add(rate, sinks, each, missed or "nothing")
        slope = {system: [(more.share - less.share) * 1000 / 30
                          for less, more in zip(costs[(rate, 1, 2), system], costs[(rate, 1, 32), system])]
                 for system in PUSHERS}  # fmt: skip
        add(rate, "2 → 32", slope, "")
    return [table]


def join(settings):
    """An edge joins a live event with a full window."""
    recording = settings.recordings["5M"]
    times, whole, listed = [], [], 0
    with settings.lab() as lab:
        old, new = edge_ports(), edge_ports()
        pair = lambda ports: (ports["relay"], ports["admin"])
        _, url = lab.ingest(LOAD_CORE, 1, [pair(old)])
        lab.edge(LOAD_CORE, old)
        lab.publish(recording, 1, url)
        window = lambda ports: get(f"http://127.0.0.1:{ports['http']}/live/s0/media.m3u8").count(b"#EXTINF")
        settings.say("join: waiting for a full window")
        wait_for("eight segments", lambda: window(old) >= 8, 40)
        for _ in range(3 * settings.repeats):
            began = time.monotonic()
            edge = lab.edge(SERVER_CORE, new)
            told = time.monotonic()
            lab.peers([pair(old), pair(new)])
            wait_for("the edge is ready", lambda: get(f"http://127.0.0.1:{new['admin']}/readyz") is not None, every=0.002)
            ready = time.monotonic()
            listed = window(new)
            if listed < 8:
                raise Problem(f"the edge was ready with {listed} segments")
            times.append(ready - told)
            whole.append(ready - began)
            lab.peers([pair(old)])
            edge.end()
            time.sleep(1)
    verdict = f"{JOIN_S_BAR} s: {'met' if statistics.median(times) <= JOIN_S_BAR else '**missed**'}"
    table = Table("An edge joins: 5 Mbit/s, a window of 16 s", ["from", "seconds to Ready", "joins", "bar"])
    table.add("the ingest's peer list names it", spread(times, 2), len(times), verdict)
    table.add("its process starts", spread(whole, 2), len(times), "")
    table.words = [f"The first includes the time until the ingest looks at its list again. Each time the edge then listed {listed} segments."]
    return [table]


PARTS = {"hls": hls, "play": play, "publish": publish, "fanout": fanout, "join": join}
