"""How is a real reverse proxy put before an app, as docs/REVERSE-PROXY.md has it?

The configuration is the document's own. Only what a test cannot have is another: ports, certificates, Let's Encrypt.
"""

import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile

import hearth

DOCUMENT = hearth.ROOT / "docs/REVERSE-PROXY.md"
# The name in the document.
NAME = "hearth.example.org"
URL = f"https://{NAME}"
# Where Hearth is in the document.
UPSTREAM = "127.0.0.1:3000"
# What the certificate and its key are called, beside the configuration: the proxies run in the directory of both.
CHAIN, KEY = "chain.pem", "key.pem"
# From where proxies reach the app, and which address they listen at.
LOCAL = "127.0.0.1"


def block(name):
    """Returns the document's block with this name: the second word after its fence."""
    found = re.findall(rf"^```\S+ {re.escape(name)}\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"{DOCUMENT} has {len(found)} blocks {name}"
    return found[0]


def settings(name="hearth.env"):
    """Returns the settings of Hearth's that a block of the document names."""
    return dict(line.split("=", 1) for line in block(name).splitlines())


def put(text, *changes):
    """Puts other words into a configuration; each of them has to be there."""
    for old, new in changes:
        assert old in text, f"{old!r} is not in\n{text}"
        text = text.replace(old, new)
    return text


@dataclasses.dataclass(frozen=True)
class Certificate:
    """A certificate for the name, and the authority that signed it."""

    authority: pathlib.Path
    chain: pathlib.Path
    key: pathlib.Path


def certificate(place):
    """Makes an authority and a certificate of its own."""
    made = Certificate(*(place / name for name in ("authority.pem", CHAIN, KEY)))
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    authority_key = place / "authority.key"
    ends = ["-addext", f"subjectAltName=DNS:{NAME}", "-addext", "basicConstraints=critical,CA:FALSE"]
    for arguments in (
        ["-subj", "/CN=The tests", "-keyout", authority_key, "-out", made.authority],
        ["-subj", f"/CN={NAME}", "-keyout", made.key, "-out", made.chain, *ends],
    ):
        subprocess.run([*make, *arguments], check=True, capture_output=True)
    # The certificate again, signed by the authority.
    names = place / "names"
    names.write_text(f"subjectAltName=DNS:{NAME}\nextendedKeyUsage=serverAuth\n")
    request = subprocess.run(
        ["openssl", "req", "-new", "-key", made.key, "-subj", f"/CN={NAME}"], check=True, capture_output=True
    )
    subprocess.run(
        ["openssl", "x509", "-req", "-CA", made.authority, "-CAkey", authority_key, "-CAcreateserial", "-days", "30",
         "-extfile", names, "-out", made.chain],
        input=request.stdout, check=True, capture_output=True,
    )
    return made


def caddy(place, upstream, ports):
    """Caddy with the document's Caddyfile."""
    tls = f"{NAME} {{\n\ttls {CHAIN} {KEY}\n"
    text = put(block("Caddyfile"), (UPSTREAM, upstream), (f"{NAME} {{\n", tls))
    ours = f"admin off\n\tdefault_bind {LOCAL}\n\thttp_port {ports[0]}\n\thttps_port {ports[1]}"
    (place / "Caddyfile").write_text(f"{{\n\t{ours}\n}}\n{text}")
    return ["caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"]


def nginx(place, upstream, ports):
    """nginx with the document's server."""
    text = put(
        block("hearth.conf"),
        (UPSTREAM, upstream),
        ("    listen [::]:80;\n", ""),
        ("    listen [::]:443 ssl http2;\n", ""),
        ("listen 80;", f"listen {LOCAL}:{ports[0]};"),
        ("listen 443 ", f"listen {LOCAL}:{ports[1]} "),
        (f"/etc/letsencrypt/live/{NAME}/fullchain.pem", CHAIN),
        (f"/etc/letsencrypt/live/{NAME}/privkey.pem", KEY),
    )
    (place / "hearth.conf").write_text(text)
    # What every nginx has around it, in a directory that nobody else needs to enter.
    user = "user root;" if os.geteuid() == 0 else ""
    kinds = "client_body proxy fastcgi uwsgi scgi".split()
    temporary = " ".join(f"{kind}_temp_path {kind};" for kind in kinds)
    (place / "nginx.conf").write_text(
        f"daemon off; {user} worker_processes 2; pid pid; events {{}}\n"
        f"http {{ access_log off; {temporary} include hearth.conf; }}\n"
    )
    return ["nginx", "-p", place, "-e", "stderr", "-c", "nginx.conf"]


def traefik(place, upstream, ports):
    """Traefik with the document's two files."""
    before, resolvers = block("traefik.yml").split("certificatesResolvers:\n")
    assert "tlsChallenge" in resolvers
    fixed = put(
        before,
        ('":80"', f'"{LOCAL}:{ports[0]}"'),
        ('":443"', f'"{LOCAL}:{ports[1]}"'),
        ("/etc/traefik/hearth.yml", "hearth.yml"),
    )
    fixed += "global: {checkNewVersion: false, sendAnonymousUsage: false}\n"
    text = put(block("hearth.yml"), (UPSTREAM, upstream), ("tls:\n        certResolver: letsencrypt", "tls: {}"))
    text += f"tls:\n  certificates:\n    - certFile: {CHAIN}\n      keyFile: {KEY}\n"
    (place / "traefik.yml").write_text(fixed)
    (place / "hearth.yml").write_text(text)
    return ["traefik", "--configFile=traefik.yml"]


# Each proxy of the document.
KINDS = {kind.__name__: kind for kind in (caddy, nginx, traefik)}


def program(name):
    """Returns where a program is: the system's, or else the one beside this Python."""
    beside = pathlib.Path(sys.executable).parent
    return shutil.which(name) or shutil.which(name, path=beside)


@dataclasses.dataclass
class Answer:
    """A response as a client sees it."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self):
        return json.loads(self.body)

    def cookies(self):
        """Returns what a browser sends back of this."""
        return "; ".join(each.split(";")[0] for each in self.headers.get_all("set-cookie", []))


def ask(connection, method, path, headers=(), body=None, host=NAME):
    """Sends one request with just these headers; a name may come more than once."""
    named = {name.lower() for name, _ in headers}
    if isinstance(body, dict):
        body, headers = json.dumps(body).encode(), [*headers, ("Content-Type", "application/json")]
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    if "host" not in named:
        connection.putheader("Host", host)
    for name, value in headers:
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders()
    # A server may answer before it has read all of a body that it refuses.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.send(body or b"")
    got = connection.getresponse()
    answer = Answer(got.status, got.headers, got.read())
    connection.close()
    return answer


def connect(port, context, client="127.0.0.5"):
    """Connects by https to this port of the machine, for the name."""
    connection = http.client.HTTPConnection(NAME)
    plain = socket.create_connection((LOCAL, port), hearth.PATIENCE, (client, 0))
    connection.sock = context.wrap_socket(plain, server_hostname=NAME)
    return connection


@dataclasses.dataclass
class Proxy:
    """A proxy that runs, with a Hearth behind it."""

    kind: str
    upstream: int
    http_port: int
    port: int
    certificate: Certificate
    log: pathlib.Path
    app: hearth.Hearth | None = None

    def ask(self, method, path, headers=(), body=None, client="127.0.0.5"):
        """Asks by https, from this address."""
        context = ssl.create_default_context(cafile=self.certificate.authority)
        return ask(connect(self.port, context, client), method, path, headers, body)

    def ask_by_http(self, method, path):
        """Asks by plain http."""
        return ask(http.client.HTTPConnection(LOCAL, self.http_port, hearth.PATIENCE), method, path)

    def ask_around(self, method, path, headers=(), body=None, client="127.0.0.9"):
        """Asks Hearth itself, from an address that is no proxy's."""
        connection = http.client.HTTPConnection(LOCAL, self.upstream, hearth.PATIENCE, (client, 0))
        return ask(connection, method, path, headers, body)

    def key_hash(self):
        """Returns what Chromium knows the certificate's key by."""
        key = subprocess.run(
            ["openssl", "x509", "-in", self.certificate.chain, "-noout", "-pubkey"], check=True, capture_output=True
        ).stdout
        form = ["openssl", "pkey", "-pubin", "-outform", "der"]
        key = subprocess.run(form, input=key, check=True, capture_output=True).stdout
        hashed = subprocess.run(["openssl", "dgst", "-sha256", "-binary"], input=key, check=True, capture_output=True)
        encode = ["openssl", "base64", "-A"]
        return subprocess.run(encode, input=hashed.stdout, check=True, capture_output=True).stdout.decode()


@contextlib.contextmanager
def start(kind, more=None):
    """Yields a proxy of this kind with a new Hearth behind it, which has the document's settings and these."""
    with hearth.start(settings() | (more or {})) as app, before(kind, int(app.url.rsplit(":", 1)[1])) as proxy:
        proxy.app = app
        yield proxy


@contextlib.contextmanager
def before(kind, upstream):
    """Yields a proxy of this kind before a Hearth that is at this port."""
    with tempfile.TemporaryDirectory(prefix="hearth-proxy-") as directory:
        place = pathlib.Path(directory)
        made = certificate(place)
        ports = hearth.free_port(), hearth.free_port()
        words = KINDS[kind](place, f"{LOCAL}:{upstream}", ports)
        log = place / "log"
        # What it keeps stays in the directory.
        environment = hearth.plain() | {"HOME": directory, "XDG_DATA_HOME": directory, "XDG_CONFIG_HOME": directory}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program(words[0]), *map(str, words[1:])],
                env=environment, cwd=place, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )
        proxy = Proxy(kind, upstream, *ports, made, log)
        try:
            wait_until_it_answers(proxy, process)
            yield proxy
        finally:
            process.terminate()
            try:
                process.wait(hearth.PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_until_it_answers(proxy, process):
    with contextlib.suppress(RuntimeError):
        hearth.eventually(lambda: process.poll() is not None or proxy.ask("GET", "/health").status == 200)
        if process.poll() is None:
            return
    raise RuntimeError(f"{proxy.kind} does not answer:\n{proxy.log.read_text()}")
