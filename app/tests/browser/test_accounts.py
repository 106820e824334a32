"""Can a household come in, look after itself and its people with the pages?

Each story is lived at each width, light and dark; each page it meets is checked and kept as a picture.
"""

import base64
import hashlib
import contextlib
import hmac
import sqlite3
import struct
import time

PASSWORD, OTHER = "violet-otter-drum", "another-otter-drum"


def one_time(secret):
    """Returns what a phone shows now (RFC 6238)."""
    key = base64.b32decode(secret.replace(" ", ""))
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    at = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[at:at + 4])[0] & 0x7FFFFFFF) % 10**6:06}"


def set_up(browser):
    browser.open("/set-up")
    browser.fill(code=browser.setup_code, name="Anna", email="anna@example.org", password=PASSWORD)
    browser.push("Create owner account")


def behind_its_back(browser, *statements):
    """Changes the database, as time and other programs do."""
    with contextlib.closing(sqlite3.connect(browser.database)) as database, database:
        for statement in statements:
            database.execute(statement)


def sign_out(browser):
    browser.push("Sign out")
    browser.has("You are signed out")


def test_the_owner_sets_up_signs_out_and_in(newcomer):
    newcomer.open("/")
    assert newcomer.driver.current_url.endswith("/set-up")
    newcomer.check("set-up")
    newcomer.as_typed()
    newcomer.fill(code="wrong", name=" ", email="anna", password="short")
    newcomer.push("Create owner account")
    newcomer.has("The account was not created")
    newcomer.check("set-up-wrong", answered_with_an_error=True)
    set_up(newcomer)
    newcomer.has("There are no records yet")
    newcomer.check("records-empty")
    sign_out(newcomer)
    newcomer.check("sign-in")
    newcomer.fill(email="anna@example.org", password="nonsense-nonsense")
    newcomer.push("Sign in")
    newcomer.has("The e-mail or the password is wrong")
    newcomer.check("sign-in-wrong", answered_with_an_error=True)
    # Back to where one wanted to go.
    newcomer.open("/people")
    newcomer.fill(email="anna@example.org", password=PASSWORD)
    newcomer.push("Sign in")
    assert newcomer.driver.current_url.endswith("/people")


def test_an_account_is_looked_after(newcomer):
    set_up(newcomer)
    newcomer.open("/account")
    newcomer.check("account")
    newcomer.as_typed()
    newcomer.fill(name=" ", email="x")
    newcomer.push("Save")
    newcomer.has("Your profile was not saved")
    newcomer.check("account-wrong", answered_with_an_error=True)
    newcomer.open("/account")
    newcomer.show("#password ~ details summary")
    newcomer.fill(current_password=PASSWORD, new_password=OTHER)
    newcomer.push("Change password")
    newcomer.has("Your password was changed")

    newcomer.push("Set up two-factor authentication")
    newcomer.has("Scan this QR code")
    newcomer.check("second-factor")
    secret = newcomer.find("code.secret").text
    newcomer.fill(code="000000")
    newcomer.push("Turn on")
    newcomer.has("does not match the code in the app")
    newcomer.said()
    newcomer.fill(code=one_time(secret))
    newcomer.push("Turn on")
    newcomer.has("Your recovery codes")
    newcomer.check("recovery-codes")
    codes = newcomer.texts(".codes code")
    assert len(codes) == 10

    newcomer.open("/account")
    newcomer.show("#tokens ~ details summary")
    newcomer.fill(within="form[action^='/account/tokens']", name="Calendar on the wall")
    newcomer.push("Create token")
    newcomer.has("It is not shown again")
    newcomer.check("token")

    newcomer.open("/account")
    sign_out(newcomer)
    newcomer.fill(email="anna@example.org", password=OTHER)
    newcomer.push("Sign in")
    newcomer.has("Two-factor authentication")
    newcomer.check("code")
    newcomer.fill(code="123456")
    newcomer.push("Sign in")
    newcomer.has("The code is wrong")
    newcomer.check("code-wrong", answered_with_an_error=True)
    newcomer.fill(code=codes[0])
    newcomer.push("Sign in")
    newcomer.open("/account")
    newcomer.has("9 recovery codes left")
    newcomer.push("Revoke Calendar on the wall")
    newcomer.has("The token was revoked")
    newcomer.check("account-with-second-factor")


def test_the_owner_learns_of_a_nas_that_is_away(operator):
    operator.open("/")
    # The destinations are tried some seconds after the start, and the app hears of it with its next health check.
    deadline = time.monotonic() + 60
    while "The backups need attention" not in operator.find("body").text:
        assert time.monotonic() < deadline, operator.find("body").text
        operator.open("/")
    operator.check("backups-need-attention")
    operator.press("aside.news a")
    operator.has("Backups cannot be written here")
    operator.has("/mnt/nas-that-is-away/hearth")
    operator.check("status")


def test_people_are_invited_changed_and_helped(newcomer):
    set_up(newcomer)
    newcomer.open("/people")
    newcomer.check("people")
    newcomer.fill(email="ben@example.org")
    newcomer.push("Create link")
    newcomer.has("Invitation link")
    newcomer.check("invitation-link")
    link = newcomer.find("code.secret").text
    newcomer.open("/people")
    newcomer.check("people-invited")
    sign_out(newcomer)

    newcomer.driver.get(link)
    newcomer.check("invitation")
    newcomer.fill(name="Ben", password="purple-walrus-chair")
    newcomer.push("Join")
    newcomer.has("There are no records yet")
    newcomer.open("/people")
    newcomer.has("Access denied")
    newcomer.check("not-allowed", answered_with_an_error=True)
    newcomer.driver.get(link)
    newcomer.has("This link is not valid")
    newcomer.check("link-over", answered_with_an_error=True)
    sign_out(newcomer)

    newcomer.fill(email="anna@example.org", password=PASSWORD)
    newcomer.push("Sign in")
    newcomer.open("/people")
    newcomer.show("details.ask summary")
    newcomer.check("people-change")
    newcomer.push("Create reset link")
    newcomer.has("can choose a new password")
    newcomer.check("reset-link")
    reset = newcomer.find("code.secret").text
    newcomer.open("/people")
    newcomer.show("details.ask summary")
    newcomer.push("Disable Ben")
    newcomer.has("The account was disabled")
    newcomer.show("details.ask summary")
    newcomer.push("Enable Ben")
    newcomer.has("The account was enabled")
    newcomer.open("/audit")
    newcomer.check("audit")
    sign_out(newcomer)
    newcomer.driver.get(reset)
    newcomer.check("reset")
    newcomer.fill(password="green-walrus-chair")
    newcomer.push("Set password")
    newcomer.has("There are no records yet")


def test_a_passkey_is_added_and_signs_in(newcomer):
    newcomer.add_authenticator()
    set_up(newcomer)
    newcomer.open("/account")
    newcomer.find("[data-passkey-name]").send_keys("Laptop <1>")
    newcomer.push("Add passkey")
    newcomer.has("Your passkey was added")
    assert newcomer.driver.current_url.endswith("#passkeys")
    newcomer.has("Laptop <1>")
    newcomer.check("account-passkey")
    sign_out(newcomer)
    newcomer.open("/sign-in?next=/audit")
    newcomer.check("sign-in-passkey")
    newcomer.push("Sign in with a passkey")
    newcomer.has("Sign-ins, changes to accounts and records")
    assert newcomer.driver.current_url.endswith("/audit")
    newcomer.open("/account")
    newcomer.push("Delete Laptop <1>")
    newcomer.has("The passkey was deleted")


def test_an_old_sign_in_is_renewed_for_what_lasts(newcomer):
    set_up(newcomer)
    behind_its_back(
        newcomer,
        "UPDATE session SET created_at = '2026-11-24T12:00:00.000Z'",
        "INSERT INTO account (user_id, provider, provider_id, created_at, updated_at)"
        " VALUES (1, 'oidc', 'https://id.example.org 7', '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z')",
    )
    # What another program writes is seen within a second.
    old = "you must have signed in within the last hour"
    newcomer.until(lambda driver: newcomer.open("/people") or old in newcomer.find("main").text)
    newcomer.check("people-again")
    newcomer.fill(email="ben@example.org")
    newcomer.push("Create link")
    newcomer.has("Sign in again, then retry")
    newcomer.check("people-again-wrong", answered_with_an_error=True)
    newcomer.open("/account")
    newcomer.check("account-again")
    newcomer.press(".note a")
    newcomer.has("You signed in more than an hour ago")
    newcomer.check("sign-in-again")
    newcomer.fill(email="anna@example.org", password=PASSWORD)
    newcomer.push("Sign in")
    newcomer.has("Linked accounts")
    newcomer.push("Unlink Single sign-on https://id.example.org 7")
    newcomer.has("The link was removed")
    newcomer.check("account-unlinked")


def test_what_was_typed_outlives_the_session(newcomer):
    set_up(newcomer)
    newcomer.open("/records/new")
    newcomer.fill(title="Boiler service", notes="Call in November")
    behind_its_back(newcomer, "DELETE FROM session")
    newcomer.until(lambda _: not newcomer.is_signed_in())
    newcomer.push("Add")
    newcomer.has("Nothing was saved")
    newcomer.check("session-over", answered_with_an_error=True)
    page = newcomer.driver.current_window_handle
    newcomer.find("main a[target=_blank]").click()
    newcomer.until(lambda driver: len(driver.window_handles) == 2)
    newcomer.driver.switch_to.window(next(each for each in newcomer.driver.window_handles if each != page))
    newcomer.fill(email="anna@example.org", password=PASSWORD)
    newcomer.push("Sign in")
    newcomer.driver.close()
    newcomer.driver.switch_to.window(page)
    newcomer.push("Submit again")
    newcomer.has("was added")
    newcomer.open("/")
    assert newcomer.texts(".records h2") == ["Boiler service"]


def test_a_record_is_changed_hidden_and_deleted(newcomer):
    set_up(newcomer)
    newcomer.open("/records/new")
    newcomer.fill(title="Boiler service", notes="Call in November")
    newcomer.find("input[value=private]").click()
    newcomer.push("Add")
    newcomer.has("was added")
    newcomer.has("Only me")
    newcomer.check("record")
    newcomer.press("a[href$='/edit']")
    newcomer.fill(title="Boiler service, yearly")
    newcomer.push("Save")
    newcomer.has("was saved")
    newcomer.all("details.ask summary")[-1].click()
    newcomer.check("record-delete")
    newcomer.push("Move to the trash")
    newcomer.has("was moved to the trash")


def test_a_household_lives_without_scripts(newcomer):
    newcomer.without_scripts()
    newcomer.open("/")
    newcomer.fill(code=newcomer.setup_code, name="Anna", email="anna@example.org", password=PASSWORD)
    newcomer.push("Create owner account")
    newcomer.open("/records/new")
    newcomer.fill(title="Boiler service")
    newcomer.push("Add")
    newcomer.push("Sign out")
    newcomer.fill(email="anna@example.org", password=PASSWORD)
    newcomer.push("Sign in")
    assert newcomer.texts(".records h2") == ["Boiler service"]
    assert not newcomer.said()
