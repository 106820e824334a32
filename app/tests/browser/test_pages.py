"""Is each page of a binder that is in use readable, on a phone and at a desk, light and dark?

Here the pictures of the documents are made, too (`test_the_documents_have_their_pictures`).
"""

import urllib.parse
import urllib.request

import chrome
import hearth
import papers
import pytest
from PIL import Image

from conftest import Household

RECORDS = [
    {"title": "Passport of Ben", "kind": "identity_document", "place": "Study", "tags": ["travel"], "due_date": "2027-05-04",
     "fields": [("number", "Number", "C01X00T47"), ("valid_until", "Valid until", "2027-05-04")]},
    {"title": "Liability insurance", "kind": "contract", "tags": ["insurance"], "due_date": "2027-01-31",
     "fields": [("provider", "Provider", "Haftpflicht Nord"), ("contract_number", "Contract number", "HN 4711-22")],
     "notes": "Notice is to be given **three months** before the end of a year."},
    {"title": "Panda", "kind": "vehicle", "tags": ["car"], "due_date": "2027-03-01",
     "fields": [("licence_plate", "Licence plate", "B HN 217")]},
    {"title": "Boiler", "kind": "thing", "place": "Cellar", "tags": ["heating"], "notes": "Serviced each November."},
    {"title": "Washing machine", "kind": "thing", "place": "Cellar", "tags": ["warranty"]},
    {"title": "Cordless drill", "kind": "thing", "place": "Shelf 2", "tags": ["tools", "warranty"],
     "fields": [("manufacturer", "Manufacturer", "Nordhammer"), ("model", "Model", "NH 12-2"),
                ("serial_number", "Serial number", "7K-220418"), ("price", "Price", 12950),
                ("warranty_until", "Warranty until", "2028-11-21"), (None, "Lent to", "Aunt Rosa")],
     "notes": "Both batteries fit the **hedge trimmer**, too.\n\n- [x] Register the warranty\n- [ ] Buy a set of small bits"},
]
PHOTOGRAPHS = {
    "Panda": ("#bcccd6", ("rectangle", "#a93526", (12, 48, 88, 68)), ("rectangle", "#8f2c20", (28, 32, 68, 48)),
              ("ellipse", "#222222", (22, 60, 38, 76)), ("ellipse", "#222222", (62, 60, 78, 76))),
    "Boiler": ("#d6d1c8", ("rectangle", "#f2f2ef", (32, 14, 68, 84)), ("ellipse", "#222222", (45, 30, 55, 40)),
               ("rectangle", "#888888", (42, 64, 58, 70))),
    "Washing machine": ("#cbd6cf", ("rectangle", "#f7f7f5", (20, 16, 80, 86)), ("ellipse", "#555555", (34, 36, 66, 68)),
                        ("ellipse", "#8aa3b5", (38, 40, 62, 64))),
}


class Binder(Household):
    """A Hearth in use, and the ids of what is in it by its names."""

    def fill(self, directory):
        self.ids, self.places = {}, {}
        for name, parent in (("House", None), ("Cellar", "House"), ("Shelf 2", "Cellar"), ("Study", "House")):
            within = {"parent_id": self.places[parent]} if parent else {}
            self.places[name] = self.call("POST", "/places", {"name": name} | within)["id"]
        for record in RECORDS:
            document = {name: value for name, value in record.items() if name not in ("place", "fields")}
            if "place" in record:
                document["place_id"] = self.places[record["place"]]
            document["fields"] = [self.field(*each) for each in record.get("fields", [])]
            self.ids[record["title"]] = self.call("POST", "/records", document)["id"]
        for title, (ground, *shapes) in PHOTOGRAPHS.items():
            self.attach(title, f"{title}.jpg", "photo", papers.photograph(directory / "photograph.jpg", ground, *shapes))
        receipt = ["TOOL & TIMBER|", "Lindenweg 7|", "", "Cordless drill 12 V|129.50", "Drill bits, set of 19|24.90", "Wall plugs|6.40", "",
                   "TOTAL EUR|160.80", "", "2026-11-21|14:02", "Two years of warranty.|"]
        papers.receipt(directory / "receipt.jpg", receipt, (1500, 1200))
        self.attach("Cordless drill", "Receipt.jpg", "photo", (directory / "receipt.jpg").read_bytes())
        papers.pdf(directory / "manual.pdf", ["Push the battery in until it clicks.", "The chuck takes bits up to 10 mm."])
        self.attach("Cordless drill", "Manual.pdf", "manual", (directory / "manual.pdf").read_bytes())
        hearth.eventually(lambda: self.call("GET", "/records?search=chuck")["items"])
        for name, role in (("Ben", "member"), ("Clara", "guest")):
            self.invite(name, role)
        # What was, and what was deleted.
        drill = f"/records/{self.ids['Cordless drill']}"
        self.call("PATCH", drill, {"notes": RECORDS[-1]["notes"] + "\n- [ ] Ask Rosa"})
        self.ids["Fax machine"] = self.call("POST", "/records", {"title": "Fax machine", "kind": "thing"})["id"]
        self.call("DELETE", f"/records/{self.ids['Fax machine']}")

    def invite(self, name, role):
        """Has somebody join, by a link as the page for people makes it."""
        token = self.call("POST", "/invitations", {"role": role}, self.sign_in())["link"]["token"]
        who = {"name": name, "email": f"{name.lower()}@example.org", "password": f"{name}-otter-drum-violet"}
        hearth.call(self.url, "POST", "/invitations/accept", who | {"token": token})

    def field(self, key, label, value):
        own = {"key": key} if key else {}
        worth = {"amount": value, "currency": "EUR"} if isinstance(value, int) else {"value": value}
        return own | {"label": label} | worth

    def attach(self, title, name, role, content):
        query = urllib.parse.urlencode({"name": name, "role": role})
        headers = self.headers | {"content-type": "application/octet-stream"}
        address = f"{self.url}/api/v1/records/{self.ids[title]}/attachments?{query}"
        urllib.request.urlopen(urllib.request.Request(address, content, headers), timeout=hearth.PATIENCE).close()


@pytest.fixture(scope="module")
def binder(tmp_path_factory):
    with hearth.start() as running:
        binder = Binder(running)
        binder.set_up()
        binder.fill(tmp_path_factory.mktemp("papers"))
        yield binder


def look_at(request, driver, binder, look):
    axe = request.config.getoption("axe").read_text()
    browser = chrome.Browser(driver, binder.url, look, axe, request.config.getoption("shots"))
    browser.take(binder.sign_in()["cookie"])
    return browser


@pytest.fixture(params=chrome.LOOKS, ids=lambda look: look.name)
def reader(request, driver, binder):
    browser = look_at(request, driver, binder, request.param)
    yield browser
    browser.close()


def test_each_page_of_a_binder_is_readable(reader, binder):
    drill = f"/records/{binder.ids['Cordless drill']}"
    pages = {
        "list": "/", "found": "/?search=chuck", "narrowed": "/?kind=thing&tag=warranty", "record": drill, "edit": f"{drill}/edit",
        "duplicate": f"/records/new?from={binder.ids['Cordless drill']}", "new-contract": "/records/new?kind=contract",
        "history": f"{drill}/history", "version": f"{drill}/history/2", "places": "/places",
        "place": f"/places/{binder.places['Cellar']}", "tags": "/tags", "trash": "/trash", "export": "/export", "import": "/import",
        "sample": "/sample", "account": "/account", "people": "/people", "audit": "/audit", "status": "/status",
    }
    for name, path in pages.items():
        reader.open(path)
        reader.until(lambda driver: driver.execute_script("return [...document.images].every(image => image.complete)"))
        reader.check(f"page-{name}")
    reader.open("/")
    reader.show(".filters > summary")
    reader.check("page-list-filters")
    reader.open(drill)
    reader.show(".things .ask > summary")
    reader.check("page-record-file")
    reader.open("/tags")
    reader.show(".ask > summary")
    reader.check("page-tags-change")


def test_a_table_is_imported_column_by_column(newcomer, tmp_path):
    newcomer.open("/")
    newcomer.fill(code=newcomer.setup_code, name="Anna", email="anna@example.org", password=hearth.OWNER["password"])
    newcomer.push("Create owner account")
    newcomer.open("/sample")
    newcomer.check("sample-empty")
    newcomer.push("Load the sample")
    newcomer.check("sample-loaded")
    newcomer.open("/")
    newcomer.check("sample-list")
    table = tmp_path / "things.csv"
    table.write_text("Name,Room,Bought,Price,Remark\nKettle,Kitchen,2025-03-04,39.90,blue\n,Attic,2024-01-01,5.00,has no name\n")
    newcomer.open("/import")
    newcomer.find("#import-file").send_keys(str(table))
    newcomer.push("Import")
    newcomer.has("Match columns")
    newcomer.check("import-columns")
    newcomer.fill(currency="EUR")
    newcomer.push("Import")
    newcomer.has("1 record was added")
    newcomer.has("Not imported")
    newcomer.check("import-report")


# The pictures of the documents.


def small(picture):
    """Returns a picture as a PNG of few colours has it."""
    return picture.convert("RGB").quantize(160, dither=Image.Dither.NONE)


def test_the_documents_have_their_pictures(request, driver, binder):
    place = request.config.getoption("shots") / "documents"
    place.mkdir(parents=True, exist_ok=True)
    looks = {look.name: look for look in chrome.LOOKS}
    drill = f"/records/{binder.ids['Cordless drill']}"

    def screen(look, path):
        browser = look_at(request, driver, binder, looks[look])
        browser.open(path)
        browser.until(lambda driver: driver.execute_script("return [...document.images].every(image => image.complete)"))
        kept = place / "screen.png"
        browser.screen(kept)
        picture = Image.open(kept).convert("RGB")
        kept.unlink()
        return picture.resize((browser.look.width, browser.look.height), Image.Resampling.LANCZOS)

    for name, path in (("first-page", "/"), ("record", drill), ("people", "/people")):
        small(screen("desktop-light", path)).save(place / f"{name}.png", optimize=True)
    phones = [screen("phone-light", "/"), screen("phone-light", drill), screen("phone-dark", "/?search=chuck")]
    gap, (width, height) = 24, phones[0].size
    together = Image.new("RGB", (gap + 3 * (width + gap), height + 2 * gap), "#e2dad0")
    for number, phone in enumerate(phones):
        together.paste(phone, (gap + number * (width + gap), gap))
    small(together).save(place / "phone.png", optimize=True)
    with hearth.start() as running:
        browser = chrome.Browser(driver, running.url, looks["desktop-light"], "", place)
        browser.open("/")
        browser.screen(place / "set-up.png")
        browser.close()
    small(Image.open(place / "set-up.png")).save(place / "set-up.png", optimize=True)
    assert all(each.stat().st_size < 200_000 for each in place.glob("*.png"))
