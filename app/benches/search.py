#!/usr/bin/env python3
"""How long does a search take at 100,000 records, and what does it cost to add one there?

    cargo build --profile dist && python3 app/benches/search.py

Adds the records through the API, a tenth of them private. Then sends each search with each order, one request at a time over
one connection, and prints what a client waits: the median and the longest of some twenty. The first row is the way through
HTTP alone. Last it adds records one at a time. Needs wrk (apt-get install wrk).
"""

import argparse
import http.client
import json
import pathlib
import random
import statistics
import sys
import tempfile
import time
import urllib.parse

import load

ORDERS = {"updated": "updated_desc", "due": "due", "title": "title"}
ROOT = pathlib.Path(__file__).resolve().parents[2]
SEARCHES = {
    "nothing": {},
    "a letter of most records: e": {"search": "e"},
    "a letter of some records: ä": {"search": "ä"},
    "two letters of most records: in": {"search": "in"},
    "three letters of most records: the": {"search": "the"},
    "two letters of few records: 保険": {"search": "保険"},
    "one letter of few records: 険": {"search": "険"},
    "a word: passport": {"search": "passport"},
    "two words: passport kitchen": {"search": "passport kitchen"},
    "four words": {"search": "boiler garden tax letter"},
    "what is nowhere: zzzq": {"search": "zzzq"},
    "half a word that is nowhere: inq": {"search": "inq"},
    "a category": {"category": "kitchen"},
    "a category, due, and a letter": {"category": "kitchen", "due_before": "2027-06-30", "search": "e"},
    "a category, due, and a word": {"category": "kitchen", "due_before": "2027-06-30", "search": "passport"},
    "due before": {"due_before": "2027-06-30"},
}


def timed(connection, token, path, times):
    """Returns how long each request took, in milliseconds."""
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        connection.request("GET", path, headers={"authorization": token})
        answer = connection.getresponse()
        content = answer.read()
        found.append((time.perf_counter() - begun) * 1000)
        if answer.status != 200:
            sys.exit(f"GET {path}: {answer.status} {content[:300]}")
    return found


def run(options, scratch):
    chance = random.Random(5)
    bodies = [load.body(chance) for _ in range(2000)]
    bodies = [json.dumps(json.loads(body) | {"visibility": "private"}) if at % 10 == 0 else body for at, body in enumerate(bodies)]
    (scratch / "bodies").write_text("\n".join(bodies))
    (scratch / "load.lua").write_text(load.LOAD)
    server = load.Hearth(options.binaries.resolve(), scratch, False)
    token = server.token
    try:
        added = 0
        while added < options.rows:
            added += load.load(server, "create", scratch, 10, 32)["rps"] * 10
        print(f"{added:.0f} records")
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        print(f"\n{'ms, median (longest)':42}" + "".join(f"{order:>18}" for order in ORDERS))
        print(f"{'no search at all: /health':42}{shown(timed(connection, token, '/health', 50)):>18}")
        longest = 0
        for name, query in SEARCHES.items():
            cells = []
            for order in ORDERS.values():
                path = "/api/v1/records?" + urllib.parse.urlencode(query | {"sort": order, "limit": 30})
                found = timed(connection, token, path, options.times)
                longest = max(longest, statistics.median(found))
                cells.append(shown(found))
            print(f"{name:42}" + "".join(f"{cell:>18}" for cell in cells))
        print(f"\nthe longest median: {longest:.1f} ms")
        adds = []
        for body in bodies[:options.creates]:
            begun = time.perf_counter()
            load.call(server.port, "POST", server.records, body, token, connection)
            adds.append((time.perf_counter() - begun) * 1000)
        print(f"adding a record, one at a time: {shown(adds)} ms; an fsync takes {load.fsync_ms(scratch):.2f}")
    finally:
        server.stop()
    print(f"the database has {server.database.stat().st_size / 2**20:.0f} MiB")


def shown(values):
    return f"{statistics.median(values):.1f} ({max(values):.1f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, default=ROOT / "target/dist")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--creates", type=int, default=500)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.binaries.resolve()) as scratch:
        run(options, pathlib.Path(scratch))


if __name__ == "__main__":
    main()
