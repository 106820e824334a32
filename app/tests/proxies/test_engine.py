"""Do the compose files of docs/REVERSE-PROXY.md put a proxy before Hearth whom it believes, and nobody else?

On a real engine, with each compose that is here, and the image that HEARTH_TEST_IMAGE names. Caddy's image is made of the
Caddy of this machine; its certificate is of its own making.
"""

import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import ssl
import subprocess
import uuid

import hearth
import proxies
import pytest

IMAGE = os.environ.get("HEARTH_TEST_IMAGE")
pytestmark = pytest.mark.skipif(not IMAGE, reason="HEARTH_TEST_IMAGE names no image of Hearth")

CLAIM = "203.0.113.9"
# The gateway of the network in the document, and its proxy.
GATEWAY, PROXY = "172.30.33.1", "172.30.33.2"


def composes():
    """Returns each compose that is here: Docker's own, Debian's, and the one that .ci/check-files fetched."""
    found = [["docker", "compose"]] if shutil.which("docker") and works("docker", "compose", "version") else []
    fetched = str(hearth.ROOT / "target/check-files/bin/docker-compose")
    return found + [[name] for name in ("docker-compose", fetched) if shutil.which(name)]


def works(*words):
    return subprocess.run(words, capture_output=True).returncode == 0


# The image's own user, and another.
WAYS = pytest.mark.parametrize(
    ("compose", "user"), [(compose, user) for compose in composes() for user in ("", "99:100")], ids=str
)


class Project:
    """A project of compose in a directory, as this user, with this file of the document as local.yml."""

    def __init__(self, compose, place, user, file, settings, *changes):
        self.compose, self.place = compose, place
        self.name = f"hearth-proxy-{uuid.uuid4().hex[:8]}"
        self.port = hearth.free_port()
        shutil.copytree(hearth.ROOT / "compose", place, dirs_exist_ok=True)
        (place / "local.yml").write_text(proxies.put(proxies.block(file), *changes))
        # Beside the document's own: what keeps it apart from any other Hearth on this machine.
        own = {"COMPOSE_PROJECT_NAME": self.name, "HEARTH_VOLUMES": self.name}
        own |= {"HEARTH_IMAGE": IMAGE, "HEARTH_PORT": self.port, "HEARTH_USER": user}
        lines = (proxies.settings(settings) | own).items()
        (place / ".env").write_text("".join(f"{name}={value}\n" for name, value in lines))

    def run(self, *words):
        return self.type_in([*self.compose, *words])

    def type_in(self, words):
        environment = {name: value for name, value in hearth.plain().items() if not name.startswith("COMPOSE_")}
        done = subprocess.run(
            words, cwd=self.place, env=environment, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextlib.contextmanager
    def up(self):
        try:
            # As the document starts it, with this compose.
            commands = proxies.put(proxies.block("container"), ("docker compose", shlex.join(self.compose)))
            self.type_in(["bash", "-ec", commands])
            yield self
        finally:
            self.run("down", "--volumes", "--timeout", "20")

    def ask(self, method, path, headers=(), body=None):
        """Asks Hearth itself at the port that it publishes."""
        connection = proxies.http.client.HTTPConnection(proxies.LOCAL, self.port, hearth.PATIENCE)
        return proxies.ask(connection, method, path, headers, body)


def become_owner(project, ask):
    """Sets Hearth up; returns what it takes to see the audit log."""
    hearth.eventually(lambda: ask("GET", "/health").status == 200)
    code = project.run("exec", "-T", "web", "app", "setup-code").strip().splitlines()[-1]
    made = ask("POST", "/api/v1/setup", [("Origin", proxies.URL)], hearth.OWNER | {"code": code})
    assert made.status == 201, made
    return [("Cookie", made.cookies())]


def addresses(ask, owner):
    """Returns the addresses of failed sign-ins, the oldest first."""
    events = ask("GET", "/api/v1/audit-events?limit=200", owner).json()["items"]
    return [event["address"] for event in reversed(events) if event["kind"] == "sign_in_failed"]


def fail(ask, email):
    forged = [("X-Forwarded-For", CLAIM), ("Forwarded", f"for={CLAIM}"), ("X-Forwarded-Host", proxies.NAME)]
    answer = ask("POST", "/api/v1/session", forged, {"email": email, "password": "not-the-password"})
    assert answer.status == 401, answer


@pytest.fixture
def caddy_image():
    """An image with the Caddy of this machine in it."""
    name = f"hearth-test/caddy:{uuid.uuid4().hex[:8]}"
    program = pathlib.Path(proxies.program("caddy")).resolve()
    linked = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    files = [program, *re.findall(r"/\S+\.so\S*", linked)]
    packed = subprocess.run(["tar", "-c", "-h", "-P", *files], capture_output=True, check=True).stdout
    command = json.dumps([str(program), "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"])
    changes = [f"CMD {command}", "ENV XDG_DATA_HOME=/data XDG_CONFIG_HOME=/config"]
    words = ["docker", "import", *(word for change in changes for word in ("--change", change)), "-", name]
    subprocess.run(words, input=packed, check=True, capture_output=True)
    yield name
    subprocess.run(["docker", "image", "rm", name], check=True, capture_output=True)


@WAYS
def test_a_proxy_in_a_container_is_believed_and_nobody_else(compose, user, tmp_path, caddy_image):
    port = hearth.free_port()
    changes = [
        ("caddy:2", caddy_image),
        ('      - "80:80"\n', ""),
        ('      - "443:443/udp"\n', ""),
        ('"443:443"', f'"{proxies.LOCAL}:{port}:443"'),
    ]
    project = Project(compose, tmp_path, user, "local.yml", "container.env", *changes)
    caddyfile = proxies.put(proxies.block("Caddyfile"), (proxies.UPSTREAM, "web:3000"),
                            (f"{proxies.NAME} {{\n", f"{proxies.NAME} {{\n\ttls internal\n"))
    (tmp_path / "caddy").mkdir()
    (tmp_path / "caddy/Caddyfile").write_text(caddyfile)
    unchecked = ssl._create_unverified_context()

    def through(method, path, headers=(), body=None):
        return proxies.ask(proxies.connect(port, unchecked, proxies.LOCAL), method, path, headers, body)

    with project.up():
        owner = become_owner(project, through)
        fail(through, "through@example.org")
        fail(project.ask, "around@example.org")
        # To the proxy, and at Hearth's own port, this machine is the gateway.
        assert addresses(through, owner) == [GATEWAY, GATEWAY]
        trusted = project.run("exec", "-T", "web", "supervisor", "config", "--json")
        assert PROXY in trusted


@WAYS
def test_a_proxy_on_the_machine_is_believed_by_a_hearth_in_docker(compose, user, tmp_path):
    project = Project(compose, tmp_path, user, "gateway.yml", "gateway.env")
    with project.up():
        hearth.eventually(lambda: project.ask("GET", "/health").status == 200)
        with proxies.before("caddy", project.port) as proxy:
            owner = become_owner(project, proxy.ask)
            fail(proxy.ask, "through@example.org")
            assert addresses(proxy.ask, owner) == ["127.0.0.5"]
