#!/usr/bin/env python3
"""How much memory do strangers take, who hold requests back, beside PocketBase?

    cargo build --profile dist && python3 app/benches/strangers.py

505 connections each send the head of a sign-in and nearly a megabyte of its body, and keep the rest; then as many ask for the API's
document again and again and read no answer. Prints the app's memory (PSS) before and at its peak, how many connections were
still open after four seconds, and how long the household's own request takes meanwhile.
"""

import argparse
import contextlib
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import load

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONNECTIONS = 505
BODY = 1_000_000


def connect(port):
    connection = socket.create_connection(("127.0.0.1", port), 5)
    connection.setblocking(False)
    return connection


def push(connections, rest):
    """Sends to each what it takes, until none takes anything for a while."""
    quiet_since = time.monotonic()
    while any(rest.values()) and time.monotonic() - quiet_since < 1:
        for connection in connections:
            with contextlib.suppress(BlockingIOError, OSError):
                if sent := connection.send(rest[connection][:65536]) if rest[connection] else 0:
                    rest[connection] = rest[connection][sent:]
                    quiet_since = time.monotonic()


def is_open(connection):
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def attack(server, request):
    before, peak, waits = server.pss(), 0.0, []
    connections = []
    for _ in range(CONNECTIONS):
        with contextlib.suppress(OSError):
            connections.append(connect(server.port))
    push(connections, dict.fromkeys(connections, request))
    ends = time.monotonic() + 4
    while time.monotonic() < ends:
        peak = max(peak, server.pss())
        begun = time.monotonic()
        try:
            load.call(server.port, "GET", server.list, token=server.token)
            waits.append((time.monotonic() - begun) * 1000)
        except (OSError, SystemExit):
            waits.append(float("inf"))
        time.sleep(0.2)
    left = sum(map(is_open, connections))
    for connection in connections:
        connection.close()
    print(f"  {server.name:22}{before:8.1f}{peak:10.1f}{left:12}{sorted(waits)[len(waits) // 2]:12.1f}{max(waits):10.1f}")


def run(options, scratch):
    program = options.pocketbase
    if not program:
        subprocess.run([sys.executable, "-m", "venv", scratch / "venv"], check=True)
        subprocess.run([scratch / "venv/bin/pip", "install", "--quiet", load.POCKETBASE], check=True)
        program = scratch / "venv/bin/pocketbase"
    places = [scratch / name for name in ("hearth", "pocketbase")]
    for place in places:
        place.mkdir()
    servers = [load.Hearth(options.binaries.resolve(), places[0], False)]
    try:
        servers.append(load.PocketBase(program, places[1], full=False, anonymous=False))
        sign_in = {"Hearth (FULL)": "/api/v1/session", "PocketBase (NORMAL)": "/api/collections/users/auth-with-password"}
        document = {"Hearth (FULL)": "/api/v1/openapi.json", "PocketBase (NORMAL)": "/api/health"}
        print(f"  {'MiB':22}{'before':>8}{'at most':>10}{'still open':>12}{'own, ms':>12}{'longest':>10}")
        for server in servers:
            head = f"POST {sign_in[server.name]} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            attack(server, f"{head}content-length: {BODY}\r\n\r\n".encode() + b" " * (BODY - 1))
        print("  answers that nobody reads")
        for server in servers:
            attack(server, f"GET {document[server.name]} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode() * 200)
    finally:
        for server in servers:
            server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binaries", type=pathlib.Path, default=ROOT / "target/dist")
    parser.add_argument("--pocketbase", type=pathlib.Path, help="a program that is there already")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.binaries.resolve()) as scratch:
        run(options, pathlib.Path(scratch))


if __name__ == "__main__":
    main()
