#!/usr/bin/env python3
"""What does the rehearsal of an upgrade cost those who use Hearth meanwhile, and what does it cost at all?

    cargo build --profile dist && python3 supervisor/benches/rehearsal.py

200 writes a second go on, each on a connection of its own: with nothing beside them, beside `cp` of the same database with an fsync, and beside
`supervisor rehearse`, by turns, so that a noisy machine is noisy for each. None may fail. Then what the rehearsal took in time and space, and PID 1's
memory with the image's app and with a kept one.
"""

import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
EMAIL, PASSWORD = "owner@example.org", "seven-green-bottles"
PACE = 0.005


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    data = None if body is None else json.dumps(body)
    connection.request(method, path, data, {"content-type": "application/json", "sec-fetch-site": "same-origin", **(headers or {})})
    answer = connection.getresponse()
    text = answer.read()
    return answer.status, answer.headers, text


def record(number, pad):
    return {"title": f"Boiler {number}", "category": "house", "notes": f"line {number} " + "of a long text " * pad}


class Hearth:
    def __init__(self, programs, scratch):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.data, self.log = scratch / "data", open(scratch / "log", "ab")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}
        self.environment |= {
            "HEARTH_DATA_DIR": str(self.data),
            "HEARTH_LISTEN": f"127.0.0.1:{self.port}",
            "HEARTH_BACKUP__SCHEDULE": "off",
            "HEARTH_AUTH__ADMIN_EMAIL": EMAIL,
            "HEARTH_AUTH__ADMIN_PASSWORD": PASSWORD,
        }
        self.start(programs)

    def start(self, programs):
        self.programs = programs
        self.process = subprocess.Popen([programs / "supervisor"], env=self.environment, stdout=self.log, stderr=self.log)
        self.until(lambda: ask(self.port, "GET", "/health")[0] == 200)

    def until(self, holds):
        for _ in range(6000):
            try:
                if holds():
                    return
            except OSError:
                pass
            time.sleep(0.05)
        sys.exit(f"it does not come to that; see {self.log.name}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def sign_in(self):
        _, headers, _ = ask(self.port, "POST", "/api/v1/session", {"email": EMAIL, "password": PASSWORD})
        cookie = headers["set-cookie"].split(";")[0]
        status, _, text = ask(self.port, "POST", "/api/v1/tokens", {"name": "bench", "scope": "admin"}, {"cookie": cookie})
        assert status == 201, text
        return {"authorization": f"Bearer {json.loads(text)['secret']}"}

    def supervisor(self, *words):
        done = subprocess.run([self.programs / "supervisor", *words], env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{words}: {done.stderr}")
        return done.stdout

    def memory(self):
        lines = pathlib.Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()[1:]
        found = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines}
        return found["Pss"], found["Private_Dirty"]


def write(port, headers, number):
    began = time.perf_counter()
    try:
        status, _, _ = ask(port, "POST", "/api/v1/records", record(number, 2), headers)
    except OSError as error:
        return None, str(error)
    return time.perf_counter() - began, None if status == 201 else status


def load(port, headers, seconds, beside):
    """Sends 200 writes a second for so long, with something beside them; returns milliseconds, and what failed."""
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        other = pool.submit(beside)
        began, sent = time.perf_counter(), []
        while (time.perf_counter() - began < seconds) or not other.done():
            sent.append(pool.submit(write, port, headers, len(sent)))
            time.sleep(max(0, began + len(sent) * PACE - time.perf_counter()))
        results = [done.result() for done in sent]
    failed = [why for _, why in results if why is not None]
    return sorted(took * 1000 for took, why in results if why is None), failed, other.result()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=pathlib.Path, default=ROOT / "target/dist")
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        images = []
        for number in range(2):
            image = scratch / f"image-{number}"
            image.mkdir()
            for name in ("supervisor", "supervisor-job", "migrator", "app"):
                shutil.copy2(arguments.programs / name, image / name)
            # Another build of the same: what follows a program's end changes nothing but its hash.
            with open(image / "app", "ab") as app:
                app.write(f"\nbuild {number}\n".encode())
            images.append(image)
        # What was just written would count as private and dirty in a process that runs it.
        os.sync()
        hearth = Hearth(images[0], scratch)
        headers = hearth.sign_in()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: ask(hearth.port, "POST", "/api/v1/records", record(number, 30), headers), range(arguments.records)))
        hearth.until(lambda: (hearth.data / "supervisor/programs.json").exists())
        before = hearth.memory()
        database = (hearth.data / "live").resolve() / "app.db"

        def nothing():
            time.sleep(3)

        def cp():
            subprocess.run(["sh", "-c", f"cp {database} {scratch}/copy && sync {scratch}/copy"], check=True)

        def rehearse():
            done = subprocess.run([images[1] / "supervisor", "rehearse", "--json"], env=hearth.environment, capture_output=True, text=True)
            if done.returncode != 0:
                sys.exit(done.stderr)
            return json.loads(done.stdout)

        rounds = {"nothing": [], "cp": [], "rehearse": []}
        told = []
        for _ in range(arguments.rounds):
            for name, beside in (("nothing", nothing), ("cp", cp), ("rehearse", rehearse)):
                took, failed, said = load(hearth.port, headers, 3, beside)
                assert not failed, f"{len(failed)} of {len(took) + len(failed)} failed beside {name}: {failed[:3]}"
                rounds[name].append((took[len(took) // 2], took[len(took) * 99 // 100], took[-1], len(took)))
                told += [said] if said else []
        print(f"database {database.stat().st_size / 2**20:.0f} MiB; medians of {arguments.rounds} rounds")
        print("| beside 200 writes a second | p50 ms | p99 ms | longest ms | writes | failed |\n|---|---|---|---|---|---|")
        for name, rows in rounds.items():
            p50, p99, longest, count = (statistics.median(column) for column in zip(*rows))
            print(f"| {name} | {p50:.1f} | {p99:.1f} | {longest:.0f} | {count:.0f} | 0 |")
        milliseconds = statistics.median(said["milliseconds"] for said in told)
        print(f"a rehearsal took {milliseconds / 1000:.1f} s, its copy {told[0]['bytes'] / 2**20:.0f} MiB")
        hearth.stop()
        # A kept app: the migrator of the next image cannot be started.
        (images[1] / "migrator").write_text("#!/bin/sh\ncase $1 in status) exec %s \"$@\";; esac\nexit 9\n" % (images[0] / "migrator"))
        hearth.start(images[1])
        hearth.until(lambda: json.loads(hearth.supervisor("status", "--json")).get("fallback", {}).get("failure"))
        time.sleep(10)
        after = hearth.memory()
        print(f"PID 1: {before[0]:.2f} MiB PSS, {before[1]:.2f} private dirty; with a kept app serving {after[0]:.2f} and {after[1]:.2f}")
        hearth.stop()


if __name__ == "__main__":
    main()
