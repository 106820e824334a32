"""What does a household see behind a proxy, and what do strangers get who lie to it?

Users are at 127.0.0.5 and 127.0.0.6; 127.0.0.9 is a stranger who reaches Hearth's own port. The proxy is at 127.0.0.1.
"""

import subprocess

import proxies
import pytest
import yaml

# What a stranger writes to be somebody else. To some proxies a header that `Connection` names is theirs to take away.
CLAIM = "203.0.113.9"
FORGERIES = [
    [("X-Forwarded-For", CLAIM)],
    [("X-Forwarded-For", f"{CLAIM}, 127.0.0.1")],
    [("X-Forwarded-For", CLAIM), ("X-Forwarded-For", "127.0.0.1")],
    [("X-Forwarded-For", "[2001:db8::9]:4711")],
    [("X-Forwarded-For", "nonsense")],
    [("X-Forwarded-For", CLAIM), ("Connection", "X-Forwarded-For")],
    [("X_Forwarded_For", CLAIM)],
    [("Forwarded", f"for={CLAIM};host=evil.example;proto=http")],
    [("X-Real-IP", CLAIM), ("X-Client-IP", CLAIM), ("CF-Connecting-IP", CLAIM), ("True-Client-IP", CLAIM)],
    [("X-Forwarded-Host", "evil.example")],
    [("X-Forwarded-Host", "evil.example, hearth.example.org")],
    [("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Host", "evil.example")],
    [("X-Forwarded-Host", "evil.example"), ("Connection", "X-Forwarded-Host")],
    [("X-Forwarded-Server", "evil.example"), ("X-Forwarded-Port", "1"), ("X-Original-Host", "evil.example")],
]


def test_a_page_of_ours_signs_in_by_https_and_no_other_does(household):
    form = b"email=anna%40example.org&password=seven-green-bottles"
    kind = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "text/html")]

    def post(origin):
        return household.proxy.ask("POST", "/sign-in", [*kind, ("Origin", origin)], form)

    answer = post(proxies.URL)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    session = next(each for each in answer.headers.get_all("set-cookie") if "device" not in each)
    assert session.startswith("__Host-hearth-") and "Secure" in session, session
    seen = household.proxy.ask("GET", "/api/v1/session", [("Cookie", answer.cookies())])
    assert seen.json()["user"]["email"] == "anna@example.org"
    for origin in ("https://evil.example", "https://hearth.example.org:8443", "null"):
        assert post(origin).status == 403, origin
    # A name that somebody else has pointed here.
    assert b"Sign in" not in household.proxy.ask("GET", "/sign-in", [("Host", "evil.example")]).body


def test_plain_http_leads_to_https(household):
    answer = household.proxy.ask_by_http("GET", "/people")
    assert answer.status in (301, 308)
    assert answer.headers["location"].split("/people")[0].startswith(proxies.URL), answer.headers["location"]


def test_sessions_and_the_audit_log_have_the_true_addresses(household):
    signed_in = household.sign_in(client="127.0.0.5")
    assert signed_in.status == 201, signed_in
    assert household.sign_in(client="127.0.0.6").status == 201
    assert household.fail("nobody@example.org", "127.0.0.7") == 401
    assert household.addresses("signed_in")[:2] == ["127.0.0.6", "127.0.0.5"]
    assert household.addresses("sign_in_failed") == ["127.0.0.7"]
    assert {session["address"] for session in household.see("/sessions")["items"]} == {"127.0.0.5", "127.0.0.6"}


def test_attempts_are_counted_for_each_client_and_not_for_the_proxy(household):
    # Each at another account, so that it is the address that counts; and each claims to be somebody new.
    statuses = [
        household.fail(f"nobody{number}@example.org", "127.0.0.6", [("X-Forwarded-For", f"203.0.113.{number}")])
        for number in range(12)
    ]
    assert statuses[:10] == [401] * 10 and statuses[-1] == 429, statuses
    assert household.sign_in(client="127.0.0.6").status == 429
    assert household.sign_in(client="127.0.0.5").status == 201
    assert set(household.addresses("sign_in_throttled")) == {"127.0.0.6"}
    assert set(household.addresses("sign_in_failed")) == {"127.0.0.6"}


def test_what_a_stranger_claims_changes_nothing_through_the_proxy(household):
    for forgery in FORGERIES:
        answer = household.sign_in(headers=forgery, client="127.0.0.6")
        assert answer.status == 201, (forgery, answer)
        assert answer.headers.get_all("set-cookie")[0].startswith("__Host-hearth-"), (forgery, answer)
    assert household.addresses("signed_in")[:len(FORGERIES)] == ["127.0.0.6"] * len(FORGERIES)


def test_what_a_stranger_claims_changes_nothing_around_the_proxy(household):
    around = household.proxy.ask_around
    for forgery in FORGERIES:
        answer = household.sign_in(headers=forgery, client="127.0.0.9", ask=around)
        assert answer.status == 201, (forgery, answer)
    assert household.addresses("signed_in")[:len(FORGERIES)] == ["127.0.0.9"] * len(FORGERIES)
    assert around("GET", "/api/v1/auth", [("Host", "evil.example"), ("X-Forwarded-Host", proxies.NAME)]).status == 421
    statuses = [
        household.fail(f"nobody{number}@example.org", "127.0.0.9", [("X-Forwarded-For", f"203.0.113.{number}")], around)
        for number in range(12)
    ]
    assert statuses[-1] == 429, statuses
    assert household.sign_in(client="127.0.0.6").status == 201


def test_a_large_body_arrives_and_one_that_is_too_large_gets_our_own_answer(household):
    def add(length):
        # JSON may have blanks around it.
        body = b'{"title":"Boiler"}'.ljust(length)
        headers = [("Cookie", household.cookie), ("Origin", proxies.URL), ("Content-Type", "application/json")]
        return household.proxy.ask("POST", "/api/v1/records", headers, body)

    assert add(1 << 20).status == 201
    refused = add((1 << 20) + 1)
    assert (refused.status, refused.headers["content-type"]) == (413, "application/problem+json"), refused


def test_the_commands_of_the_document_print_what_it_says(household, tmp_path):
    proxy = household.proxy
    (tmp_path / ".curlrc").write_text(
        f'connect-to = "{proxies.NAME}:443:127.0.0.1:{proxy.port}"\n'
        f'connect-to = "{proxies.NAME}:80:127.0.0.1:{proxy.http_port}"\n'
        f'cacert = "{proxy.certificate.authority}"\ninterface = "127.0.0.7"\n'
    )

    def run(name):
        words = ["bash", "-ec", proxies.block(name)]
        return subprocess.run(words, env={"PATH": "/usr/bin:/bin", "CURL_HOME": str(tmp_path)}, check=True,
                              capture_output=True, text=True, timeout=60).stdout

    redirect, health = run("verify").splitlines()
    assert redirect.split()[1].startswith(proxies.URL), redirect
    assert '"status":"ok"' in health
    assert run("forged") == "401\n"
    assert household.addresses("sign_in_failed") == ["127.0.0.7"]


@pytest.mark.parametrize("name", ["traefik.yml", "hearth.yml", "local.yml", "gateway.yml"])
def test_the_files_are_whole(name):
    assert isinstance(yaml.safe_load(proxies.block(name)), dict)


@pytest.mark.parametrize("settings, file", [("container.env", "local.yml"), ("gateway.env", "gateway.yml")])
def test_the_proxy_that_is_trusted_is_the_one_in_the_file(settings, file):
    network = yaml.safe_load(proxies.block(file))
    trusted = proxies.settings(settings)["HEARTH_HTTP__TRUSTED_PROXIES"]
    addresses = [network["networks"]["default"]["ipam"]["config"][0].get("gateway")]
    addresses += [service["networks"]["default"]["ipv4_address"] for service in network.get("services", {}).values()]
    assert trusted in addresses
