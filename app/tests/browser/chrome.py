"""How is a real Chromium driven, and what must hold for each page in it?

It speaks WebDriver, so scripts that look at a page run whatever the page's policy says.
"""

import base64
import dataclasses
import os
import shutil

from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException, WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.common.virtual_authenticator import VirtualAuthenticatorOptions
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 30
# Nobody looks at more of a page.
TALLEST = 4000
# axe's words for what keeps people out.
GRAVE = {"serious", "critical"}

# Each element that Tab has to reach; of radio buttons with one name it reaches one.
CONTROLS = """
const shown = element => element.checkVisibility({visibilityProperty: true}) && !element.disabled;
const names = new Set();
window.controls = [...document.querySelectorAll(
    'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]')]
    .filter(element => shown(element) && element.tabIndex >= 0)
    .filter(element => element.type !== 'radio' || !names.has(element.name) && names.add(element.name));
return window.controls.map(element => element.outerHTML.slice(0, 120));
"""
FOCUSED = """
const element = document.activeElement;
const same = control => control === element || control.type === 'radio' && control.name === element.name;
const style = getComputedStyle(element);
const visible = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
return [window.controls.findIndex(same), visible];
"""


@dataclasses.dataclass(frozen=True)
class Look:
    """How a person looks at Hearth."""

    name: str
    width: int
    height: int
    dark: bool


LOOKS = [
    Look(f"{device}-{'dark' if dark else 'light'}", width, height, dark)
    for device, width, height in (("phone", 390, 844), ("desktop", 1280, 900))
    for dark in (False, True)
]


def programs():
    """Returns the browser and its driver, or None where one is missing."""
    beside = os.environ.get("CHROMEWEBDRIVER")
    drivers = [f"{beside}/chromedriver"] if beside else []
    drivers += ["chromedriver", "/usr/lib/chromium-browser/chromedriver", "chromium.chromedriver"]
    browsers = ["google-chrome"] if beside else []
    browsers += ["chromium", "chromium-browser", "google-chrome"]
    found = [next(filter(None, map(shutil.which, names)), None) for names in (browsers, drivers)]
    return found if all(found) else None


def start(browser, driver, *more):
    """Starts Chromium without a window, with these options as well."""
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    # Root in a container has no namespaces to make a sandbox of; /dev/shm may be 64 MiB.
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--lang=en-GB", *more):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))


class Browser:
    """A Chromium that a person with a certain look at things uses."""

    def __init__(self, driver, url, look, axe, shots):
        self.driver, self.url, self.look, self.axe, self.shots = driver, url, look, axe, shots
        driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        phone = look.width < 600
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": look.width, "height": look.height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone,
        })
        scheme = {"name": "prefers-color-scheme", "value": "dark" if look.dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.said()

    def open(self, path):
        """Goes to a page of Hearth."""
        self.driver.get(self.url + path)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def texts(self, selector):
        return [element.text for element in self.all(selector)]

    def take(self, cookie):
        """Takes a cookie, as from an answer of Hearth's."""
        name, value = cookie.split("=", 1)
        words = {"name": name, "value": value, "url": self.url, "httpOnly": True, "sameSite": "Lax"}
        self.driver.execute_cdp_cmd("Network.setCookie", words)

    def fill(self, within="", **fields):
        """Types into the fields of these names, of those that are shown."""
        for name, text in fields.items():
            shown = [each for each in self.all(f"{within} [name={name}]") if each.is_displayed()]
            assert shown, f"no field {name} in {self.driver.current_url}"
            shown[0].clear()
            shown[0].send_keys(text)

    def push(self, words):
        """Presses the button with these words, of those that are shown, and waits for the page it leads to."""
        named = lambda each: words in (each.text, each.get_attribute("aria-label"))
        shown = [each for each in self.all("button") if each.is_displayed() and named(each)]
        assert shown, f"no button {words!r}, but {self.texts('button')}"
        self.leave_by(shown[0])

    def show(self, selector):
        """Opens what is folded away."""
        self.find(selector).click()

    def is_signed_in(self):
        """Asks the API, from the page."""
        ask = "fetch('/api/v1/session').then(answer => arguments[0](answer.status === 200))"
        return self.driver.execute_async_script(ask)

    def has(self, text):
        """Waits until the page says this."""
        self.until(lambda driver: text in driver.find_element(By.TAG_NAME, "body").text)

    def as_typed(self):
        """Lets forms be sent whatever the browser itself has against them."""
        self.driver.execute_script("document.querySelectorAll('form').forEach(form => { form.noValidate = true })")

    def press(self, selector):
        """Presses what leads to another page, and waits for that page."""
        self.leave_by(self.find(selector))

    def leave_by(self, element):
        before = self.find("html")
        element.click()
        self.until(lambda _: stale(before))
        self.until(lambda driver: driver.execute_script("return document.readyState") == "complete")

    def until(self, condition):
        """Waits for a condition on the driver."""
        return WebDriverWait(self.driver, PATIENCE, poll_frequency=0.05).until(condition)

    def said(self):
        """Returns what the browser complained of since it was asked last: errors, and what the policy forbade."""
        lines = self.driver.get_log("browser")
        return [line["message"] for line in lines if line["level"] in ("SEVERE", "WARNING")]

    def check(self, name, answered_with_an_error=False):
        """Keeps a picture of the page, and checks what holds for every page. Chromium logs each answer of 4xx."""
        said = self.said()
        if answered_with_an_error:
            said = [line for line in said if "the server responded with a status of 4" not in line]
        assert not said, said
        self.picture(name)
        wide = self.driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1] == self.look.width, f"the page is {wide[0]} px wide, and the screen {self.look.width}"
        assert not self.violations()
        self.walk()

    def screen(self, path):
        """Keeps a picture of what is on the screen."""
        self.driver.save_screenshot(str(path))

    def picture(self, name):
        self.shots.mkdir(parents=True, exist_ok=True)
        self.driver.execute_script("scrollTo(0, 0)")
        size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        # All of the page, and no less than a screen of it.
        clip = {"x": 0, "y": 0, "width": self.look.width, "height": min(max(size["height"], self.look.height), TALLEST), "scale": 1}
        taken = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
        (self.shots / f"{name}-{self.look.name}.png").write_bytes(base64.b64decode(taken["data"]))

    def violations(self):
        """Returns axe's serious and critical findings."""
        self.driver.execute_script(self.axe)
        found = self.driver.execute_async_script("axe.run(document).then(arguments[0])")
        return [
            (each["id"], each["help"], [node["html"] for node in each["nodes"]])
            for each in found["violations"] if each["impact"] in GRAVE
        ]

    def walk(self):
        """Goes through the page by Tab: each control must be reached, with a mark that is seen."""
        controls = self.driver.execute_script(CONTROLS)
        self.driver.execute_script("document.activeElement.blur()")
        reached = set()
        # A field for a date has several stops.
        for _ in range(6 * len(controls) + 2):
            ActionChains(self.driver).send_keys(Keys.TAB).perform()
            at, visible = self.driver.execute_script(FOCUSED)
            # The button in a field for a date has a mark of the browser's own.
            if at >= 0 and at not in reached:
                assert visible, f"no focus is seen on {controls[at]}"
                reached.add(at)
            if len(reached) == len(controls):
                break
        missed = [html for at, html in enumerate(controls) if at not in reached]
        assert not missed, f"not reached by Tab: {missed}"
        self.driver.execute_script("document.activeElement.blur(); scrollTo(0, 0)")

    def without_scripts(self):
        """Switches the scripts of pages off until the next test."""
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})

    def add_authenticator(self):
        """Plugs in a key that keeps passkeys and knows its owner; pages are at http://localhost for it."""
        options = VirtualAuthenticatorOptions(
            protocol=VirtualAuthenticatorOptions.Protocol.CTAP2,
            transport=VirtualAuthenticatorOptions.Transport.INTERNAL,
            has_resident_key=True, has_user_verification=True, is_user_consenting=True, is_user_verified=True,
        )
        self.driver.add_virtual_authenticator(options)

    def close(self):
        """Leaves the browser as the next test wants it."""
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        if self.driver.virtual_authenticator_id:
            self.driver.remove_virtual_authenticator()
        self.driver.get("about:blank")


def stale(element):
    try:
        element.is_enabled()
        return False
    except (NoSuchElementException, StaleElementReferenceException):
        return True
    except WebDriverException as error:
        # While one document goes and the next comes.
        return "does not belong to the document" in str(error)
