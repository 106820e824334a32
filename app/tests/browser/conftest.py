"""What does every test in a browser get?

`browser` is a Chromium at each width, light and dark, and `household` a Hearth that runs and has some records in it.
"""

import json
import os
import pathlib
import sys
import urllib.request

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

    def __init__(self, running):
        self.running, self.url = running, running.url

    def call(self, method, path, document=None):
        """Asks the API; returns the answer's document."""
        body = None if document is None else json.dumps(document).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v1{path}", body, headers, method=method)
        with urllib.request.urlopen(request, timeout=chrome.PATIENCE) as answer:
            return json.loads(answer.read() or "null")


@pytest.fixture(scope="session")
def household():
    with hearth.start() as running:
        household = Household(running)
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
    yield browser
    browser.close()
