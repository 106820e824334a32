"""Does a client made by openapi-python-client work with a running Hearth?

`.ci/clients python` makes the client and runs this; by hand too.
"""

import datetime
import io
import os
from http import HTTPStatus

from hearth_client import AuthenticatedClient, Client
from hearth_client.api.account import create_token, list_tokens, revoke_token
from hearth_client.api.attachments import (
    append_upload,
    create_attachment,
    create_upload,
    get_attachment_content,
    get_upload,
    list_attachments,
)
from hearth_client.api.people import list_people
from hearth_client.api.records import create_record, delete_record, get_record, list_records, update_record
from hearth_client.api.session import set_up, show_auth, show_session, sign_in, sign_out
from hearth_client.models import (
    Attachment,
    AttachmentPage,
    AttachmentRole,
    Auth,
    CreatedToken,
    CurrentSession,
    NewRecord,
    NewToken,
    NewUpload,
    PersonPage,
    Problem,
    Record,
    RecordChange,
    RecordPage,
    RecordSort,
    Role,
    Scope,
    SetUp,
    SignIn,
    Upload,
)
from hearth_client.types import UNSET, File, Unset

DUE = datetime.date(2027, 2, 28)
EMAIL, PASSWORD = "anna@example.org", "seven-green-bottles"


def browser(url: str, cookies: str) -> AuthenticatedClient:
    """Returns a client that does as a browser: gives the cookie back, and says where a change comes from."""
    cookie = cookies.split(";")[0]
    return AuthenticatedClient(
        f"{url}/api/v1", token=cookie, prefix="", auth_header_name="cookie", headers={"sec-fetch-site": "same-origin"}
    )


def come_in(url: str) -> CreatedToken:
    """Sets the instance up, signs in as its owner, and makes a token."""
    with Client(f"{url}/api/v1", raise_on_unexpected_status=True) as nobody:
        ways = show_auth.sync(client=nobody)
        assert isinstance(ways, Auth) and ways.setup_needed, ways
        code = os.environ["HEARTH_TEST_SETUP_CODE"]
        owner = set_up.sync_detailed(
            client=nobody, body=SetUp(code=code, name="Anna", email=EMAIL, password=PASSWORD)
        )
        assert isinstance(owner.parsed, CurrentSession) and owner.parsed.user.role == Role.OWNER, owner
        first = browser(url, owner.headers["set-cookie"])
        assert isinstance(show_session.sync(client=first), CurrentSession)
        assert sign_out.sync_detailed(client=first).status_code == HTTPStatus.NO_CONTENT
        assert isinstance(show_session.sync(client=first), Problem)
        wrong = sign_in.sync(client=nobody, body=SignIn(email=EMAIL, password="seven-blue-bottles"))
        assert isinstance(wrong, Problem) and wrong.status == HTTPStatus.UNAUTHORIZED, wrong
        begun = sign_in.sync_detailed(client=nobody, body=SignIn(email=EMAIL, password=PASSWORD))
        assert isinstance(begun.parsed, CurrentSession), begun
        second = browser(url, begun.headers["set-cookie"])
        made = create_token.sync(client=second, body=NewToken(name="python", scope=Scope.ADMIN))
        assert isinstance(made, CreatedToken), made
        return made


def revoke(hearth: AuthenticatedClient, token: CreatedToken) -> None:
    assert list_tokens.sync_detailed(client=hearth).status_code == HTTPStatus.OK
    assert revoke_token.sync_detailed(token.token.id, client=hearth).status_code == HTTPStatus.NO_CONTENT
    gone = list_records.sync(client=hearth)
    assert isinstance(gone, Problem) and gone.status == HTTPStatus.UNAUTHORIZED, gone


def records(hearth: AuthenticatedClient) -> None:
    ids = []
    for title in ("Passport", "Boiler service", "Bicycle", "Insurance", "Lease"):
        body, key = NewRecord(title=title, category="python", due_date=DUE), title.replace(" ", "-")
        created = create_record.sync_detailed(client=hearth, body=body, idempotency_key=key)
        record = created.parsed
        assert created.status_code == HTTPStatus.CREATED and isinstance(record, Record), created
        assert created.headers["location"] == f"/api/v1/records/{record.id}"
        assert record.due_date == DUE and isinstance(record.created_at, datetime.datetime)
        # No response came, say: sent again, it creates nothing more.
        again = create_record.sync(client=hearth, body=body, idempotency_key=key)
        assert isinstance(again, Record) and again.id == record.id, again
        ids.append(record.id)

    people = list_people.sync(client=hearth)
    assert isinstance(people, PersonPage) and [person.name for person in people.items] == ["Anna"]

    seen: list[int] = []
    after: str | Unset = UNSET
    while True:
        page = list_records.sync(client=hearth, category="python", limit=2, after=after)
        assert isinstance(page, RecordPage), page
        seen.extend(record.id for record in page.items)
        if isinstance(page.next_, Unset):
            break
        after = page.next_
    assert sorted(seen) == sorted(ids)

    found = list_records.sync(client=hearth, search="boiler", sort=RecordSort.TITLE)
    assert isinstance(found, RecordPage) and "Boiler service" in [record.title for record in found.items]

    last = list_records.sync(client=hearth, category="python", sort=RecordSort.TITLE_DESC)
    assert isinstance(last, RecordPage) and last.items[0].title == "Passport"

    changed = update_record.sync(ids[0], client=hearth, body=RecordChange(notes="the blue one", due_date=None))
    assert isinstance(changed, Record), changed
    assert (changed.title, changed.notes, changed.due_date) == ("Passport", "the blue one", UNSET)

    assert delete_record.sync_detailed(ids[0], client=hearth).status_code == HTTPStatus.NO_CONTENT
    gone = get_record.sync(ids[0], client=hearth)
    assert isinstance(gone, Problem) and gone.status == HTTPStatus.NOT_FOUND


def attachments(hearth: AuthenticatedClient) -> None:
    record = create_record.sync(client=hearth, body=NewRecord(title="Washing machine"))
    assert isinstance(record, Record), record
    receipt = create_attachment.sync(
        record.id,
        client=hearth,
        body=File(payload=io.BytesIO(b"one receipt")),
        name="receipt.txt",
        role=AttachmentRole.RECEIPT,
    )
    assert isinstance(receipt, Attachment) and receipt.bytes_ == 11, receipt
    content = get_attachment_content.sync_detailed(receipt.id, client=hearth)
    assert content.content == b"one receipt"

    upload = create_upload.sync(record.id, client=hearth, body=NewUpload(name="film.bin", bytes_=10))
    assert isinstance(upload, Upload), upload
    for part in (b"hello", b"world"):
        now = get_upload.sync(upload.id, client=hearth)
        assert isinstance(now, Upload)
        file = File(payload=io.BytesIO(part))
        upload = append_upload.sync(now.id, client=hearth, body=file, upload_offset=now.offset)
        assert isinstance(upload, Upload), upload
    film = upload.attachment
    assert isinstance(film, Attachment) and film.name == "film.bin", upload
    assert get_attachment_content.sync_detailed(film.id, client=hearth).content == b"helloworld"
    page = list_attachments.sync(record.id, client=hearth)
    assert isinstance(page, AttachmentPage) and [one.id for one in page.items] == [receipt.id, film.id]


def refusals(hearth: AuthenticatedClient) -> None:
    refused = create_record.sync(client=hearth, body=NewRecord(title=" "))
    assert isinstance(refused, Problem) and not isinstance(refused.errors, Unset), refused
    assert refused.errors[0].field == "title"


def main() -> None:
    url = os.environ["HEARTH_TEST_URL"]
    token = come_in(url)
    with AuthenticatedClient(f"{url}/api/v1", token=token.secret, raise_on_unexpected_status=True) as hearth:
        records(hearth)
        refusals(hearth)
        attachments(hearth)
        revoke(hearth, token)
    print("python: the scenario passed")


if __name__ == "__main__":
    main()
