#!/usr/bin/env python3
"""How does a suite that is not written in Rust get an app to speak to?

    python3 app/tests/outside/hearth.py COMMAND…

makes a database with the real migrator in a directory of its own, starts the real app on it on a free port, runs the
command, and stops the app. The command finds in its environment

    HEARTH_TEST_URL         where the app answers, such as http://localhost:34567
    HEARTH_TEST_SETUP_CODE  the code that makes whoever has it the owner; empty where the app prints none
    HEARTH_TEST_DATA        the directory with the database and the files

and its exit status is the script's. Other Python imports `start`. The programs are those of target/debug (`cargo build
--workspace`), or of the directory that HEARTH_TEST_PROGRAMS names.
"""

import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[3]
# Longer than anything takes on a loaded machine.
PATIENCE = 30


@dataclasses.dataclass
class Hearth:
    """An app that runs."""

    # A passkey can be bound to localhost without https, and not to an address.
    url: str
    setup_code: str
    data: pathlib.Path
    process: subprocess.Popen
    log: list
    is_killed: bool = False

    def kill(self):
        """Ends it and all that it started by KILL, as when the power goes."""
        self.is_killed = True
        for each in reversed([self.process.pid, *descendants(self.process.pid)]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        self.process.wait()

    def environment(self):
        """Returns this process's environment with what a command needs to find the app."""
        named = {"URL": self.url, "SETUP_CODE": self.setup_code, "DATA": str(self.data)}
        return os.environ | {f"HEARTH_TEST_{name}": value for name, value in named.items()}


# Who becomes the owner.
OWNER = {"name": "Anna", "email": "anna@example.org", "password": "seven-green-bottles"}


def call(url, method, path, document=None, headers=None):
    """Asks the API; returns the answer's document and its headers."""
    body = None if document is None else json.dumps(document).encode()
    headers = {"content-type": "application/json"} | (headers or {})
    request = urllib.request.Request(f"{url}/api/v1{path}", body, headers, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return json.loads(answer.read() or "null"), answer.headers


def browser(answered):
    """Returns the headers of a browser that has signed in, by those of the answer that it got."""
    return {"cookie": answered["set-cookie"].split(";")[0], "sec-fetch-site": "same-origin"}


def become_owner(url, code):
    """Sets a new Hearth up; returns the headers of the owner's browser."""
    return browser(call(url, "POST", "/setup", OWNER | {"code": code})[1])


def sign_in(url):
    """Returns the headers of another browser of the owner's."""
    return browser(call(url, "POST", "/session", {name: OWNER[name] for name in ("email", "password")})[1])


def token(url, browser, scope, name="the tests"):
    """Makes a token; returns the headers of a program that has it."""
    made, _ = call(url, "POST", "/tokens", {"name": name, "scope": scope}, browser)
    return {"authorization": f"Bearer {made['secret']}"}


def plain():
    """Returns this process's environment without settings of Hearth's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}


def programs():
    """Returns the directory of the programs."""
    return pathlib.Path(os.environ.get("HEARTH_TEST_PROGRAMS") or ROOT / "target/debug").resolve()


@contextlib.contextmanager
def start(settings=None, host="127.0.0.1", directory=None):
    """Yields a running app on a fresh database, or on that of a directory, which stays. `settings` are more of its HEARTH_
    variables; PORT in them becomes its port."""
    scratch = contextlib.nullcontext(directory) if directory else tempfile.TemporaryDirectory(prefix="hearth-")
    with scratch as directory:
        data = pathlib.Path(directory)
        database = data / "app.db"
        database.touch()
        (data / "files").mkdir(exist_ok=True)
        migrate = [programs() / "migrator", "up", "--database", database]
        subprocess.run(migrate, env=plain(), check=True, stdout=subprocess.DEVNULL)
        port = free_port(host)
        named = {"HEARTH_HTTP__PUBLIC_URL": "http://localhost:PORT"} | (settings or {})
        more = {name: str(value).replace("PORT", str(port)) for name, value in named.items()}
        serve = ["serve", "--database", database, "--files", data / "files", "--listen", f"{host}:{port}"]
        with running([programs() / "app", *serve], more, f"http://localhost:{port}", data) as hearth:
            code = data / "setup-code"
            hearth.setup_code = code.read_text().split()[0] if code.exists() else ""
            yield hearth


@contextlib.contextmanager
def supervised(settings):
    """Yields a Hearth with its supervisor, whose owner is OWNER. `settings` are more of its HEARTH_ variables."""
    owner = {"HEARTH_AUTH__ADMIN_EMAIL": OWNER["email"], "HEARTH_AUTH__ADMIN_PASSWORD": OWNER["password"]}
    with tempfile.TemporaryDirectory(prefix="hearth-") as directory:
        with Instance(pathlib.Path(directory) / "data", owner | settings).start() as hearth:
            yield hearth


class Instance:
    """A data directory that a supervisor runs on, or not."""

    def __init__(self, data, settings=None):
        port = free_port()
        self.data, self.url = data, f"http://localhost:{port}"
        self.settings = {
            "HEARTH_DATA_DIR": str(data), "HEARTH_LISTEN": f"127.0.0.1:{port}", "HEARTH_HTTP__PUBLIC_URL": self.url,
        } | (settings or {})

    @contextlib.contextmanager
    def start(self):
        """Yields its Hearth; the set-up code is there where nobody owns it yet."""
        with running([programs() / "supervisor"], self.settings, self.url, self.data) as hearth:
            code = self.data / "live/setup-code"
            hearth.setup_code = code.read_text().split()[0] if code.exists() else ""
            yield hearth

    def command(self, *words):
        """Runs a command of the supervisor's, as the operator does; returns what it printed."""
        command = [programs() / "supervisor", *words]
        done = subprocess.run(command, env=plain() | self.settings, capture_output=True, text=True, timeout=4 * PATIENCE)
        if done.returncode:
            raise RuntimeError(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout


@contextlib.contextmanager
def running(command, settings, url, data):
    """Yields what a command runs, once it answers; ends it afterwards."""
    process = subprocess.Popen(
        command, env=plain() | settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )
    log = []
    # Read all the time: a full pipe would stop it.
    threading.Thread(target=lambda: log.extend(process.stdout), daemon=True).start()
    hearth = Hearth(url, "", data, process, log)
    try:
        wait_until_it_answers(hearth)
        yield hearth
        if not hearth.is_killed and process.poll() is not None:
            raise RuntimeError(f"it ended by itself with {process.returncode}:\n{''.join(log)}")
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def descendants(process):
    """Returns the processes that this one started, and those that they did."""
    parents = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, which is in brackets, may have anything in it.
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [process]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


def free_port(host="127.0.0.1"):
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def wait_until_it_answers(hearth):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if hearth.process.poll() is not None:
            break
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{hearth.url}/health", timeout=5).close()
            return
        time.sleep(0.02)
    raise RuntimeError(f"the app does not answer:\n{''.join(hearth.log)}")


def eventually(is_so):
    """Waits until something is so; what cannot be reached is not yet."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if is_so():
                return
        time.sleep(0.05)
    raise RuntimeError("it never came")


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    # TERM ends the app too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with start() as hearth:
        status = subprocess.run(sys.argv[1:], env=hearth.environment()).returncode
        if status:
            print("".join(["the app's log:\n", *hearth.log[-50:]]), file=sys.stderr)
        return status


if __name__ == "__main__":
    sys.exit(main())
