#!/usr/bin/env python3
"""What does the supervisor cost: at a start with nothing to do, and in memory while the app serves?

    cargo build --profile dist && python3 supervisor/benches/boot.py

Beside `tini` (apt-get install tini) starting the same programs, and beside nothing at all; all by turns, so that a
noisy machine is noisy for each. A small program that writes down its first moment stands in for the app in the first
part, so that only what comes before it is measured; the real app comes in the second and third. Needs a C compiler.
"""

import argparse
import contextlib
import http.client
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
import time

FIRST_MOMENT = r"""
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
int main(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    char path[4096];
    snprintf(path, sizeof path, "%s.moment", getenv("HEARTH_DATABASE"));
    FILE *file = fopen(path, "w");
    fprintf(file, "%lld\n", now.tv_sec * 1000000000LL + now.tv_nsec);
    fclose(file);
    for (;;) pause();
}
"""


class Bench:
    """The programs, and a scratch directory with a household's data as a clean stop leaves it."""

    def __init__(self, binaries, scratch, log):
        self.supervisor, self.app = binaries / "supervisor", binaries / "app"
        self.scratch, self.log, self.data = scratch, log, scratch / "data"
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}
        self.port = free_port()
        with self.run(self.under_supervisor(), self.environment):
            self.answer()
        self.live = self.data / "live"
        alone = {"HEARTH_DATABASE": str(self.live.resolve() / "app.db"), "HEARTH_FILES": str(self.data / "files")}
        self.alone = self.environment | alone | {"HEARTH_LISTEN": f"127.0.0.1:{self.port}"}

    def under_supervisor(self):
        return [self.supervisor, "--data-dir", self.data, "--listen", f"127.0.0.1:{self.port}"]

    @contextlib.contextmanager
    def run(self, command, environment):
        """Runs a program, and stops it at the end; gives its pid and when it was started, in nanoseconds."""
        begun = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        actions = [(os.POSIX_SPAWN_DUP2, self.log.fileno(), 1), (os.POSIX_SPAWN_DUP2, self.log.fileno(), 2)]
        pid = os.posix_spawn(command[0], list(map(str, command)), environment, file_actions=actions)
        try:
            yield pid, begun
        finally:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)

    def answer(self):
        """Waits for the app's first answer."""
        for _ in range(20_000):
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    return
            time.sleep(0.0005)
        sys.exit(f"the app does not answer; see {self.log.name}")

    def to_first_moment(self, command, environment):
        """Returns the milliseconds until the program that stands in for the app began."""
        # Beside the database, where the sandbox lets an app write.
        moment = self.live / "app.db.moment"
        moment.unlink(missing_ok=True)
        with self.run(command, environment) as (_, begun):
            while not (moment.exists() and (text := moment.read_text()).endswith("\n")):
                time.sleep(0.0005)
        return (int(text) - begun) / 1e6

    def to_answer(self, command, environment):
        """Returns the milliseconds until the real app answered for the first time."""
        with self.run(command, environment) as (_, begun):
            self.answer()
            return (time.clock_gettime_ns(time.CLOCK_MONOTONIC) - begun) / 1e6

    def memory(self, command, environment, seconds):
        """Returns what the program holds in memory that long after its start, in MiB."""
        with self.run(command, environment) as (pid, _):
            self.answer()
            time.sleep(seconds)
            return rollup(pid)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def rollup(pid):
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}


def enlarge(database, mebibytes):
    """Makes the database that large, by a table that is not Hearth's."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE bench (content BLOB)")
        for _ in range(mebibytes):
            connection.execute("INSERT INTO bench VALUES (randomblob(1048576))")


def by_turns(rounds, ways):
    """Measures each way once a round; returns the figures of each."""
    found = {name: [] for name in ways}
    for turn in range(rounds):
        print(f"round {turn + 1} of {rounds} …", file=sys.stderr)
        for name, way in ways.items():
            found[name].append(way())
    return found


def table(title, found, base):
    middle = {name: statistics.median(values) for name, values in found.items()}
    print(f"\n{title:44}{'median':>8}{'min':>8}{'max':>8}{'added':>8}")
    for name, values in found.items():
        print(f"  {name:42}{middle[name]:8.2f}{min(values):8.2f}{max(values):8.2f}{middle[name] - middle[base]:8.2f}")


def run(options, scratch):
    binaries = options.binaries.resolve()
    for name in ("supervisor", "supervisor-job", "migrator", "app"):
        # The pages of a file that was only just built count as dirty until they are on the disk.
        with open(binaries / name) as program:
            os.fsync(program)
    stand_in = scratch / "first-moment"
    (scratch / "first-moment.c").write_text(FIRST_MOMENT)
    subprocess.run(["cc", "-O1", "-o", stand_in, scratch / "first-moment.c"], check=True)
    with open(scratch / "log", "w") as log:
        measure(options, Bench(binaries, scratch, log), stand_in)


def measure(options, bench, stand_in):
    print(f"{os.cpu_count()} cores, Linux {os.uname().release}, load {os.getloadavg()[0]:.2f}")
    tini = [shutil.which("tini"), "-s", "--"]
    standing_in = bench.environment | {"HEARTH_APP__COMMAND": f'["{stand_in}"]'}
    ways = {
        "nothing before it": lambda: bench.to_first_moment([stand_in], bench.alone),
        "tini": lambda: bench.to_first_moment([*tini, stand_in], bench.alone),
        "supervisor": lambda: bench.to_first_moment(bench.under_supervisor(), standing_in),
    }
    title = "ms from exec to the app's first moment"
    table(title, by_turns(options.rounds, ways), "nothing before it")

    serve = [bench.app, "serve"]
    ways = {
        "nothing before it": lambda: bench.to_answer(serve, bench.alone),
        "tini": lambda: bench.to_answer([*tini, *serve], bench.alone),
        "supervisor": lambda: bench.to_answer(bench.under_supervisor(), bench.environment),
    }
    table("ms from exec to the app's first answer", by_turns(options.rounds, ways), "nothing before it")

    ways = {
        "tini": lambda: bench.memory([*tini, *serve], bench.alone, 10),
        "supervisor": lambda: bench.memory(bench.under_supervisor(), bench.environment, 10),
    }
    found = by_turns(options.memory_rounds, ways)
    print("\nMiB in the first process, 10 s after its app began to serve: median (min–max)")
    for name, each in found.items():
        shown = [
            f"{label} {statistics.median(values):.2f} ({min(values):.2f}–{max(values):.2f})"
            for label, key in (("PSS", "Pss"), ("private dirty", "Private_Dirty"), ("RSS", "Rss"))
            if (values := [one[key] for one in each])
        ]
        print(f"  {name:12}" + ", ".join(shown))

    enlarge(bench.live.resolve() / "app.db", options.large)
    ways = {"supervisor": lambda: bench.to_first_moment(bench.under_supervisor(), standing_in)}
    title = f"the first again, with {options.large} MiB of database"
    table(title, by_turns(options.rounds, ways), "supervisor")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--binaries", type=pathlib.Path, default=root / "target/dist")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--memory-rounds", type=int, default=3)
    parser.add_argument("--large", type=int, default=1024, help="MiB of database in the last part")
    options = parser.parse_args()
    if not shutil.which("tini"):
        sys.exit("tini is missing: apt-get install tini")
    # Beside the binaries, since /tmp may be memory, where an fsync costs nothing.
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.binaries.resolve()) as scratch:
        run(options, pathlib.Path(scratch))


if __name__ == "__main__":
    main()
