"""Can a person keep records with the pages, on a phone, at a desk, by keyboard and without scripts?"""

import pytest

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


def test_a_record_is_added_and_found(browser):
    title = f"Boiler service {browser.look.name}"
    browser.open("/")
    browser.fill(title=title, category="Heating", notes="Twice a year.\nAsk for the blue one.")
    browser.push("Add")
    assert browser.find("[role=status]").text == f"“{title}” was added."
    assert titles(browser)[0] == title
    browser.check("records-added")

    browser.fill(search=f"boiler {browser.look.name}")
    browser.press(".search button")
    assert titles(browser) == [title]
    browser.find("summary").click()
    assert "Ask for the blue one." in browser.find(".notes").text
    browser.check("records-found")

    browser.fill(search="nothing is called this")
    browser.press(".search button")
    assert titles(browser) == []
    browser.check("records-nothing-found")


def test_what_was_wrong_is_said_beside_the_field(browser):
    browser.open("/")
    browser.as_typed()
    browser.fill(title=" ", category="kept")
    browser.push("Add")
    field = browser.find("[name=title]")
    assert field.get_attribute("aria-invalid") == "true"
    assert "must not be empty" in browser.find(f"#{field.get_attribute('aria-describedby')}").text
    assert browser.find("[name=category]").get_attribute("value") == "kept"
    browser.check("records-refused", answered_with_an_error=True)


def test_everything_works_without_scripts(browser):
    browser.without_scripts()
    title = f"Without scripts {browser.look.name}"
    browser.open("/")
    browser.fill(title=title)
    browser.push("Add")
    browser.fill(search=f"scripts {browser.look.name}")
    browser.press(".search button")
    assert titles(browser) == [title]
    assert not browser.said()


@pytest.mark.parametrize("path", ["/nothing-is-here", "/?after=nonsense"])
def test_an_error_is_a_page_that_leads_back(browser, path):
    browser.open(path)
    browser.check("error" if "nothing" in path else "error-in-the-address", answered_with_an_error=True)
    browser.press("main a")
    assert titles(browser)
