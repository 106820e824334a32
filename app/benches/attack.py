#!/usr/bin/env python3
"""What does the household notice while somebody tries a thousand passwords a second, and does time tell who lives here?

    cargo build --profile dist && python3 app/benches/attack.py [--rate 1000] [--seconds 30]

The attacker comes from 127.0.0.1 and tries the owner's address and others by turns, over as many connections as it
takes. Meanwhile, from 127.0.0.2, the household signs in and reads. Then the same app, started anew so that nothing is
throttled, is asked by turns about an e-mail address that it knows and one that it does not, each time with a wrong
password, from an address of its own for each question. These are figures, and nothing is asserted.
"""

import argparse
import asyncio
import collections
import contextlib
import http.client
import json
import math
import multiprocessing
import os
import pathlib
import random
import statistics
import sys
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "app/tests/outside"))

import hearth  # noqa: E402

SIGN_IN = "/api/v1/session"
READ = "/api/v1/records?limit=30"
ATTACKER, HOUSEHOLD = "127.0.0.1", "127.0.0.2"
# How many connections the attacker opens at most.
CONNECTIONS = 200


def ask(port, method, path, document=None, token=None, source=HOUSEHOLD):
    """Sends one request over a connection of its own; returns the status and the milliseconds that it took."""
    headers = {"content-type": "application/json"} | ({"authorization": token} if token else {})
    begun = time.perf_counter()
    # As long as a person may wait.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(source, 0))
    with contextlib.closing(connection):
        try:
            connection.request(method, path, json.dumps(document) if document else None, headers)
            answer = connection.getresponse()
            answer.read()
            status = answer.status
        except (OSError, http.client.HTTPException) as error:
            status = type(error).__name__
    return status, (time.perf_counter() - begun) * 1000


def credentials(email, password):
    return {"email": email, "password": password}


async def attack(port, rate, seconds):
    """Tries passwords at this rate; returns how often each status was answered."""
    statuses, queue = collections.Counter(), asyncio.Queue()

    async def one_connection():
        streams = None
        while (number := await queue.get()) is not None:
            email = hearth.OWNER["email"] if number % 2 else f"person{number}@example.com"
            body = json.dumps(credentials(email, f"a wrong password {number}")).encode()
            head = (
                f"POST {SIGN_IN} HTTP/1.1\r\nhost: localhost:{port}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\n\r\n"
            )
            try:
                if streams is None:
                    streams = await asyncio.open_connection("127.0.0.1", port, local_addr=(ATTACKER, 0))
                reader, writer = streams
                writer.write(head.encode() + body)
                answer = (await reader.readuntil(b"\r\n\r\n")).lower()
                if b"content-length:" in answer:
                    await reader.readexactly(int(answer.split(b"content-length:")[1].split(b"\r\n")[0]))
                statuses[int(answer.split()[1])] += 1
                if b"connection: close" in answer:
                    writer.close()
                    streams = None
            except (OSError, asyncio.IncompleteReadError) as error:
                statuses[type(error).__name__] += 1
                streams = None

    workers = [asyncio.create_task(one_connection()) for _ in range(CONNECTIONS)]
    begun, sent = time.monotonic(), 0
    while (passed := time.monotonic() - begun) < seconds:
        for sent in range(sent, int(passed * rate)):
            queue.put_nowait(sent)
        sent = int(passed * rate)
        await asyncio.sleep(0.005)
    statuses["not sent in time"] = queue.qsize()
    while not queue.empty():
        queue.get_nowait()
    for _ in workers:
        queue.put_nowait(None)
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.gather(*workers), 30)
    return statuses


def attacker(port, rate, seconds, results):
    results.put(asyncio.run(attack(port, rate, seconds)))


def peak_mib(pid):
    """Returns the most memory that a process ever had, in MiB."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmHWM:")).split()[1]) / 1024


def live(port, token, until):
    """Signs in and reads twice a second, as long as `until` says; returns what came of each."""
    found = {"sign in": [], "read": []}
    while until():
        found["sign in"].append(ask(port, "POST", SIGN_IN, credentials(hearth.OWNER["email"], hearth.OWNER["password"])))
        found["read"].append(ask(port, "GET", READ, token=token))
        time.sleep(0.5)
    return found


def tell(when, found):
    for what, answers in found.items():
        times = sorted(took for _, took in answers)
        counts = collections.Counter(status for status, _ in answers)
        counted = ", ".join(f"{count} × {status}" for status, count in counts.items())
        p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
        print(f"{when:10}{what:10}{statistics.median(times):12.1f}{p99:10.1f}{times[-1]:10.1f}   {counted}")


def lasts(seconds):
    end = time.monotonic() + seconds
    return lambda: time.monotonic() < end


def under_attack(options):
    with hearth.start() as running:
        port, pid = urllib.parse.urlsplit(running.url).port, running.process.pid
        owner = hearth.become_owner(running.url, running.setup_code)
        token = hearth.token(running.url, owner, "write")["authorization"]
        print(f"{'household':20}{'median ms':>12}{'p99 ms':>10}{'most ms':>10}   answers")
        tell("before", live(port, token, lasts(5)))
        before = peak_mib(pid)
        results = multiprocessing.Queue()
        process = multiprocessing.Process(target=attacker, args=(port, options.rate, options.seconds, results))
        process.start()
        tell("meanwhile", live(port, token, lasts(options.seconds)))
        statuses = results.get()
        process.join()
        tell("after", live(port, token, lasts(5)))
        print(f"\nthe attacker, {options.rate}/s for {options.seconds} s: "
              + ", ".join(f"{count} × {status}" for status, count in statuses.most_common()))
        print(f"the app's peak of memory (RSS), MiB: {before:.1f} before, {peak_mib(pid):.1f} after")


def mann_whitney(some, others):
    """Returns how likely ranks that differ so much are by chance alone (two-sided, by the normal distribution)."""
    ranked = sorted((value, which) for which, values in enumerate((some, others)) for value in values)
    ranks = sum(rank for rank, (_, which) in enumerate(ranked, 1) if which == 0)
    n, m = len(some), len(others)
    z = (ranks - n * (n + m + 1) / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    return math.erfc(abs(z) / math.sqrt(2))


def enumeration(options):
    """Asks about a known and an unknown address by turns, and compares the times."""
    times, statuses, chance = {"known": [], "unknown": []}, collections.Counter(), random.Random(6)
    while min(map(len, times.values())) < options.questions:
        # What throttles tries is in memory: after a few of them a new app is asked.
        with hearth.start() as running:
            port = urllib.parse.urlsplit(running.url).port
            hearth.become_owner(running.url, running.setup_code)
            for turn in range(4):
                emails = [("known", hearth.OWNER["email"]), ("unknown", f"nobody{turn}@example.com")]
                chance.shuffle(emails)
                for which, email in emails:
                    source = f"127.{chance.randint(1, 250)}.{chance.randint(1, 250)}.{chance.randint(1, 250)}"
                    status, took = ask(port, "POST", SIGN_IN, credentials(email, "a wrong password"), source=source)
                    statuses[which, status] += 1
                    if status == 401:
                        times[which].append(took)
            if not times["known"]:
                break
    print("\nwrong passwords, answers: " + ", ".join(f"{which} {s}: {n}" for (which, s), n in statuses.items()))
    if not min(map(len, times.values())):
        return print("none was answered with 401, so no times can be compared")
    known, unknown = times["known"], times["unknown"]
    median = statistics.median
    apart = sorted(
        median(chance.choices(known, k=len(known))) - median(chance.choices(unknown, k=len(unknown)))
        for _ in range(2000)
    )
    print(f"median ms of {len(known)} and {len(unknown)}: known {median(known):.2f}, unknown {median(unknown):.2f}; "
          f"apart {median(known) - median(unknown):+.2f} (95 %: {apart[50]:+.2f} to {apart[-51]:+.2f}), "
          f"Mann-Whitney p = {mann_whitney(known, unknown):.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, default=ROOT / "target/dist")
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--questions", type=int, default=100, help="for each of known and unknown addresses")
    options = parser.parse_args()
    os.environ["HEARTH_TEST_PROGRAMS"] = str(options.binaries)
    print(f"{os.cpu_count()} cores, Linux {os.uname().release}, load {os.getloadavg()[0]:.2f}")
    under_attack(options)
    enumeration(options)


if __name__ == "__main__":
    main()
