"""Can a person keep records with the pages, on a phone, at a desk, by keyboard and without scripts?"""

import zlib

import pytest
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.support.ui import Select

from chrome import stale

PER_PAGE = 20


def titles(browser):
    return browser.texts(".records h2")


def test_the_list_is_looked_through_page_by_page(browser):
    browser.open("/")
    browser.check("records")
    seen = titles(browser)
    assert len(seen) == PER_PAGE
    while browser.all("a[rel=next]"):
        browser.press("a[rel=next]")
        seen += titles(browser)
    assert len(seen) == len(set(seen))
    assert {f"Record {number:02}" for number in range(45)} <= set(seen)
    browser.check("records-last-page")
    browser.press("a[rel=first]")
    assert titles(browser) == seen[:PER_PAGE]


def texts(browser, selector):
    """Returns the texts of these elements, and none while the page is being loaded again."""
    try:
        return browser.texts(selector)
    except WebDriverException:
        return []


def choose(browser, name, words):
    """Chooses what has these words in a select."""
    shown = [each for each in browser.all(f"[name={name}]") if each.is_displayed()]
    Select(shown[0]).select_by_visible_text(words)


def test_a_record_is_added_read_and_found(browser):
    title = f"Drill {browser.look.name}"
    browser.open("/")
    browser.press("a[href='/records/new']")
    browser.check("record-new")
    # The fields of a kind come as soon as it is chosen, and what was typed stays.
    browser.fill(title=title)
    before = browser.find("html")
    choose(browser, "kind", "Thing")
    browser.until(lambda _: stale(before))
    browser.fill(**{"field-serial_number": "S 7", "field-price": "129,50 €", "tags": "attic, tools"})
    browser.fill(notes="Twice a **year**.\n\n- [x] oiled\n- [ ] Ask for the blue one")
    browser.check("record-filled-in")
    browser.push("Add")
    assert browser.find("[role=status]").text == "The record was added."
    assert browser.find("h1").text == title
    page = browser.find(".record").text
    for text in ("Thing", "S 7", "EUR 129.50", "attic", "year", "Added just now by Anna"):
        assert text in page, (text, page)
    assert browser.find(".notes strong").text == "year"
    browser.check("record")

    browser.open("/")
    assert titles(browser)[0] == title
    browser.fill(search=f"drill {browser.look.name}")
    browser.push("Search")
    assert titles(browser) == [title]
    browser.check("records-found")
    browser.fill(search="nothing is called this")
    browser.push("Search")
    assert titles(browser) == []
    browser.check("records-nothing-found")


def test_a_list_is_narrowed_and_widened_again(browser, household):
    tag = f"narrow-{browser.look.name}"
    for kind in ("vehicle", "home"):
        household.call("POST", "/records", {"title": f"{kind} {tag}", "kind": kind, "tags": [tag]})
    browser.open("/")
    browser.show(".filters > summary")
    choose(browser, "kind", "Vehicle")
    browser.fill(tag=tag)
    browser.push("Apply")
    assert titles(browser) == [f"vehicle {tag}"]
    browser.check("records-narrowed")
    browser.press(".chosen a[href*=tag]:not([href*=kind])")
    assert titles(browser) == [f"home {tag}", f"vehicle {tag}"]


def test_a_record_is_edited_on_a_page_of_its_own(browser, household):
    record = household.call("POST", "/records", {
        "title": f"Car {browser.look.name}", "kind": "vehicle", "fields": [{"label": "Colour", "value": "blue\nand black"}],
    })
    browser.open(f"/records/{record['id']}")
    browser.press(f"a[href='/records/{record['id']}/edit']")
    browser.check("record-edit")
    browser.fill(**{"field-licence_plate": "AB 12"})
    browser.push("Save")
    assert browser.find("[role=status]").text == "The record was saved."
    now = household.call("GET", f"/records/{record['id']}")
    assert [field["value"] for field in now["fields"]] == ["AB 12", "blue\nand black"]
    assert now["version"] == 2
    # Somebody else is faster.
    browser.press(f"a[href='/records/{record['id']}/edit']")
    household.call("PATCH", f"/records/{record['id']}", {"title": "Their title"})
    browser.fill(title="My title")
    browser.push("Save")
    assert "Their title" in browser.find("h1").text
    browser.check("record-conflict", answered_with_an_error=True)
    browser.push("Save")
    assert browser.find("h1").text == "My title"


def test_a_page_that_is_out_of_date_is_loaded_again_when_somebody_comes_back(browser, household):
    record = household.call("POST", "/records", {"title": f"Old {browser.look.name}"})
    for path, shown in ((f"/records/{record['id']}", "h1"), ("/", ".records h2")):
        browser.open(path)
        title = f"New {browser.look.name} {path}"
        household.call("PATCH", f"/records/{record['id']}", {"title": title})
        browser.driver.execute_script("dispatchEvent(new Event('focus'))")
        browser.until(lambda _: title in texts(browser, shown))
    # What is being typed is not thrown away.
    browser.open(f"/records/{record['id']}/edit")
    browser.fill(title="Mine")
    household.call("PATCH", f"/records/{record['id']}", {"title": "Theirs"})
    browser.driver.execute_script("dispatchEvent(new Event('focus'))")
    assert browser.find("[name=title]").get_attribute("value") == "Mine"


def test_a_key_leads_to_the_search_and_to_the_form(browser):
    browser.open("/")
    ActionChains(browser.driver).send_keys("/").perform()
    assert browser.driver.switch_to.active_element.get_attribute("name") == "search"
    browser.driver.execute_script("document.activeElement.blur()")
    ActionChains(browser.driver).send_keys("n").perform()
    assert browser.driver.switch_to.active_element.get_attribute("name") == "title"


def picture(path, color):
    """Makes a photograph, as a phone takes them."""
    width, height = 640, 480
    rows = b"".join(b"\0" + bytes(color) * width for _ in range(height))
    chunk = lambda kind, data: (len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big"))
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return str(path)


def test_a_photograph_of_a_receipt_is_a_record_in_a_moment(browser, tmp_path):
    title = f"Receipt {browser.look.name}"
    browser.open("/")
    browser.show(".quick > summary")
    browser.fill(".quick", title=title)
    browser.find("#quick-camera").send_keys(picture(tmp_path / "IMG_1.png", (168, 66, 27)))
    browser.check("record-quick-add")
    before = browser.find("html")
    browser.find(".quick button.main").click()
    browser.until(lambda _: stale(before))
    browser.until(lambda _: browser.texts("h1") == [title])
    shown = "return document.querySelector('.photos img').naturalWidth > 0"
    browser.until(lambda driver: driver.execute_script(shown))
    browser.check("record-with-photograph")
    # Another file is sent as soon as it is chosen.
    (tmp_path / "terms.txt").write_text("words of the terms")
    before = browser.find("html")
    browser.find("#add-files").send_keys(str(tmp_path / "terms.txt"))
    browser.until(lambda _: stale(before))
    browser.has("terms.txt")
    assert browser.find("[role=status]").text == "The file was added."
    browser.open("/")
    assert browser.all(".records li:first-child img.thumbnail")
    browser.check("records-with-photograph")


def test_an_upload_waits_while_the_browser_is_offline_and_goes_on(browser, household, tmp_path):
    record = household.call("POST", "/records", {"title": f"Offline {browser.look.name}"})
    (tmp_path / "large.bin").write_bytes(bytes(range(256)) * 32 * 1024)
    browser.open(f"/records/{record['id']}")
    browser.driver.set_network_conditions(offline=True, latency=0, throughput=1 << 30)
    try:
        before = browser.find("html")
        browser.find("#add-files").send_keys(str(tmp_path / "large.bin"))
        browser.has("The upload goes on when you are online again.")
    finally:
        browser.driver.delete_network_conditions()
    browser.until(lambda _: stale(before))
    browser.has("large.bin")
    browser.said()
    attached = household.call("GET", f"/records/{record['id']}/attachments")["items"]
    assert [each["bytes"] for each in attached] == [8 << 20]


def test_files_are_dropped_and_pasted(browser, household):
    record = household.call("POST", "/records", {"title": f"Dropped {browser.look.name}"})
    for kind, name in (("drop", "dropped.txt"), ("paste", "pasted.txt")):
        browser.open(f"/records/{record['id']}")
        before = browser.find("html")
        browser.driver.execute_script("""
            const data = new DataTransfer();
            data.items.add(new File(['words'], arguments[1], {type: 'text/plain'}));
            const event = arguments[0] === 'drop' ? new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true})
                : new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true});
            document.body.dispatchEvent(event);
        """, kind, name)
        browser.until(lambda _: stale(before))
        browser.has(name)


def test_what_was_wrong_is_said_beside_the_field(browser):
    browser.open("/records/new?kind=thing")
    browser.as_typed()
    browser.fill(title=" ", category="kept", **{"field-price": "12"})
    browser.push("Add")
    for name, words in (("title", "must not be empty"), ("field-price", "needs a currency")):
        field = browser.find(f"[name={name}]")
        assert field.get_attribute("aria-invalid") == "true"
        said = field.get_attribute("aria-describedby").split()[-1]
        assert words in browser.find(f"#{said}").text
    assert browser.find("[name=category]").get_attribute("value") == "kept"
    browser.check("record-refused", answered_with_an_error=True)


def test_everything_works_without_scripts(browser, tmp_path):
    browser.without_scripts()
    title = f"Without scripts {browser.look.name}"
    browser.open("/")
    browser.press("a[href='/records/new']")
    browser.fill(title=title)
    choose(browser, "kind", "Home")
    browser.push("Show its fields")
    browser.fill(**{"field-address": "Lindenweg 7"})
    browser.push("Add")
    assert "Lindenweg 7" in browser.find(".facts").text
    browser.open("/")
    browser.fill(search=f"scripts {browser.look.name}")
    browser.push("Search")
    assert titles(browser) == [title]
    browser.press(".records h2 a")
    (tmp_path / "terms.txt").write_text("words of the terms")
    browser.find("#add-files").send_keys(str(tmp_path / "terms.txt"))
    browser.push("Add the files")
    browser.has("terms.txt")
    browser.all(".record > .ask summary")[-1].click()
    browser.push("Move to the trash")
    assert "moved to the trash" in browser.find("[role=status]").text
    assert title not in titles(browser)
    assert not browser.said()


@pytest.mark.parametrize("path", ["/nothing-is-here", "/?after=nonsense"])
def test_an_error_is_a_page_that_leads_back(browser, path):
    browser.open(path)
    browser.check("error" if "nothing" in path else "error-in-the-address", answered_with_an_error=True)
    browser.press("main a")
    assert titles(browser)
