"""What does every test behind a proxy get?

`proxy` is each proxy of docs/REVERSE-PROXY.md, by the configuration there, with a Hearth behind it that has an owner.
"""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "outside"))

import hearth  # noqa: E402
import proxies  # noqa: E402


class Household:
    """A proxy, and the owner of the Hearth behind it."""

    def __init__(self, proxy):
        self.proxy = proxy
        owner = hearth.OWNER | {"code": proxy.app.setup_code}
        made = proxy.ask("POST", "/api/v1/setup", [("Origin", proxies.URL)], owner)
        assert made.status == 201, made
        self.cookie = made.cookies()

    def sign_in(
        self, email=hearth.OWNER["email"], password=hearth.OWNER["password"], headers=(), client="127.0.0.5", ask=None
    ):
        """Asks to be signed in, as a browser does."""
        headers = [("Origin", proxies.URL), *headers]
        body = {"email": email, "password": password}
        return (ask or self.proxy.ask)("POST", "/api/v1/session", headers, body, client=client)

    def fail(self, email, client, headers=(), ask=None):
        """Tries a wrong password; returns the status."""
        return self.sign_in(email, "not-the-password", headers, client, ask).status

    def see(self, path):
        """Returns a document of the API that the owner sees."""
        answer = self.proxy.ask("GET", f"/api/v1{path}", [("Cookie", self.cookie)])
        assert answer.status == 200, answer
        return answer.json()

    def addresses(self, kind):
        """Returns the addresses of the events of a kind, the newest first."""
        return [event.get("address") for event in self.see("/audit-events?limit=200")["items"] if event["kind"] == kind]


@pytest.fixture(params=proxies.KINDS)
def household(request):
    if not proxies.program(request.param):
        # Where everything has to run, a suite that does not is no pass.
        tell = pytest.fail if os.environ.get("CI") else pytest.skip
        tell(f"there is no {request.param}: apt-get install {request.param}")
    with proxies.start(request.param) as proxy:
        yield Household(proxy)
