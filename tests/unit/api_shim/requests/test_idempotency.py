"""`Idempotency-Key`: the same request gives the same job, another one under its key is refused."""

from __future__ import annotations

import httpx
import pytest

from api_shim.requests.idempotency import LONGEST_KEY
from tests.unit.api_shim.hubspot_pages import body_of
from tests.unit.api_shim.shim import BASE_PATH, Shim, mint, problem, token_of

WRONG_KEY = f"Idempotency-Key: must be 1 to {LONGEST_KEY} visible ASCII characters"


def post(
    shim: Shim, content: str = "", *, key: str = "k1", export_type: str = "contacts", **claims: object
) -> httpx.Response:
    headers = {"idempotency-key": key}
    authorization = f"Bearer {mint(claims)}"
    path = f"{BASE_PATH}/export/{export_type}"
    return shim.ask("POST", path, authorization=authorization, content=content.encode(), headers=headers)


def id_in(answer: httpx.Response) -> str:
    job_id: str = answer.json()["data"]["job_id"]
    return job_id


def test_a_repeated_request_is_answered_with_its_job_as_it_stands_now(shim: Shim) -> None:
    first = post(shim)
    job = shim.worker.export(id_in(first), body_of("contacts", [1, 2]))

    repeated = post(shim)

    assert (first.status_code, repeated.status_code) == (202, 200)
    assert repeated.headers["Location"] == first.headers["Location"]
    assert repeated.json()["message"] == "Accepted before"
    assert (id_in(repeated), repeated.json()["data"]["status"]) == (job.job_id, "succeeded")
    assert [job.job_id for job in shim.jobs.all] == [job.job_id]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("", "{}"),
        ("", "null"),
        ("{}", '{"limit": null, "page_size": 100, "params": {}, "offset": "", "label": null}'),
        ('{"limit": 5, "label": "x"}', ' { "label":"x",\n"limit":5 } '),
        ('{"limit": 5}', '{"limit": "5"}'),
        ('{"params": {"a": "1", "b": ["2", "3"]}}', '{"params": {"b": ["2", "3"], "a": ["1"], "c": []}}'),
    ],
)
def test_requests_that_mean_the_same_are_the_same(shim: Shim, first: str, second: str) -> None:
    assert [id_in(post(shim, first)), id_in(post(shim, second))] == [shim.jobs.all[0].job_id] * 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("", '{"limit": 5}'),
        ('{"limit": 5}', '{"limit": 6}'),
        ("", '{"offset": 0}'),
        ("", '{"page_size": 99}'),
        ("", '{"label": ""}'),
        ('{"params": {"a": ["1", "2"]}}', '{"params": {"a": ["2", "1"]}}'),
        ('{"params": {"a": "1"}}', '{"params": {"A": "1"}}'),
    ],
)
def test_another_body_under_the_key_is_refused(shim: Shim, first: str, second: str) -> None:
    post(shim, first)

    answer = post(shim, second)

    expected = {
        "success": False,
        "errno": 422,
        "message": "Idempotency-Key: has been used for another request",
        "code": "idempotency_key_reused",
    }
    assert problem(answer) == (422, expected)
    assert len(shim.jobs.all) == 1


def test_another_type_under_the_key_is_another_request(shim: Shim) -> None:
    post(shim)

    assert post(shim, export_type="companies").status_code == 422


def test_a_key_is_no_other_users_and_no_other_accounts(shim: Shim) -> None:
    for account_id, uid in (("a1", "u2"), ("a2", "u1")):
        shim.tokens.put(token_of(account_id, uid))

    answers = [post(shim), post(shim, uid="u2"), post(shim, account_id="a2")]

    assert [answer.status_code for answer in answers] == [202] * 3
    assert len({id_in(answer) for answer in answers}) == 3


@pytest.mark.parametrize("key", ["x" * LONGEST_KEY, "!", "~", '"8e03978e-40d5-43e8-bc93-6894a57f9324"', "a,b;c=d"])
def test_a_key_is_any_word_that_a_header_holds(shim: Shim, key: str) -> None:
    assert id_in(post(shim, key=key)) == id_in(post(shim, key=key))


@pytest.mark.parametrize("key", ["", " ", "a b", "a\tb", "é", "x" * (LONGEST_KEY + 1), "\x7f"])
def test_what_is_no_key_is_refused_by_the_headers_name(shim: Shim, key: str) -> None:
    answer = post(shim, key=key)

    expected = {"success": False, "errno": 400, "message": WRONG_KEY, "code": "invalid_request"}
    assert problem(answer) == (400, expected)
    assert (shim.jobs.all, shim.keys.all) == ([], {})


def test_two_keys_are_none(shim: Shim) -> None:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(shim.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shim") as client:
            headers = [("authorization", f"Bearer {mint()}"), ("idempotency-key", "a"), ("Idempotency-Key", "b")]
            return await client.post(f"{BASE_PATH}/export/contacts", headers=headers)

    answer = shim.portal.call(send)

    assert (answer.status_code, answer.json()["message"]) == (400, "Idempotency-Key: is given more than once")
    assert shim.jobs.all == []


@pytest.mark.parametrize("content", ["{", '{"limit": 0}', '{"page_size": 101}'])
def test_of_a_body_that_was_refused_the_key_is_free(shim: Shim, content: str) -> None:
    assert post(shim, content).status_code == 400

    assert post(shim).status_code == 202


def test_of_an_account_without_token_the_key_is_free(shim: Shim) -> None:
    assert post(shim, uid="u2").status_code == 404
    shim.tokens.put(token_of("a1", "u2"))

    assert post(shim, uid="u2").status_code == 202


@pytest.mark.parametrize("part", ["jobs", "keys", "tokens"])
def test_a_request_that_was_refused_while_the_database_was_away_starts_one_job_when_repeated(
    shim: Shim, part: str
) -> None:
    getattr(shim, part).is_away = True
    assert post(shim).status_code == 503
    getattr(shim, part).is_away = False

    assert post(shim).status_code in {200, 202}
    assert len(shim.jobs.all) == 1


def test_a_key_whose_job_was_deleted_is_a_conflict_that_says_so(shim: Shim) -> None:
    job_id = id_in(post(shim))
    assert shim.delete(f"/jobs/{job_id}").status_code == 204

    answer = post(shim)

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert answer.json()["message"].startswith("Idempotency-Key: its job is gone")
    assert shim.jobs.all == []


def test_without_the_broker_it_is_the_same(shim: Shim) -> None:
    shim.queue.is_away = True

    assert [post(shim).status_code, post(shim).status_code] == [202, 200]


def test_without_a_key_every_request_starts_a_job(shim: Shim) -> None:
    assert shim.start("contacts") != shim.start("contacts")
    assert shim.keys.all == {}
