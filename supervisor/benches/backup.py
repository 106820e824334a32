#!/usr/bin/env python3
"""What does a backup cost, and a restore: time, and memory at its peak?

    cargo build --release && python3 supervisor/benches/backup.py [--mib 1024] [--rounds 3]

Beside `VACUUM INTO` + `zstd -3 -T2` (and back), and beside `restic` (apt-get install sqlite3 zstd restic) of the same
directory; all by turns, so that a noisy machine is noisy for each. Hearth's figures hold everything that it does: the
copy, the archive, reading it back, a full integrity check of the restored database, and for a restore the app's
probation. The others check nothing. Memory is the highest sum over the processes of each command, looked at every 10 ms.
"""

import argparse
import os
import pathlib
import shutil
import signal
import sqlite3
import statistics
import subprocess
import tempfile
import threading
import time


def descendants(root):
    """The pids of a process and of all that descend from it."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = pathlib.Path("/proc", entry, "stat").read_text()
            except OSError:
                continue
            children.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry))
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue.extend(children.get(pid, []))
    return found


def memory(pid):
    """Resident memory of a process and its own peak, in KiB: shared pages (the program's text) count for each."""
    figures = {}
    try:
        for line in pathlib.Path("/proc", str(pid), "status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in ("VmRSS", "VmHWM"):
                figures[name] = int(value.split()[0])
    except OSError:
        pass
    return figures.get("VmRSS", 0), figures.get("VmHWM", 0)


def run(command, environment, shell=False):
    """Runs it; returns seconds, the peak of all its processes together, and that of the largest one, in MiB."""
    begun = time.monotonic()
    child = subprocess.Popen(command, env=environment, shell=shell, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = largest = 0
    said = []
    reader = threading.Thread(target=lambda: said.append(child.stderr.read()))
    reader.start()
    while child.poll() is None:
        figures = [memory(pid) for pid in descendants(child.pid)]
        peak = max(peak, sum(now for now, _ in figures))
        largest = max([largest, *(high for _, high in figures)])
        time.sleep(0.01)
    seconds = time.monotonic() - begun
    reader.join()
    if child.returncode:
        raise SystemExit(f"{command} failed: {said[0].decode()}")
    return seconds, peak / 1024, largest / 1024


def fill(database, mib):
    """Half of it compresses away, as notes and scans do."""
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE ballast (x BLOB)")
    for _ in range(mib * 16):
        connection.execute("INSERT INTO ballast VALUES (?)", (os.urandom(32 << 10) + bytes(32 << 10),))
    connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--binaries", type=pathlib.Path, default=pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target"), "release"))
    options = parser.parse_args()
    supervisor = options.binaries.resolve() / "supervisor"
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", ".")) as scratch:
        scratch = pathlib.Path(scratch).resolve()
        data = scratch / "data"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}
        environment |= {"HEARTH_DATA_DIR": str(data), "HEARTH_LISTEN": "127.0.0.1:0", "HEARTH_BACKUP__SCHEDULE": "off"}
        environment |= {"RESTIC_PASSWORD": "bench", "RESTIC_REPOSITORY": str(scratch / "restic"), "RESTIC_CACHE_DIR": str(scratch / "cache")}
        first = subprocess.Popen([supervisor], env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while b'"serving"' not in subprocess.run([supervisor, "status", "--json"], env=environment, capture_output=True).stdout:
            time.sleep(0.1)
        first.send_signal(signal.SIGTERM)
        first.wait()
        fill(data / "live" / "app.db", options.mib)
        size = os.path.getsize(data / "live" / "app.db") / (1 << 20)
        results = {}
        for _ in range(options.rounds):
            def measure(name, command, shell=False):
                subprocess.run(["sync"])
                results.setdefault(name, []).append(run(command, environment, shell))

            live, out = data / "live" / "app.db", scratch / "out"
            shutil.rmtree(out, ignore_errors=True)
            shutil.rmtree(scratch / "restic", ignore_errors=True)
            out.mkdir()
            subprocess.run(["restic", "init", "-q"], env=environment, check=True)
            measure("backup: `supervisor backup`", [supervisor, "backup", "--quiet"])
            measure("backup: `VACUUM INTO` + `zstd -3 -T2`",
                    f"sqlite3 {live} \"VACUUM INTO '{out}/v.db'\" && zstd -q -3 -T2 {out}/v.db -o {out}/v.zst && sync {out}/v.zst", True)
            measure("backup: `restic backup`", ["restic", "backup", "-q", str((data / "live").resolve())])
            measure("restore: `supervisor restore latest`", [supervisor, "restore", "latest", "--yes"])
            measure("restore: `zstd -d` + fsync", f"zstd -q -d -f {out}/v.zst -o {out}/r.db && sync {out}/r.db", True)
            measure("restore: `restic restore`", ["restic", "restore", "-q", "latest", "--target", str(out / "restic")])
            for other in data.glob("generations/*"):
                if other.resolve() != (data / "live").resolve():
                    shutil.rmtree(other)
            shutil.rmtree(data / "backups")
        print(f"{size:.0f} MiB of database, medians of {options.rounds} rounds\n")
        print("| | s | MB/s | peak of all its processes, MiB | of the largest one, MiB | Hearth takes |")
        print("|---|---|---|---|---|---|")
        for name, figures in results.items():
            seconds, peak, largest = (statistics.median(column) for column in zip(*figures))
            own = [statistics.median(f[0] for f in other) for key, other in results.items()
                   if key.startswith(name.split(":")[0]) and "supervisor" in key][0]
            ratio = "" if "supervisor" in name else f"{own / seconds:.1f} ×"
            print(f"| {name} | {seconds:.1f} | {size * 1.048576 / seconds:.0f} | {peak:.0f} | {largest:.0f} | {ratio} |")


main()
