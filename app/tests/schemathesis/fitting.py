"""Which of the requests that schemathesis thinks up are not for Hearth's operations to answer, and which does it not know to
be wrong?

A document cannot say all that is asked of a request: that a title is one line and not blank, that an e-mail address is one,
that a password is none of the common ones, that a cursor is one that a page gave. A request that fits the document is made
into one that meets the rest before it is sent, so each of them has to be accepted. Those that do not fit go as they are.
"""

import urllib.parse
import uuid

import schemathesis

# Hearth takes heads of 32 KiB; this leaves room for the other headers. What is longer the server refuses with a bare
# 431 before anything of Hearth's sees it, as app/tests/blackbox/problems.rs checks.
LONGEST = 28_000


@schemathesis.hook
def filter_query(context, query):
    """Returns whether a query fits into a request's head."""
    return len(urllib.parse.urlencode(query or {}, doseq=True, errors="replace")) < LONGEST


@schemathesis.hook
def before_call(context, case, kwargs):
    """Makes a request that fits the document into one that has to be accepted."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if case.query:
        case.query.pop("after", None)
        if "category" in case.query:
            case.query["category"] = fitting("category", case.query["category"])
    if case.headers:
        # The version of a record that has another one by now.
        case.headers.pop("If-Match", None)
        # A key is for one body.
        if "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = str(uuid.uuid4())
    if isinstance(case.body, dict):
        case.body = {field: fitting(field, value) for field, value in case.body.items()}


def fitting(field, value):
    """Returns what is accepted in the place of a value that the document allows."""
    if not isinstance(value, str) or not value:
        return value
    if field in ("title", "category", "name"):
        return "".join(letter if letter.isalnum() else "x" for letter in value)
    if field == "notes":
        return "".join(letter if letter.isprintable() else "\n" for letter in value)
    if field in ("email", "tailscale_login"):
        return f"{value.encode('utf-8', 'replace').hex()[:40]}@example.org"
    if field in ("password", "new_password"):
        return f"a sentence that nobody guesses {len(value)}"
    # A time in the past is refused.
    return "2999-12-31T23:59:59Z" if field == "expires_at" else value
