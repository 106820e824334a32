"""Does a household sign in behind a proxy, by https and a name: with a password, a passkey, and single sign-on?

The proxies run with the configurations of docs/REVERSE-PROXY.md; what needs no browser is in app/tests/proxies.
"""

import contextlib
import os

import chrome
import hearth
import provider
import proxies
import pytest

PASSWORD = hearth.OWNER["password"]
# Enough of them to know that pages work; how they look does not depend on the proxy.
LOOK = chrome.LOOKS[-1]


@pytest.fixture(params=[("caddy", 443), ("nginx", 443), ("nginx", 8443)], ids=lambda param: f"{param[0]}-{param[1]}")
def behind(request):
    """A browser at a new Hearth behind a proxy that people reach at this port, with a provider of single sign-on."""
    kind, port = request.param
    tell = pytest.fail if os.environ.get("CI") else pytest.skip
    if not (found := chrome.programs()):
        tell("there is no Chromium with its driver: apt-get install chromium chromium-driver")
    if not proxies.program(kind):
        tell(f"there is no {kind}: apt-get install {kind}")
    # The nginx of the document leaves the port out of `Host`.
    url = proxies.URL if port == 443 else f"{proxies.URL}:{port}"
    with contextlib.ExitStack() as stack:
        identity = stack.enter_context(provider.start(hearth.OWNER["email"]))
        proxy = stack.enter_context(proxies.start(kind, identity.settings() | {"HEARTH_HTTP__PUBLIC_URL": url}))
        driver = chrome.start(
            *found,
            f"--host-resolver-rules=MAP {proxies.NAME}:{port} {proxies.LOCAL}:{proxy.port}",
            f"--ignore-certificate-errors-spki-list={proxy.key_hash()}",
        )
        stack.callback(driver.quit)
        axe = request.config.getoption("axe").read_text()
        browser = chrome.Browser(driver, url, LOOK, axe, request.config.getoption("shots"))
        browser.proxy = proxy
        yield browser


def test_a_password_a_passkey_and_single_sign_on_work_behind_a_proxy(behind):
    behind.add_authenticator()
    behind.open("/")
    behind.fill(code=behind.proxy.app.setup_code, name="Anna", email=hearth.OWNER["email"], password=PASSWORD)
    behind.push("Create owner account")
    behind.has("There are no records yet")
    cookies = behind.driver.get_cookies()
    assert all(cookie["name"].startswith("__Host-hearth-") and cookie["secure"] for cookie in cookies), cookies

    behind.open("/account")
    behind.find("[data-passkey-name]").send_keys("Laptop")
    behind.push("Add passkey")
    behind.has("Your passkey was added")
    behind.push("Sign out")
    behind.has("You are signed out")

    behind.open("/sign-in?next=/account")
    behind.push("Sign in with a passkey")
    behind.has("Laptop")
    behind.push("Sign out")
    behind.has("You are signed out")

    behind.open("/sign-in?next=/account")
    behind.fill(email=hearth.OWNER["email"], password=PASSWORD)
    behind.push("Sign in")
    behind.has("Laptop")
    behind.push("Sign out")
    behind.has("You are signed out")

    behind.open("/sign-in?next=/audit")
    behind.press("a[href^='/sign-in/oidc']")
    behind.has("Sign-ins, changes to accounts and records")
    assert behind.driver.current_url == f"{behind.url}/audit"
    methods = {session["method"] for session in sessions(behind)}
    assert methods == {"oidc"}, methods

    # A link for somebody else leads to the name, not to the proxy's way in.
    behind.open("/people")
    behind.fill(email="ben@example.org")
    behind.push("Create link")
    assert behind.find("code.secret").text.startswith(f"{behind.url}/")


def sessions(browser):
    """Returns the sessions of who is signed in, as the API has them."""
    ask = "fetch('/api/v1/sessions').then(answer => answer.json()).then(arguments[0])"
    return browser.driver.execute_async_script(ask)["items"]
