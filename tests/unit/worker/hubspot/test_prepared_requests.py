"""RequestPreparer: addresses as `requests` would write them, and requests that hold what they should and no more."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from worker.hubspot.prepared import RequestPreparer

TOKEN = SecretStr("a-token")
URLS = [
    "https://api.hubapi.com/contacts/v1/lists/all/contacts/all",
    "https://api.hubapi.com/companies/v2/companies/paged?properties=name&properties=website",
    "https://api.hubapi.com",
    "http://127.0.0.1:8000/a b/ü?x=%7e%2F&y=#part",
]

preparer = RequestPreparer()


@pytest.mark.parametrize("url", URLS)
@given(params=st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=4))
def test_an_address_that_is_known_is_written_as_requests_writes_it(url: str, params: list[tuple[str, str]]) -> None:
    expected = requests.Request("GET", url, params=params).prepare()
    for _ in range(2):
        made = preparer.get(url, params, token=TOKEN)
        assert (made.method, made.url, made.body) == ("GET", expected.url, expected.body)


@given(params=st.lists(st.tuples(st.text(max_size=5), st.text(alphabet="a, &=", max_size=5)), max_size=4))
def test_commas_are_kept_where_they_part_names_and_nothing_else_changes(params: list[tuple[str, str]]) -> None:
    kept = preparer.get(URLS[0], params, token=TOKEN, keeps_commas=True).url or ""
    written = preparer.get(URLS[0], params, token=TOKEN).url or ""
    assert kept == written.replace("%2C", ",")
    assert parse_qsl(urlsplit(kept).query, keep_blank_values=True) == params


def test_a_form_and_json_are_sent_as_requests_sends_them() -> None:
    url, form, body = "https://api.hubapi.com/oauth/v1/token", [("code", "a b"), ("code", "ü")], {"limit": 0}
    for made, expected in (
        (preparer.other("POST", url, form=form, json=None, token=None), requests.Request("POST", url, data=form)),
        (preparer.other("POST", url, form=None, json=body, token=TOKEN), requests.Request("POST", url, json=body)),
        (preparer.other("GET", url, form=None, json=None, token=None), requests.Request("GET", url)),
    ):
        prepared = expected.prepare()
        assert (made.url, made.body) == (prepared.url, prepared.body)
        for name in ("Content-Type", "Content-Length"):
            assert made.headers.get(name) == prepared.headers.get(name)


def test_a_netrc_is_not_looked_at_where_there_is_no_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine api.hubapi.com login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    made = preparer.other("POST", "https://api.hubapi.com/oauth/v1/token", form=[("a", "b")], json=None, token=None)
    assert "Authorization" not in made.headers


@pytest.mark.parametrize("url", ["api.hubapi.com/contacts", "https://", "https://*.hubapi.com/"])
def test_what_is_no_address_is_refused(url: str) -> None:
    for _ in range(2):
        with pytest.raises(requests.RequestException):
            preparer.get(url, [], token=TOKEN)
