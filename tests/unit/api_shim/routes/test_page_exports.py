"""`GET /export/{type}`: one page, as HubSpot sent it, in the documented body."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.patience import PATIENCE_S
from tests.unit.api_shim.hubspot_pages import body_of
from tests.unit.api_shim.shim import Shim, mint, token_of
from worker.jobs.request import ExportRequest
from worker.jobs.status import JobKind, JobStatus

TYPES = ("contacts", "companies", "deals", "notes")
MOST = {"contacts": 100, "companies": 250, "deals": 250, "notes": 250}
HEAD = b'{"success":true,"message":"DATA Recieved","data":'


def asked(shim: Shim, query: str) -> ExportRequest:
    """Return what the worker is asked for."""
    path, _, _ = query.partition("?")
    with shim.exporting(body_of(path, [])):
        assert shim.get(f"/export/{query}").status_code == 200
    return shim.jobs.all[-1].request


@pytest.mark.parametrize("export_type", TYPES)
def test_a_page_with_more_gives_its_cursor(shim: Shim, export_type: str) -> None:
    body = body_of(export_type, [1, 2], offset=3412996225)
    with shim.exporting(body):
        answer = shim.get(f"/export/{export_type}")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == HEAD + body + b',"pagination":{"hasMore":true,"offset":3412996225}}'


@pytest.mark.parametrize("export_type", TYPES)
def test_the_last_page_says_null(shim: Shim, export_type: str) -> None:
    body = body_of(export_type, [])
    with shim.exporting(body):
        answer = shim.get(f"/export/{export_type}")

    assert answer.content == HEAD + body + b',"pagination":{"hasMore":null,"offset":null}}'


def test_an_offset_that_is_text_stays_text(shim: Shim) -> None:
    with shim.exporting(b'{"deals":[],"hasMore":true,"offset":"NTI1Cg%3D%3D"}'):
        answer = shim.get("/export/deals")

    assert answer.json()["pagination"] == {"hasMore": True, "offset": "NTI1Cg%3D%3D"}


@pytest.mark.parametrize(
    "records",
    [
        b'[ {"vid" : 1 ,\t"x":  [1 , 2]}\n,\r\n{ } ]',
        rb'[{"name":"J\u00fcrgen \ud83d\ude00 \/ \n"}]',
        '[{"name":"Jürgen 😀\u2028"}]'.encode(),
        b'[{"n":123456789012345678901234567890,"f":1.10,"e":1E400,"z":-0}]',
        b'[{"a":1,"a":2,"":null}]',
    ],
)
def test_the_page_is_hubspots_body_to_the_byte(shim: Shim, records: bytes) -> None:
    body = b' {"has-more" :true, "contacts":' + records + b',"unknown":{"x":[]},"vid-offset":7 }\n'
    with shim.exporting(body):
        answer = shim.get("/export/contacts")

    assert answer.content == HEAD + body + b',"pagination":{"hasMore":true,"offset":7}}'


def test_what_is_no_json_is_mended_and_all_else_is_hubspots_to_the_byte(shim: Shim) -> None:
    records = b'[{"vid": 1,"n":NaN},{"a":"\xff"},{"a":"\\ud83d\t"}]'
    body = b'\xef\xbb\xbf{ "contacts":' + records + b',"has-more":"true","vid-offset":7.0}'
    mended = (
        '{ "contacts":[{"vid": 1,"n":null},{"a":"\ufffd"},{"a":"\\ufffd\\u0009"}],"has-more":"true","vid-offset":7.0}'
    )
    with shim.exporting(body):
        answer = shim.get("/export/contacts")

    assert answer.content == HEAD + mended.encode() + b',"pagination":{"hasMore":true,"offset":7}}'


def test_ten_records_are_asked_for_unless_a_limit_is_given(shim: Shim) -> None:
    assert asked(shim, "contacts") == ExportRequest(limit=10, page_size=10)
    assert asked(shim, "contacts?limit=25&offset=300") == ExportRequest(limit=25, page_size=25, offset=300)
    assert asked(shim, "contacts?limit=&offset=") == ExportRequest(limit=10, page_size=10)


@pytest.mark.parametrize("export_type", TYPES)
def test_a_limit_above_the_types_maximum_is_lowered_to_it(shim: Shim, export_type: str) -> None:
    most = MOST[export_type]
    assert asked(shim, f"{export_type}?limit={most}").page_size == most
    assert asked(shim, f"{export_type}?limit={most + 1}").page_size == most
    assert asked(shim, f"{export_type}?limit=9223372036854775807").page_size == most


def test_deals_pass_every_further_parameter_on_in_order(shim: Shim) -> None:
    query = "properties=amount&limit=3&properties=dealstage&x=%C3%BC%26%3D&offset=9&properties=amount&empty=&+=%00"

    assert asked(shim, f"deals?{query}") == ExportRequest(
        limit=3,
        page_size=3,
        offset=9,
        params=(
            ("properties", "amount"),
            ("properties", "dealstage"),
            ("x", "ü&="),
            ("properties", "amount"),
            ("empty", ""),
            (" ", "\x00"),
        ),
    )


@pytest.mark.parametrize("export_type", ["contacts", "companies", "notes"])
def test_the_other_types_pass_nothing_on(shim: Shim, export_type: str) -> None:
    assert asked(shim, f"{export_type}?properties=amount&x=1").params == ()


def test_the_page_is_a_job_of_the_caller(shim: Shim) -> None:
    shim.tokens.put(token_of("a2", "u2"))
    with shim.exporting(body_of("contacts", [1])):
        shim.get("/export/contacts", authorization=f"Bearer {mint({'account_id': 'a2', 'uid': 'u2'})}")

    (job,) = shim.jobs.all
    assert (job.account_id, job.owner, job.kind, job.status) == ("a2", "u2", JobKind.PAGE, JobStatus.SUCCEEDED)
    assert shim.queue.published[0].job_id == job.job_id


def test_the_answer_waits_for_the_page_and_not_for_the_end_of_its_job(shim: Shim) -> None:
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = pool.submit(shim.get, "/export/contacts")
        job = shim.worker.start(shim.queue.take().job_id)
        shim.worker.store_only(job, body_of("contacts", [1]))
        shim.worker.notify_page(job)
        answer = waiting.result(PATIENCE_S)

    assert answer.json()["data"]["contacts"] == [{"vid": 1}]
    assert shim.jobs.get(job.job_id, account_id="a1").status is JobStatus.RUNNING


def test_callers_who_wait_at_the_same_time_get_each_their_own_page(shim: Shim) -> None:
    for name in ("a2", "a3"):
        shim.tokens.put(token_of(name, "u1"))
    with ThreadPoolExecutor(max_workers=2) as pool:
        waiting = {
            name: pool.submit(shim.get, "/export/contacts", authorization=f"Bearer {mint({'account_id': name})}")
            for name in ("a2", "a3")
        }
        for job in (shim.queue.take(), shim.queue.take()):
            shim.worker.export(job.job_id, b'{"contacts":["%s"]}' % job.account_id.encode())

    assert {name: answer.result().json()["data"]["contacts"] for name, answer in waiting.items()} == {
        "a2": ["a2"],
        "a3": ["a3"],
    }
