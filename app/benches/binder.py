#!/usr/bin/env python3
"""What does a large binder take?

    cargo build --profile dist && python3 app/benches/binder.py [--binaries DIR] [--records N] [--kib SIZE] [--data DIR] [--uploads]

fills a Hearth over its API with records that have fields, tags, places and two attachments each, and measures, one request
at a time while another client browses: lists, searches, what is saved, and the pages that people see. With --uploads, four
files of 2 GB come in side by side meanwhile, and previews of photographs are made. The figures are milliseconds at the client,
over connections that stay open; beside them stands what SQLite takes by itself, on the same disk and in the same run.
"""

import argparse
import concurrent.futures
import contextlib
import http.client
import json
import math
import os
import pathlib
import random
import sqlite3
import statistics
import struct
import sys
import threading
import time
import urllib.parse
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "app/tests/outside"))

import hearth  # noqa: E402

WORDS = (
    "boiler invoice guarantee kettle insurance passport bicycle washer radiator contract receipt manual lease window heater "
    "garden cellar drill printer battery camera wardrobe ladder tyre roof oven dentist school vaccine policy meter"
).split()
KINDS = ["note", "thing", "thing", "thing", "contract", "identity_document", "vehicle", "home"]
TAGS = [f"tag {number}" for number in range(60)]


class Client:
    """A program with a connection of its own."""

    def __init__(self, url, headers):
        self.address = urllib.parse.urlsplit(url).netloc
        self.headers = headers
        self.connection = http.client.HTTPConnection(self.address, timeout=120)

    def ask(self, method, path, document=None, body=None, headers=None):
        """Returns the answer's document, its size and how many milliseconds it took."""
        if document is not None:
            body = json.dumps(document).encode()
            headers = {"content-type": "application/json"} | (headers or {})
        begun = time.perf_counter()
        self.connection.request(method, path, body, self.headers | (headers or {}))
        answer = self.connection.getresponse()
        content = answer.read()
        took = (time.perf_counter() - begun) * 1000
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:500]!r}")
        is_json = "json" in (answer.headers["content-type"] or "")
        return (json.loads(content) if is_json and content else None), len(content), took


def record(chance, number, places):
    fields = [
        {"key": "serial_number", "label": "Serial number", "value": f"SN-{number:06}-{chance.randrange(10**6):06}"},
        {"key": "price", "label": "Price", "amount": chance.randrange(100, 10**6), "currency": "EUR"},
        {"key": "bought_from", "label": "Bought from", "value": chance.choice(WORDS).title()},
    ]
    return {
        "title": f"{chance.choice(WORDS).title()} {chance.choice(WORDS)} {number}",
        "kind": chance.choice(KINDS),
        "notes": " ".join(chance.choices(WORDS, k=40)),
        "category": chance.choice(WORDS),
        "tags": chance.sample(TAGS, 2),
        "place_id": chance.choice(places),
        "fields": fields,
        "due_date": f"2027-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}" if number % 3 == 0 else None,
    }


def fill(url, headers, options):
    """Adds the records, by eight clients."""
    places = []
    client = Client(url, headers)
    for room in range(40):
        parent = places[room // 6] if room >= 6 else None
        document = {"name": f"Room {room}"} | ({"parent_id": parent} if parent else {})
        places.append(client.ask("POST", "/api/v1/places", document)[0]["id"])

    def add(part):
        own, chance = Client(url, headers), random.Random(part)
        for number in range(part, options.records, 8):
            made = own.ask("POST", "/api/v1/records", {k: v for k, v in record(chance, number, places).items() if v})[0]
            for role, name in [("receipt", "receipt.pdf"), ("photo", "photo.jpg")]:
                content = os.urandom(options.kib * 1024)
                path = f"/api/v1/records/{made['id']}/attachments?name={name}&role={role}"
                own.ask("POST", path, body=content, headers={"content-type": "application/octet-stream"})

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))


def questions(ids, places, chance):
    """Each kind of request: its name, and a function that returns method, path and document."""
    one = lambda: chance.choice(ids)
    get = lambda make: lambda: ("GET", make(), None)
    word = lambda: chance.choice(WORDS)
    records = "/api/v1/records"
    patch = lambda make: lambda: ("PATCH", f"{records}/{one()}", make())
    return [
        ("list", get(lambda: records)),
        ("list by title", get(lambda: f"{records}?sort=title")),
        ("list of a kind", get(lambda: f"{records}?kind=vehicle")),
        ("list of a place", get(lambda: f"{records}?place_id={chance.choice(places)}")),
        ("list of a tag", get(lambda: f"{records}?tag={chance.choice(TAGS).replace(' ', '%20')}")),
        ("search, a word", get(lambda: f"{records}?search={word()}")),
        ("search, two words", get(lambda: f"{records}?search={word()}%20{word()}")),
        ("search, a file and a word", get(lambda: f"{records}?search=receipt%20{chance.randrange(len(ids))}")),
        ("search, a serial number", get(lambda: f"{records}?search=SN-{chance.randrange(len(ids)):06}")),
        ("open", get(lambda: f"{records}/{one()}")),
        ("its attachments", get(lambda: f"{records}/{one()}/attachments")),
        ("its versions", get(lambda: f"{records}/{one()}/versions")),
        ("save notes", patch(lambda: {"notes": " ".join(chance.choices(WORDS, k=40))})),
        ("save fields", patch(lambda: {"fields": [{"label": "Note", "value": word() + str(chance.random())}]})),
        ("save tags", patch(lambda: {"tags": chance.sample(TAGS, 3)})),
        ("create", lambda: ("POST", records, {"title": f"New {chance.random()}"})),
        ("places", get(lambda: "/api/v1/places")),
        ("tags", get(lambda: "/api/v1/tags")),
    ]


def pages(ids, places, chance):
    return [
        ("page: list", lambda: "/"),
        ("page: search", lambda: f"/?search={chance.choice(WORDS)}"),
        ("page: a record", lambda: f"/records/{chance.choice(ids)}"),
        ("page: places", lambda: "/places"),
        ("page: a place", lambda: f"/places/{chance.choice(places)}"),
        ("page: tags", lambda: "/tags"),
    ]


def percentile(times, part):
    """Returns the time that this part of all does not exceed."""
    return sorted(times)[math.ceil(len(times) * part) - 1]


class Bare:
    """What SQLite takes by itself for the least that can be asked of it: in this process, without HTTP, people or words."""

    def __init__(self, database, ids, chance):
        self.ids, self.chance = ids, chance
        self.reader = sqlite3.connect(f"file:{database}?mode=ro", uri=True, isolation_level=None)
        # On the same disk, beside the database: the app is the only writer of that.
        self.path = database.with_name("bare.db")
        self.writer = sqlite3.connect(self.path, isolation_level=None)
        self.writer.execute("PRAGMA journal_mode = WAL")
        self.writer.execute("PRAGMA synchronous = FULL")
        self.writer.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, content BLOB)")
        content = ((os.urandom(2000),) for _ in range(20_000))
        self.writer.execute("BEGIN")
        self.writer.executemany("INSERT INTO thing (content) VALUES (?)", content)
        self.writer.execute("COMMIT")
        self.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self):
        self.reader.close()
        self.writer.close()
        for file in self.path.parent.glob("bare.db*"):
            file.unlink()

    def read(self):
        self.reader.execute("SELECT * FROM record WHERE id = ?", [self.chance.choice(self.ids)]).fetchone()

    def commit(self, rows):
        """Writes rows that lie apart, so that each is a page for the log."""
        self.writer.execute("BEGIN IMMEDIATE")
        for _ in range(rows):
            new = (os.urandom(2000), self.chance.randrange(1, 20_001))
            self.writer.execute("UPDATE thing SET content = ? WHERE id = ?", new)
        self.writer.execute("COMMIT")

    def rows(self):
        return [
            ("SQLite alone: read a row", self.read),
            ("SQLite alone: commit a row", lambda: self.commit(1)),
            ("SQLite alone: commit 20", lambda: self.commit(20)),
        ]


class Memory(threading.Thread):
    """Watches the app, and the app with its children."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.ended = pid, threading.Event()
        self.most = dict.fromkeys(("anonymous", "PSS", "PSS with children"), 0)

    def run(self):
        while not self.ended.wait(0.05):
            self.look()

    def look(self):
        children = pathlib.Path(f"/proc/{self.pid}/task").glob("*/children")
        pss = kib(self.pid, "smaps_rollup", "Pss")
        inner = 0
        # A thread may end while it is looked at.
        with contextlib.suppress(OSError):
            inner = sum(kib(child, "smaps_rollup", "Pss") for file in children for child in file.read_text().split())
        now = {"anonymous": kib(self.pid, "status", "RssAnon"), "PSS": pss, "PSS with children": pss + inner}
        for name, size in now.items():
            self.most[name] = max(self.most[name], size / 1024)
        return now

    def tell(self, when):
        now = ", ".join(f"{name} {size / 1024:.1f}" for name, size in self.look().items())
        most = ", ".join(f"{name} {size:.1f}" for name, size in self.most.items())
        print(f"the app's memory {when}, MiB: {now}; at most {most}", flush=True)


def kib(pid, file, name):
    """Returns a figure of a process; 0 of one that has gone."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def upload(url, headers, record_id, size):
    """Sends one file of `size` bytes in pieces, as a browser does."""
    client, piece = Client(url, headers), os.urandom(8 << 20)
    document = {"name": "film.bin", "bytes": size}
    made = client.ask("POST", f"/api/v1/records/{record_id}/uploads", document)[0]
    offset = 0
    while offset < size:
        body = piece[: min(len(piece), size - offset)]
        headers = {"content-type": "application/octet-stream", "upload-offset": str(offset)}
        client.ask("PATCH", f"/api/v1/uploads/{made['id']}", body=body, headers=headers)
        offset += len(body)


def picture(number, width=4000, height=3000):
    """Returns a photograph of 12 megapixels, as a PNG. Each number makes another one."""
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    row = b"\0" + os.urandom(3 * 1000) * (width // 1000)
    content = zlib.compress(row * height, 1)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    said = b"Comment\0" + str(number).encode()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"tEXt", said) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def look_at_pictures(url, headers, ids, stop):
    """Adds photographs and asks for their previews, until told to stop; returns how many those were."""
    client, number = Client(url, headers), 0
    while not stop.is_set():
        path = f"/api/v1/records/{ids[number % len(ids)]}/attachments?name=photo.png&role=photo"
        made = client.ask("POST", path, body=picture(number), headers={"content-type": "image/png"})[0]
        client.ask("GET", f"/api/v1/attachments/{made['id']}/preview")
        number += 1
    return number


def measure(asked, requests):
    """Prints a row for each of these: its name, and a function that returns how large the answer was and how long it took."""
    print(f"{'':28}{'median':>8}{'p99':>8}{'longest':>9}{'KB':>7}")
    for name, ask in asked:
        answers = [ask() for _ in range(requests)]
        times = [took for _, took in answers]
        largest = max(length for length, _ in answers) / 1000
        figures = f"{statistics.median(times):8.2f}{percentile(times, 0.99):8.1f}{max(times):9.1f}{largest:7.1f}"
        print(f"{name:28}{figures}", flush=True)


def by_request(client, make):
    return lambda: client.ask(*make())[1:]


def by_call(call):
    def timed():
        begun = time.perf_counter()
        call()
        return 0, (time.perf_counter() - begun) * 1000

    return timed


def known(database):
    """Returns the ids of the records and places that are there."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return [[row[0] for row in connection.execute(f"SELECT id FROM {table} ORDER BY id")] for table in ("record", "place")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", default=ROOT / "target/dist", help="the directory of the programs")
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--kib", type=int, default=2, help="the size of an attachment")
    parser.add_argument("--requests", type=int, default=1000, help="how many of each kind")
    parser.add_argument("--data", type=pathlib.Path, help="a directory that keeps the binder, and has it if it was filled before")
    parser.add_argument("--uploads", action="store_true", help="with four uploads of 2 GB, and previews, meanwhile")
    options = parser.parse_args()
    os.environ["HEARTH_TEST_PROGRAMS"] = str(options.binaries)
    chance = random.Random()
    if options.data:
        options.data.mkdir(exist_ok=True)
    with hearth.start(directory=options.data) as running:
        url, database = running.url, running.data / "app.db"
        browser = hearth.become_owner(url, running.setup_code) if running.setup_code else hearth.sign_in(url)
        token = hearth.token(url, browser, "admin", f"bench {chance.random()}")
        memory = Memory(running.process.pid)
        memory.start()
        memory.tell("at the start")
        if not known(database)[0]:
            begun = time.monotonic()
            fill(url, token, options)
            print(f"{options.records} records, {2 * options.records} attachments: {time.monotonic() - begun:.0f} s")
        ids, places = known(database)
        print(f"the database: {sum(file.stat().st_size for file in running.data.glob('app.db*')) / 1e6:.0f} MB")
        memory.tell("when it was filled")
        stop, pool = threading.Event(), concurrent.futures.ThreadPoolExecutor(6)

        def browse():
            own, draw = Client(url, token), random.Random(8)
            while not stop.is_set():
                own.ask(*questions(ids, places, draw)[draw.randrange(10)][1]())
                # Somebody reads what they were shown.
                time.sleep(draw.random() / 20)

        others = [pool.submit(browse)]
        if options.uploads:
            others.append(pool.submit(look_at_pictures, url, token, ids, stop))
            uploads = [pool.submit(upload, url, token, target, 2 << 30) for target in ids[:4]]
        program, person = Client(url, token), Client(url, browser | {"accept": "text/html"})
        bare = Bare(database, ids, chance)
        asked = [(name, by_call(call)) for name, call in bare.rows()]
        asked += [("nothing from the database", by_request(program, lambda: ("GET", "/manifest.webmanifest", None)))]
        asked += [(name, by_request(program, make)) for name, make in questions(ids, places, chance)]
        asked += [
            (name, by_request(person, lambda make=make: ("GET", make(), None))) for name, make in pages(ids, places, chance)
        ]
        measure(asked, options.requests)
        bare.close()
        if options.uploads:
            begun = time.monotonic()
            for one in uploads:
                one.result()
            print(f"the uploads were there {time.monotonic() - begun:.0f} s after the last of these requests")
        stop.set()
        for other in others:
            if (number := other.result()) is not None:
                print(f"{number} previews of 12 megapixels meanwhile")
        memory.tell("after all that")


if __name__ == "__main__":
    main()
