"""What does every test in a browser get?

`browser` is a Chromium at each width, light and dark, and `household` a Hearth that runs and has some records in it.
"""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "outside"))

import chrome  # noqa: E402
import hearth  # noqa: E402

# More than two pages of the list.
RECORDS = 45


def pytest_addoption(parser):
    parser.addoption("--shots", type=pathlib.Path, required=True, help="where the pictures are kept")
    parser.addoption("--axe", type=pathlib.Path, required=True, help="axe.min.js, as npm installs it")


class Household:
    """A Hearth that runs, and who lives in it."""

    EMAIL, PASSWORD = hearth.OWNER["email"], hearth.OWNER["password"]

    def __init__(self, running):
        self.running, self.url, self.headers = running, running.url, {}

    def set_up(self):
        """Makes Anna the owner, for whom `call` asks from then on."""
        self.headers = hearth.token(self.url, hearth.become_owner(self.url, self.running.setup_code), "admin")

    def sign_in(self, email=EMAIL):
        """Signs in; returns the headers of a browser that did."""
        return hearth.browser(hearth.call(self.url, "POST", "/session", {"email": email, "password": self.PASSWORD})[1])

    def call(self, method, path, document=None, headers=None):
        """Asks the API; returns the answer's document."""
        return hearth.call(self.url, method, path, document, headers or self.headers)[0]


@pytest.fixture(scope="session")
def household():
    with hearth.start() as running:
        household = Household(running)
        household.set_up()
        for number in range(RECORDS):
            record = {"title": f"Record {number:02}", "category": "Kitchen", "notes": "word " * 40}
            household.call("POST", "/records", record | ({"due_date": "2027-02-28"} if number % 3 == 0 else {}))
        yield household


@pytest.fixture(scope="session")
def driver():
    if not (programs := chrome.programs()):
        # Where everything has to run, a suite that does not is no pass.
        tell = pytest.fail if os.environ.get("CI") else pytest.skip
        tell("there is no Chromium with its driver: apt-get install chromium chromium-driver")
    driver = chrome.start(*programs)
    yield driver
    driver.quit()


@pytest.fixture(params=chrome.LOOKS, ids=lambda look: look.name)
def browser(request, driver, household):
    axe = request.config.getoption("axe").read_text()
    browser = chrome.Browser(driver, household.url, request.param, axe, request.config.getoption("shots"))
    browser.take(household.sign_in()["cookie"])
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def supervised():
    """A Hearth with its supervisor, which copies its backups to a NAS that is not there."""
    with hearth.supervised({"HEARTH_BACKUP__DESTINATIONS": "/mnt/nas-that-is-away/hearth"}) as running:
        yield Household(running)


@pytest.fixture(params=chrome.LOOKS, ids=lambda look: look.name)
def operator(request, driver, supervised):
    """A browser of the owner's, at a Hearth with its supervisor."""
    axe = request.config.getoption("axe").read_text()
    browser = chrome.Browser(driver, supervised.url, request.param, axe, request.config.getoption("shots"))
    browser.take(supervised.sign_in()["cookie"])
    yield browser
    browser.close()


@pytest.fixture(params=chrome.LOOKS, ids=lambda look: look.name)
def newcomer(request, driver):
    """A browser at a Hearth that nobody owns yet."""
    axe = request.config.getoption("axe").read_text()
    with hearth.start() as running:
        browser = chrome.Browser(driver, running.url, request.param, axe, request.config.getoption("shots"))
        browser.setup_code, browser.database = running.setup_code, running.data / "app.db"
        yield browser
        browser.close()
