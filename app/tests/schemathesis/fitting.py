"""Which of the requests that schemathesis thinks up are not for Hearth's operations to answer?"""

import urllib.parse

import schemathesis

# Hearth takes heads of 32 KiB; this leaves room for the other headers. What is longer the server refuses with a bare
# 431 before anything of Hearth's sees it, as app/tests/blackbox/problems.rs checks.
LONGEST = 28_000


@schemathesis.hook
def filter_query(context, query):
    """Returns whether a query fits into a request's head."""
    return len(urllib.parse.urlencode(query or {}, doseq=True, errors="replace")) < LONGEST
