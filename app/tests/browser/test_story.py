"""Is the binder what a household needs of it: nothing gets lost, and everything is found by whom it is for?

One whole story, lived in a browser at a Hearth with its supervisor: it is set up; somebody joins; a receipt is photographed; a PDF is
found by what it says; what is private stays so. Then the binder goes out as an archive and comes into another Hearth; and it is
backed up, everything is killed, and the backup is restored elsewhere.
"""

import contextlib
import hashlib
import json
import re
import time
import urllib.error
import urllib.request

import chrome
import hearth
import papers
import pytest
from selenium.webdriver.support.ui import Select

from chrome import stale

ANNA = hearth.OWNER
BEN = {"name": "Ben", "email": "ben@example.org", "password": "purple-walrus-chair"}
# Words that stand nowhere but in a PDF: Anna's, and one that is for Ben alone.
WORD, SECRET = "descaling", "zeppelin"
# What a record has from the Hearth that it is in.
OF_THIS_HEARTH = {"id", "place_id", "owner_id", "version"}
SETTINGS = {
    "HEARTH_BACKUP__SCHEDULE": "off",
    # Nobody waits for a health check of ten seconds.
    "HEARTH_HEALTH__INTERVAL": "200ms",
}


@pytest.fixture(params=chrome.LOOKS, ids=lambda look: look.name)
def person(request, driver, tmp_path):
    """A browser that no Hearth knows yet, and that keeps what it downloads."""
    axe = request.config.getoption("axe").read_text()
    browser = chrome.Browser(driver, "", request.param, axe, request.config.getoption("shots"))
    browser.downloads = tmp_path / "downloads"
    keep = {"behavior": "allow", "downloadPath": str(browser.downloads)}
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", keep)
    yield browser
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "default"})
    browser.close()


def test_a_binder_is_kept_moved_and_survives(person, tmp_path):
    home = hearth.Instance(tmp_path / "home/data", SETTINGS)
    with home.start() as running:
        person.url = home.url
        set_up(person, running)
        link = invite(person)
        sign_out(person)
        join(person, link)
        sign_out(person)

        sign_in(person, ANNA)
        record = photograph_a_receipt(person, tmp_path)
        file_a_pdf(person, record, tmp_path)
        describe(person, record)
        assert find(person, WORD) == ["Coffee machine"]
        person.check("story-found-by-a-pdf")
        sign_out(person)

        sign_in(person, BEN)
        keep_something_private(person, tmp_path)
        assert find(person, SECRET) == ["Birthday surprise"]
        private = records_of(person)["Birthday surprise"]
        bens = everything(person)
        sign_out(person)

        sign_in(person, ANNA)
        finds_nothing_of(person, private)
        annas = everything(person)
        binder = contents(person)
        archive = export(person)

        with hearth.Instance(tmp_path / "second/data", SETTINGS).start() as second:
            person.url = second.url
            set_up(person, second)
            take_in(person, archive)
            assert contents(person) == binder
            person.until(lambda _: find(person, WORD) == ["Coffee machine"])
            assert find(person, SECRET) == []

        made = json.loads(home.command("backup", "--json"))
        running.kill()

    elsewhere = hearth.Instance(tmp_path / "elsewhere/data", SETTINGS)
    elsewhere.command("restore", made["archive"], "--yes")
    with elsewhere.start():
        person.url = elsewhere.url
        sign_in(person, ANNA)
        assert everything(person) == annas
        assert find(person, WORD) == ["Coffee machine"]
        person.press(".records h2 a")
        shows_its_photograph(person)
        person.check("story-restored-elsewhere")
        finds_nothing_of(person, private)
        sign_out(person)
        sign_in(person, BEN)
        assert everything(person) == bens
        assert find(person, SECRET) == ["Birthday surprise"]


# The steps of the story.


def set_up(person, running):
    person.open("/")
    person.fill(code=running.setup_code, name=ANNA["name"], email=ANNA["email"], password=ANNA["password"])
    person.push("Create owner account")
    person.has("There are no records yet")
    person.check("story-first-run")


def invite(person):
    person.open("/people")
    person.fill(email=BEN["email"])
    person.push("Create link")
    return person.find("code.secret").text


def join(person, link):
    person.driver.get(link)
    person.fill(name=BEN["name"], password=BEN["password"])
    person.push("Join")
    person.has("There are no records yet")


def sign_in(person, who):
    person.open("/sign-in")
    person.fill(email=who["email"], password=who["password"])
    person.push("Sign in")
    person.has("Records")


def sign_out(person):
    person.push("Sign out")
    person.has("You are signed out")


def photograph_a_receipt(person, tmp_path):
    lines = ["Haushalt & Co|", "Lindenstr. 7|", "", "Coffee machine|349.00", "Filters|9.90", "", "Total EUR|358.90", "", "24.11.2026|17:42"]
    person.open("/")
    person.show(".quick > summary")
    person.fill(".quick", title="Coffee machine")
    person.find("#quick-camera").send_keys(papers.receipt(tmp_path / "IMG_2041.jpg", lines))
    person.check("story-quick-add")
    before = person.find("html")
    person.find(".quick button.main").click()
    person.until(lambda _: stale(before))
    person.until(lambda _: person.texts("h1") == ["Coffee machine"])
    shows_its_photograph(person)
    person.check("story-photographed")
    return person.driver.current_url.split("?")[0].removeprefix(person.url)


def shows_its_photograph(person):
    shape = "const image = document.querySelector('.photos img'); return [image.naturalWidth, image.naturalHeight]"
    person.until(lambda driver: driver.execute_script(shape) != [0, 0])
    # Upright, although the phone lay on its side.
    assert person.driver.execute_script(shape) == [480, 640]


def attach(person, path):
    before = person.find("html")
    person.find("#add-files").send_keys(path)
    person.until(lambda _: stale(before))
    person.has("The file was added.")


def file_a_pdf(person, record, tmp_path):
    person.open(record)
    lines = ["Certificate of warranty", "Coffee machine KX-4711, three years.", f"Damage for want of {WORD} is excluded."]
    attach(person, papers.pdf(tmp_path / "Warranty 2026.pdf", lines))
    # It is read after it has arrived.
    person.until(lambda _: find(person, WORD) == ["Coffee machine"])


def describe(person, record):
    person.open("/places")
    person.fill(within="form[action='/places']", name="Kitchen")
    person.push("Add")
    person.has("Kitchen")
    person.check("story-places")
    person.open(f"{record}/edit")
    before = person.find("html")
    choose(person, "kind", "Thing")
    person.until(lambda _: stale(before))
    choose(person, "place_id", "Kitchen")
    person.fill(**{"field-serial_number": "KX-4711-0042", "field-price": "349,00 €", "tags": "appliances, warranty"})
    person.fill(notes="Bought at **Haushalt & Co**.\n\n- Water filter: size M")
    person.push("Save")
    person.has("The record was saved.")
    shows_its_photograph(person)
    person.check("story-record")


def choose(person, name, words):
    shown = [each for each in person.all(f"[name={name}]") if each.is_displayed()]
    Select(shown[0]).select_by_visible_text(words)


def find(person, words):
    person.open("/")
    person.fill(search=words)
    person.push("Search")
    return person.texts(".records h2")


def keep_something_private(person, tmp_path):
    person.open("/records/new")
    person.fill(title="Birthday surprise")
    person.find("input[value=private]").click()
    person.push("Add")
    attach(person, papers.pdf(tmp_path / "Booking.pdf", ["Booking of two seats", f"One flight in a {SECRET}."]))
    photograph = papers.receipt(tmp_path / "Tickets.jpg", ["Tickets for two|"])
    attach(person, photograph)
    shows_its_photograph(person)
    # Its versions are not for others either.
    person.press("a[href$='/edit']")
    person.fill(title="Birthday surprise", notes="Not a word to Anna.")
    person.push("Save")
    person.until(lambda _: find(person, SECRET) == ["Birthday surprise"])
    person.check("story-private")


def finds_nothing_of(person, private):
    """What is another's private record answers like one that is not there, whatever is asked of it."""
    person.open("/")
    assert "Birthday surprise" not in person.texts(".records h2")
    for words in (SECRET, "Birthday", "Booking", "Tickets", "word to Anna"):
        assert find(person, words) == [], words
        assert ask(person, f"/api/v1/records?search={words.replace(' ', '%20')}").json()["items"] == []
    person.check("story-another-finds-nothing")
    assert all(each["id"] != private["id"] for each in pages(person, "/records"))
    changes = ask(person, "/api/v1/records/changes?limit=200").json()["items"]
    assert all("Birthday" not in json.dumps(each) for each in changes)
    of_records = ["/api/v1/records/{}", "/api/v1/records/{}/attachments", "/api/v1/records/{}/versions",
                  "/api/v1/records/{}/versions/1", "/records/{}", "/records/{}/edit", "/records/{}/history",
                  "/records/{}/history/1", "/records/new?from={}"]
    of_attachments = ["/api/v1/attachments/{}", "/api/v1/attachments/{}/content", "/api/v1/attachments/{}/preview"]
    cases = [(path, private["id"]) for path in of_records]
    cases += [(path, each["id"]) for path in of_attachments for each in private["attachments"]]
    for path, mine in cases:
        # As long as the other id, so that nothing but the id differs.
        nobodys = 10 ** len(str(mine)) - 1
        hidden, absent = ask(person, path.format(mine)), ask(person, path.format(nobodys))
        assert hidden.status == absent.status == 404, path
        assert hidden.said(mine) == absent.said(nobodys), path
    takes_as_long(person, "/api/v1/records/{}", private["id"])
    for path in of_attachments:
        takes_as_long(person, path, private["attachments"][-1]["id"])
    for method, path in (("PATCH", "/api/v1/records/{}"), ("DELETE", "/api/v1/records/{}"), ("DELETE", "/api/v1/attachments/{}")):
        mine = private["id"] if "records" in path else private["attachments"][0]["id"]
        document = {} if method == "PATCH" else None
        assert ask(person, path.format(mine), method, document).status == 404, path
    # Nor is anything to be had by what a file contains.
    for each in private["attachments"]:
        for path in ("/files/{}", "/api/v1/files/{}", "/api/v1/attachments/{}/content"):
            assert ask(person, path.format(each["sha256"])).status in (400, 404), path


def takes_as_long(person, path, mine):
    """How long an answer takes does not tell either what is hidden."""
    taken, headers = {mine: [], 10 ** len(str(mine)) - 1: []}, session(person)
    for _ in range(40):
        # In turns, so that what else the machine does falls to both.
        for number, times in taken.items():
            begun = time.perf_counter()
            ask(person, path.format(number), headers=headers)
            times.append(time.perf_counter() - begun)
    # The quickest ones: the others have waited for something else.
    hidden, absent = (min(times) for times in taken.values())
    assert abs(hidden - absent) < 0.5 * absent + 0.002, (path, hidden, absent)


def export(person):
    person.open("/")
    person.press("a[href='/export']")
    person.check("story-export")
    person.find("a[href='/export/archive']").click()
    whole = lambda _: [each for each in person.downloads.glob("*.zip")] if person.downloads.exists() else []
    return str(person.until(whole)[0])


def take_in(person, archive):
    person.open("/import")
    person.check("story-import")
    person.find("#import-file").send_keys(archive)
    person.push("Import")
    person.has("1 record was added, with 2 attachments.")
    person.check("story-imported")


# What somebody has, over the API.


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)

    def said(self, of):
        """Returns all that it says but for the id and what differs with each answer."""
        passing = {"date", "x-request-id"}
        headers = {name.lower(): value for name, value in self.headers.items() if name.lower() not in passing}
        return headers, re.sub(rf"\b{of}\b", "N", self.body.decode(errors="replace"))


def session(person):
    """Returns the headers by which Hearth knows who uses the browser."""
    cookies = "; ".join(f"{each['name']}={each['value']}" for each in person.driver.get_cookies())
    return {"cookie": cookies, "sec-fetch-site": "same-origin", "content-type": "application/json"}


def ask(person, path, method="GET", document=None, headers=None):
    """Sends a request as the page in the browser would; returns the answer."""
    headers = headers or session(person)
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(person.url + path, body, headers, method=method)
    try:
        answer = urllib.request.urlopen(request, timeout=chrome.PATIENCE)
    except urllib.error.HTTPError as error:
        answer = error
    with contextlib.closing(answer):
        return Answer(answer.status, answer.headers, answer.read())


def pages(person, path):
    """Returns all items of a list, page after page."""
    items, after = [], ""
    while after is not None:
        page = ask(person, f"/api/v1{path}?limit=100{after}").json()
        items += page["items"]
        after = f"&after={page['next']}" if page.get("next") else None
    return items


def everything(person):
    """Returns all that somebody sees, ids and versions included, with what their files contain."""
    return {"records": list(records_of(person).values()), "places": pages(person, "/places"), "tags": pages(person, "/tags")}


def records_of(person):
    """Returns the records that somebody sees, by their titles."""
    records = {each["title"]: each for each in pages(person, "/records")}
    for record in records.values():
        record["attachments"] = pages(person, f"/records/{record['id']}/attachments")
        for each in record["attachments"]:
            content = ask(person, f"/api/v1/attachments/{each['id']}/content")
            assert content.status == 200 and len(content.body) == each["bytes"], each
            each["sha256"] = hashlib.sha256(content.body).hexdigest()
    return records


def contents(person):
    """Returns what somebody sees without what it has from the Hearth that it is in."""
    places = {each["id"]: each for each in pages(person, "/places")}

    def path(place):
        return [*path(places[place].get("parent_id")), places[place]["name"]] if place else []

    records = {}
    for title, record in records_of(person).items():
        own = {name: value for name, value in record.items() if name not in OF_THIS_HEARTH}
        files = [{name: value for name, value in each.items() if name not in ("id", "record_id", "added_by")}
                 for each in record["attachments"]]
        records[title] = own | {"place": path(record.get("place_id")), "attachments": files}
    tags = sorted(each["name"] for each in pages(person, "/tags"))
    return {"records": records, "places": sorted(path(place) for place in places), "tags": tags}
