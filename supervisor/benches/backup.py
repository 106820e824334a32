#!/usr/bin/env python3
"""How fast are a backup and a restore, and in how much memory, beside `VACUUM INTO` with zstd, and restic?

    cargo build --profile dist && python3 supervisor/benches/backup.py [MiB of database, 1024 if not given] [--binder DIR]

The same database and attachments for all, from a warm page cache; by turns, so that a noisy machine is noisy for each.
Hearth is stopped meanwhile: `supervisor` does the work itself, under the lock, so that nothing but it is measured. What
each writes is on the disk before its time ends. A backup of Hearth's was restored and checked by then, so the others are
shown with the check that makes up for it, too. With --binder it is the binder that
app/benches/binder.py has left in a directory. Needs sqlite3, zstd and tar (apt-get install); restic is measured where it is there,
and with b3sum there are attachments as well.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time

# Kept small, for the memory of what is started begins with that of this program.
BATCH = 256
# Four to a page of the database.
ROW = 1000
ATTACHMENT = 2 << 20
SAMPLE = 0.02


class Memory(threading.Thread):
    """Watches a process and all that it starts: the largest of them, and all together."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.largest, self.together, self.ended = pid, 0, 0, threading.Event()

    def run(self):
        while not self.ended.wait(SAMPLE):
            sizes = [size for pid in family(self.pid) if (size := rss(pid))]
            self.largest = max([self.largest, *(peak for peak, _ in sizes)])
            self.together = max(self.together, sum(now for _, now in sizes))


def family(pid):
    """Returns a process and its descendants."""
    pids = [pid]
    for one in pids:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{one}/task"):
                pids += map(int, pathlib.Path(f"/proc/{one}/task/{task}/children").read_text().split())
    return pids


def rss(pid):
    """Returns what a process held in memory at most and holds now, in KiB; none of one that is gone."""
    with contextlib.suppress(OSError):
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines if line.startswith("Vm"))
        if "VmHWM" in fields:
            return int(fields["VmHWM"].split()[0]), int(fields["VmRSS"].split()[0])
    return None


class Bench:
    """A scratch directory with a household's data, stopped, and what the others make of it."""

    def __init__(self, options, scratch, log):
        self.supervisor = options.binaries.resolve() / "supervisor"
        self.scratch, self.log = scratch, log
        self.data, self.backups = scratch / "data", scratch / "backups"
        self.repository, self.copy, self.restored = scratch / "restic", scratch / "copy.db", scratch / "restored"
        self.archive = scratch / "archive.tar.zst"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")} | {
            "HEARTH_DATA_DIR": str(self.data),
            "HEARTH_BACKUP__DIR": str(self.backups),
            "HEARTH_BACKUP__SCHEDULE": "off",
            "RESTIC_PASSWORD": "bench",
            "RESTIC_REPOSITORY": str(self.repository),
            "RESTIC_CACHE_DIR": str(scratch / "cache"),
        }
        self.begin()
        self.database = (self.data / "live").resolve() / "app.db"
        if options.binder:
            self.attachments = take(options.binder, self.database, self.data / "files")
        else:
            enlarge(self.database, options.mebibytes)
            self.attachments = attach(self.data / "files", options.attachments)
        os.sync()
        self.bytes = self.database.stat().st_size + self.attachments
        # As in a backup, whatever restores make live meanwhile.
        self.members = [str(self.database.relative_to(self.data)), "files"]

    def begin(self):
        """Starts Hearth on the empty directory, and stops it again."""
        port = free_port()
        command = [self.supervisor, "--listen", f"127.0.0.1:{port}"]
        with subprocess.Popen(command, env=self.environment, stdout=self.log, stderr=self.log) as running:
            answer(port, self.log.name)
            running.send_signal(signal.SIGTERM)

    def run(self, script):
        """Runs a script of the shell's to its end; returns the seconds and the memory it took."""
        shell = ["bash", "-euo", "pipefail", "-c", script]
        begun = time.monotonic()
        with subprocess.Popen(shell, env=self.environment, cwd=self.data, stdout=self.log, stderr=self.log) as running:
            memory = Memory(running.pid)
            memory.start()
            status = running.wait()
        seconds = time.monotonic() - begun
        memory.ended.set()
        memory.join()
        if status:
            sys.exit(f"this failed, see {self.log.name}:\n{script}")
        return seconds, memory.largest / 1024, memory.together / 1024

    def clear(self):
        """Makes room for the next one."""
        for path in (self.repository, self.restored, self.copy, self.archive):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        # The database that a backup is made of stays; what restores made of it goes.
        live = (self.data / "live").resolve()
        for generation in (self.data / "generations").iterdir():
            if generation not in (live, self.database.parent):
                shutil.rmtree(generation)

    def ways(self):
        """Returns what is done, by its name: what goes before, and what is measured."""
        members = " ".join(self.members)
        vacuum = f"""sqlite3 {self.database} "VACUUM INTO '{self.copy}'" """
        # zstd takes as many threads as Hearth does.
        packed = f"tar -cf - -C {self.scratch} copy.db -C {self.data} files | zstd -q -3 -T2 -o {self.archive}; sync {self.archive}"
        read = f"mkdir {self.restored}; zstd -q -dc {self.archive} | tar -xf - -C {self.restored}"
        unpacked = f"{read}; {synced(self.restored)}"
        # grep: a damaged database is no error to the shell of SQLite.
        checked = f"sqlite3 {self.restored}/copy.db 'PRAGMA integrity_check' | grep -qx ok"
        saved = f"restic -q backup {members}; {synced(self.repository)}"
        fetched = f"restic -q restore latest --target {self.restored}; {synced(self.restored)}"
        supervisor = self.supervisor
        backup = {
            HEARTH: ("", f"{supervisor} backup --quiet"),
            "`VACUUM INTO`, tar, `zstd -3 -T2`": ("", f"{vacuum}; {packed}"),
            "the same, unpacked and checked": ("", f"{vacuum}; {packed}; {unpacked}; {checked}"),
            "`restic backup`": ("restic -q init", saved),
            "the same, and `restic check --read-data`": ("restic -q init", f"{saved}; restic -q check --read-data"),
        }
        restore = {
            HEARTH: ("", f"{supervisor} restore latest --yes"),
            "`zstd -d`, tar, `integrity_check`": (f"{vacuum}; {packed}", f"{unpacked}; {checked}"),
            "`restic restore`": (f"restic -q init; {saved}", fetched),
        }
        verify = {
            HEARTH: ("", f"{supervisor} backup verify --quiet"),
            "`zstd -d`, tar, `integrity_check`": (f"{vacuum}; {packed}", f"{read}; {checked}"),
        }
        ways = {"backup": backup, "verify": verify, "restore": restore}
        if not shutil.which("restic"):
            print("skipped: restic (apt-get install restic)", file=sys.stderr)
            ways = {title: {name: way for name, way in each.items() if "restic" not in name} for title, each in ways.items()}
        return ways


HEARTH = "**Hearth**"


def synced(directory):
    """Returns the command that puts each file of a directory onto the disk, and nothing of anybody else's."""
    return f"find {directory} -type f -exec sync {{}} +"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answer(port, log):
    """Waits until Hearth serves."""
    for _ in range(3_000):
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        time.sleep(0.02)
    sys.exit(f"the app does not answer; see {log}")


def enlarge(database, mebibytes):
    """Makes the database that large, by a table that is not Hearth's, of text that compresses to half."""
    rows = mebibytes * (1 << 20) // ROW
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE bench (content TEXT)")
        for first in range(0, rows, BATCH):
            with connection:
                notes = ((os.urandom(ROW // 2).hex(),) for _ in range(min(BATCH, rows - first)))
                connection.executemany("INSERT INTO bench VALUES (?)", notes)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def attach(files, mebibytes):
    """Adds attachments that do not compress, under the names that Hearth gives them; returns their length together."""
    if mebibytes and not shutil.which("b3sum"):
        print("skipped: attachments (need b3sum)", file=sys.stderr)
        return 0
    count = mebibytes * (1 << 20) // ATTACHMENT
    for _ in range(count):
        new = files / "new"
        with open(new, "wb") as file:
            file.writelines(os.urandom(64 << 10) for _ in range(ATTACHMENT >> 16))
        name = subprocess.check_output(["b3sum", "--no-names", new], text=True).strip()
        (files / name[:2]).mkdir(mode=0o700, exist_ok=True)
        new.rename(files / name[:2] / name)
    return count * ATTACHMENT


def take(binder, database, files):
    """Takes the database of a binder, and its files as further names of them; returns the length of these together."""
    for old in database.parent.glob("app.db*"):
        old.unlink()
    shutil.copy(binder / "app.db", database)
    shutil.rmtree(files, ignore_errors=True)
    shutil.copytree(binder / "files", files, copy_function=os.link)
    return sum(file.stat().st_size for file in files.rglob("*") if file.is_file())


def table(title, found, total):
    middle = {name: statistics.median(seconds for seconds, _, _ in runs) for name, runs in found.items()}
    print(f"\n| {title} | s, all rounds | MB/s | time, Hearth = 1 | largest process, MiB | all together, MiB |")
    print("|---|---|---|---|---|---|")
    for name, runs in found.items():
        rounds = ", ".join(f"{seconds:.1f}" for seconds, _, _ in sorted(runs))
        largest, together = max(largest for _, largest, _ in runs), max(together for _, _, together in runs)
        ratio = middle[name] / middle[HEARTH]
        print(f"| {name} | {rounds} | {total / 1e6 / middle[name]:.0f} | {ratio:.2f} | {largest:.0f} | {together:.0f} |")


def measure(options, bench):
    print(f"{os.cpu_count()} cores, Linux {os.uname().release}, load {os.getloadavg()[0]:.2f}; Hearth stopped")
    database = (bench.bytes - bench.attachments) >> 20
    print(f"a database of {database} MiB and {bench.attachments >> 20} MiB of attachments, {options.rounds} rounds")
    for title, ways in bench.ways().items():
        found = {name: [] for name in ways}
        for turn in range(options.rounds):
            for name, (before, script) in ways.items():
                print(f"round {turn + 1} of {options.rounds}: {title}, {name} …", file=sys.stderr)
                bench.clear()
                if before:
                    bench.run(before)
                found[name].append(bench.run(script))
        table(title, found, bench.bytes)
    listed = json.loads(subprocess.check_output([bench.supervisor, "backup", "list", "--json"], env=bench.environment))
    print(f"\nHearth's archive: {listed['backups'][0]['backup']['bytes'] / bench.bytes:.2f} of what is in it")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parents[2]
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    parser.add_argument("mebibytes", type=int, nargs="?", default=1024, help="MiB of database")
    parser.add_argument("--attachments", type=int, default=128, help="MiB of attachments")
    parser.add_argument("--binder", type=pathlib.Path, help="a directory with the app.db and the files/ of a binder")
    parser.add_argument("--binaries", type=pathlib.Path, default=target / "release")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scratch", type=pathlib.Path, help="where to work; beside the binaries if not given")
    options = parser.parse_args()
    for program in ("sqlite3", "zstd", "tar"):
        if not shutil.which(program):
            sys.exit(f"{program} is missing: apt-get install {program}")
    # Beside the binaries, since /tmp may be memory, where an fsync costs nothing.
    place = (options.scratch or options.binaries).resolve()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=place) as scratch:
        with open(pathlib.Path(scratch) / "log", "w") as log:
            measure(options, Bench(options, pathlib.Path(scratch), log))


if __name__ == "__main__":
    main()
