"""What does a browser make of the files of a record: pictures that Hearth cannot decode, PDFs, and what must not run?"""

import io

import papers
import pytest
from PIL import Image

from chrome import stale


@pytest.fixture
def record(request, browser, household):
    """A record whose page is open."""
    made = household.call("POST", "/records", {"title": request.node.name})
    browser.open(f"/records/{made['id']}")
    return made["id"]


def attach(browser, path):
    before = browser.find("html")
    browser.find("#add-files").send_keys(str(path))
    browser.until(lambda _: stale(before))
    browser.has("The file was added.")


def attached(household, record):
    return household.call("GET", f"/records/{record}/attachments")["items"]


def is_shown(selector):
    """Returns the condition that a picture is there, and decoded."""
    script = "const image = document.querySelector(arguments[0]); return image !== null && image.naturalWidth"
    return lambda driver: driver.execute_script(script, selector)


def has_a_viewer(driver):
    frames = driver.execute_cdp_cmd("Target.getTargets", {})["targetInfos"]
    return any(each["type"] == "iframe" and each["url"].startswith("chrome-extension://") for each in frames)


def shows_paper(driver):
    """Whether a good part of the screen is white, as a page of a PDF is, and no page of Hearth's."""
    screen = Image.open(io.BytesIO(driver.get_screenshot_as_png())).convert("L")
    return screen.histogram()[255] > screen.width * screen.height / 8


def test_a_picture_that_only_the_browser_can_decode_gets_its_preview_there(browser, household, record, tmp_path):
    papers.receipt(tmp_path / "IMG_1.avif", ["Haushalt & Co|", "Kettle|39.90"], size=(1500, 2000))
    attach(browser, tmp_path / "IMG_1.avif")
    # The page makes the preview and is loaded again.
    assert browser.until(is_shown(".photos img")) == 480
    assert browser.until(is_shown(".things img.thumbnail")) == 480
    browser.check("record-with-a-preview-of-the-browser")
    [attachment] = attached(household, record)
    assert attachment["media_type"] == "image/avif"
    browser.open("/")
    assert browser.all(".records li:first-child img.thumbnail")
    assert browser.until(is_shown(".records li:first-child img.thumbnail")) == 480


def test_a_picture_that_nobody_can_decode_is_tried_once_and_stays_a_file(browser, record, tmp_path):
    (tmp_path / "IMG_2.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400))
    browser.show("input[name=keep_location]")
    attach(browser, tmp_path / "IMG_2.heic")
    tried = "return Object.keys(sessionStorage).filter(name => name.startsWith('preview')).length"
    browser.until(lambda driver: driver.execute_script(tried))
    browser.has("IMG_2.heic")
    assert not browser.all(".photos img") and not browser.all(".things img")
    browser.check("record-with-a-picture-without-preview")


def test_a_pdf_opens_in_its_own_page_and_reaches_nothing(browser, household, record, tmp_path):
    papers.pdf(tmp_path / "Manual.pdf", ["How to descale"])
    attach(browser, tmp_path / "Manual.pdf")
    [attachment] = attached(household, record)
    address = f"/api/v1/attachments/{attachment['id']}/content"
    link = browser.find(f".things a[href='{address}']")
    headers = browser.driver.execute_async_script("""
        fetch(arguments[0]).then(answer => arguments[1](Object.fromEntries(answer.headers)))
    """, address)
    assert headers["content-type"] == "application/pdf"
    assert headers["content-disposition"].startswith("inline")
    assert headers["x-content-type-options"] == "nosniff"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src" not in policy and "frame-ancestors 'none'" in policy, policy
    before = browser.find("html")
    link.click()
    browser.until(lambda _: stale(before))
    assert browser.driver.current_url.endswith(address)
    # Chromium shows it by a viewer of its own, which is none of Hearth's origin.
    assert browser.driver.execute_script("return document.contentType") == "application/pdf"
    browser.until(has_a_viewer)
    browser.until(shows_paper)
    # What is no page names no icon, so Chromium asks for the usual one.
    assert all("favicon.ico" in line for line in browser.said())


@pytest.mark.parametrize("name", ["page.html", "picture.svg", "receipt.jpg", "contract.pdf"])
def test_a_file_with_a_script_runs_nothing_whatever_it_is_called(browser, household, record, tmp_path, name):
    script = "<script>document.cookie = 'ran=yes'; localStorage.setItem('ran', 'yes')</script>"
    markup = {"picture.svg": f"<svg xmlns='http://www.w3.org/2000/svg'>{script}</svg>"}.get(name, f"<html>{script}</html>")
    (tmp_path / name).write_text(markup)
    attach(browser, tmp_path / name)
    [attachment] = attached(household, record)
    page = browser.driver.current_url
    browser.driver.get(f"{browser.url}/api/v1/attachments/{attachment['id']}/content")
    # It is saved, and the page stays.
    assert browser.driver.current_url == page
    assert browser.driver.execute_script("return localStorage.getItem('ran')") is None
    assert "ran=" not in browser.driver.execute_script("return document.cookie")
