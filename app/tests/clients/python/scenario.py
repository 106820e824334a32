"""Does a client made by openapi-python-client work with a running Hearth?

`.ci/clients python` makes the client and runs this; by hand too.
"""

import datetime
import os
from http import HTTPStatus

from hearth_client import Client
from hearth_client.api.records import create_record, delete_record, get_record, list_records, update_record
from hearth_client.models import NewRecord, Order, Problem, Record, RecordChange, RecordPage
from hearth_client.types import UNSET, Unset

DUE = datetime.date(2027, 2, 28)


def records(hearth: Client) -> None:
    ids = []
    for title in ("Passport", "Boiler service", "Bicycle", "Insurance", "Lease"):
        created = create_record.sync_detailed(
            client=hearth, body=NewRecord(title=title, category="python", due_date=DUE)
        )
        record = created.parsed
        assert created.status_code == HTTPStatus.CREATED and isinstance(record, Record), created
        assert created.headers["location"] == f"/api/v1/records/{record.id}"
        assert record.due_date == DUE and isinstance(record.created_at, datetime.datetime)
        ids.append(record.id)

    seen: list[int] = []
    after: str | Unset = UNSET
    while True:
        page = list_records.sync(client=hearth, category="python", limit=2, after=after)
        assert isinstance(page, RecordPage), page
        seen.extend(record.id for record in page.records)
        if isinstance(page.next_, Unset):
            break
        after = page.next_
    assert sorted(seen) == sorted(ids)

    found = list_records.sync(client=hearth, search="boiler", order=Order.TITLE)
    assert isinstance(found, RecordPage) and "Boiler service" in [record.title for record in found.records]

    changed = update_record.sync(ids[0], client=hearth, body=RecordChange(notes="the blue one", due_date=None))
    assert isinstance(changed, Record), changed
    assert (changed.title, changed.notes, changed.due_date) == ("Passport", "the blue one", UNSET)

    assert delete_record.sync_detailed(ids[0], client=hearth).status_code == HTTPStatus.NO_CONTENT
    gone = get_record.sync(ids[0], client=hearth)
    assert isinstance(gone, Problem) and gone.status == HTTPStatus.NOT_FOUND


def refusals(hearth: Client) -> None:
    refused = create_record.sync(client=hearth, body=NewRecord(title=" "))
    assert isinstance(refused, Problem) and not isinstance(refused.errors, Unset), refused
    assert refused.errors[0].field == "title"


def main() -> None:
    # Accounts come first, so that all that follows is done by somebody.
    with Client(f"{os.environ['HEARTH_TEST_URL']}/api/v1", raise_on_unexpected_status=True) as hearth:
        records(hearth)
        refusals(hearth)
    print("python: the scenario passed")


if __name__ == "__main__":
    main()
