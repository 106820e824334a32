"""A stand-in for a single sign-on provider, at which everybody is one person: discovery, keys, sign-in, tokens."""

import base64
import contextlib
import hashlib
import http.server
import json
import pathlib
import secrets
import subprocess
import tempfile
import threading
import time
import urllib.parse

CLIENT, SECRET = "hearth", "a secret: with + and %"


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Provider:
    """A provider that runs."""

    def __init__(self, place, email):
        self.email, self.codes, self.key = email, {}, place / "key.pem"
        make = ["openssl", "genrsa", "-out", self.key, "2048"]
        subprocess.run(make, check=True, capture_output=True)
        said = subprocess.run(["openssl", "rsa", "-in", self.key, "-noout", "-modulus"], check=True, capture_output=True)
        self.modulus = encode(bytes.fromhex(said.stdout.decode().strip().removeprefix("Modulus=")))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.issuer = f"http://localhost:{self.server.server_port}"

    def settings(self):
        """Returns what Hearth needs to know of it."""
        return {
            "HEARTH_AUTH__OIDC_ISSUER": self.issuer,
            "HEARTH_AUTH__OIDC_CLIENT_ID": CLIENT,
            "HEARTH_AUTH__OIDC_CLIENT_SECRET": SECRET,
            "HEARTH_AUTH__OIDC_NAME": "Pocket ID",
        }

    def handler(self):
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path, _, query = self.path.partition("?")
                if path == "/authorize":
                    self.send_response(303)
                    self.send_header("location", provider.authorize(dict(urllib.parse.parse_qsl(query))))
                    self.end_headers()
                else:
                    self.say(provider.documents().get(path))

            def do_POST(self):
                form = self.rfile.read(int(self.headers["content-length"])).decode()
                self.say(provider.token(dict(urllib.parse.parse_qsl(form))))

            def say(self, document):
                body = json.dumps(document or {}).encode()
                self.send_response(200 if document else 404)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler

    def documents(self):
        at = {"authorization_endpoint": f"{self.issuer}/authorize", "token_endpoint": f"{self.issuer}/token"}
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "1", "n": self.modulus, "e": "AQAB"}
        return {
            "/.well-known/openid-configuration": at | {
                "issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks", "response_types_supported": ["code"],
                "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["RS256"],
            },
            "/jwks": {"keys": [key]},
        }

    def authorize(self, asked):
        """Signs the person in, and returns where the browser goes next."""
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        back = urllib.parse.urlencode({"code": code, "state": asked["state"]})
        return f"{asked['redirect_uri']}?{back}"

    def token(self, form):
        asked = self.codes.pop(form["code"])
        assert form["redirect_uri"] == asked["redirect_uri"]
        assert encode(hashlib.sha256(form["code_verifier"].encode()).digest()) == asked["code_challenge"]
        now = int(time.time())
        claims = {
            "iss": self.issuer, "sub": "anna-1", "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"],
            "email": self.email, "email_verified": True, "name": "Anna",
        }
        text = ".".join(encode(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "1"}, claims))
        sign = ["openssl", "dgst", "-sha256", "-sign", self.key]
        signature = subprocess.run(sign, input=text.encode(), check=True, capture_output=True).stdout
        return {"access_token": "x", "token_type": "Bearer", "expires_in": 300, "id_token": f"{text}.{encode(signature)}"}


@contextlib.contextmanager
def start(email):
    """Yields a provider, which says that everybody has this e-mail."""
    with tempfile.TemporaryDirectory(prefix="hearth-provider-") as directory:
        provider = Provider(pathlib.Path(directory), email)
        threading.Thread(target=provider.server.serve_forever, daemon=True).start()
        try:
            yield provider
        finally:
            provider.server.shutdown()
            provider.server.server_close()
