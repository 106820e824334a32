#!/usr/bin/env python3
"""What does a large binder take?

    cargo build --profile dist && python3 app/benches/binder.py [--binaries DIR] [--records N] [--kib SIZE] [--uploads]

fills a Hearth over its API with records that have fields, tags, places and two attachments each, and measures, one request
at a time while another client browses: lists, searches, what is saved, and the pages that people see. With --uploads, four
files of 2 GB come in side by side meanwhile, and the app's memory is looked at. The figures are milliseconds at the client,
over connections that stay open.
"""

import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import random
import statistics
import sys
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "app/tests/outside"))

import hearth  # noqa: E402

WORDS = (
    "boiler invoice guarantee kettle insurance passport bicycle washer radiator contract receipt manual lease window heater "
    "garden cellar drill printer battery camera wardrobe ladder tyre roof oven dentist school vaccine policy meter"
).split()
KINDS = ["note", "thing", "thing", "thing", "contract", "identity_document", "vehicle", "home"]
TAGS = [f"tag {number}" for number in range(60)]
REQUESTS = 100


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
    """Adds the records, by eight clients; returns their ids and the places."""
    places = []
    client = Client(url, headers)
    for room in range(40):
        parent = places[room // 6] if room >= 6 else None
        document = {"name": f"Room {room}"} | ({"parent_id": parent} if parent else {})
        places.append(client.ask("POST", "/api/v1/places", document)[0]["id"])
    done, ids = threading.Lock(), []

    def add(part):
        own, chance = Client(url, headers), random.Random(part)
        for number in range(part, options.records, 8):
            made = own.ask("POST", "/api/v1/records", {k: v for k, v in record(chance, number, places).items() if v})[0]
            for role, name in [("receipt", "receipt.pdf"), ("photo", "photo.jpg")]:
                content = os.urandom(options.kib * 1024)
                path = f"/api/v1/records/{made['id']}/attachments?name={name}&role={role}"
                own.ask("POST", path, body=content, headers={"content-type": "application/octet-stream"})
            with done:
                ids.append(made["id"])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    return ids, places


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
    return sorted(times)[min(len(times) - 1, int(len(times) * part))]


def memory(pid):
    """Returns the anonymous memory of a process, in MiB, and the most that it had resident."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    kib = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith(("RssAnon", "VmHWM"))}
    return int(kib["RssAnon"]) / 1024, int(kib["VmHWM"]) / 1024


def upload(url, headers, record_id, size, stop):
    """Sends one file of `size` bytes in pieces, as a browser does."""
    client, piece = Client(url, headers), os.urandom(8 << 20)
    document = {"name": "film.bin", "bytes": size}
    made = client.ask("POST", f"/api/v1/records/{record_id}/uploads", document)[0]
    offset = 0
    while offset < size and not stop.is_set():
        body = piece[: min(len(piece), size - offset)]
        headers = {"content-type": "application/octet-stream", "upload-offset": str(offset)}
        client.ask("PATCH", f"/api/v1/uploads/{made['id']}", body=body, headers=headers)
        offset += len(body)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", default=ROOT / "target/dist", help="the directory of the programs")
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--kib", type=int, default=2, help="the size of an attachment")
    parser.add_argument("--uploads", action="store_true", help="with four uploads of 2 GB meanwhile")
    options = parser.parse_args()
    os.environ["HEARTH_TEST_PROGRAMS"] = str(options.binaries)
    chance = random.Random(7)
    with hearth.start() as running:
        browser = hearth.become_owner(running.url, running.setup_code)
        token = hearth.token(running.url, browser, "admin")
        begun = time.monotonic()
        ids, places = fill(running.url, token, options)
        size = sum(file.stat().st_size for file in running.data.glob("app.db*")) / 1e6
        print(f"{options.records} records, {2 * options.records} attachments: {time.monotonic() - begun:.0f} s, database {size:.0f} MB")
        print("the app: %.0f MiB anonymous, %.0f at most" % memory(running.process.pid))
        stop, senders = threading.Event(), []
        if options.uploads:
            for target in ids[:4]:
                sender = threading.Thread(target=upload, args=(running.url, token, target, 2 << 30, stop), daemon=True)
                sender.start()
                senders.append(sender)

        def browse():
            own, draw = Client(running.url, token), random.Random(8)
            while not stop.is_set():
                own.ask(*questions(ids, places, draw)[draw.randrange(9)][1]())

        threading.Thread(target=browse, daemon=True).start()
        program, person = Client(running.url, token), Client(running.url, browser | {"accept": "text/html"})
        print(f"{'':26}{'median':>8}{'p99':>8}{'KB':>8}")
        asked = [(name, program, make) for name, make in questions(ids, places, chance)]
        asked += [(name, person, lambda make=make: ("GET", make(), None)) for name, make in pages(ids, places, chance)]
        for name, client, make in asked:
            answers = [client.ask(*make()) for _ in range(REQUESTS)]
            times = [took for _, _, took in answers]
            largest = max(length for _, length, _ in answers) / 1000
            print(f"{name:26}{statistics.median(times):8.1f}{percentile(times, 0.99):8.1f}{largest:8.0f}", flush=True)
        for sender in senders:
            sender.join()
        stop.set()
        print("the app: %.0f MiB anonymous, %.0f at most" % memory(running.process.pid))


if __name__ == "__main__":
    main()
