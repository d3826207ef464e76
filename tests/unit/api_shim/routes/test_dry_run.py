"""`"dry_run": true`: what is asked, how it is answered, and that nothing else happens."""

from __future__ import annotations

import pytest

from tests.fakes.clock import START
from tests.unit.api_shim.shim import BASE_PATH, Shim, problem
from worker.accounts.connection import TokenInfo
from worker.errors import FatalHubSpotError, ReconnectRequiredError
from worker.jobs.estimate import Basis, Estimate
from worker.jobs.request import ExportRequest
from worker.jobs.status import JobError
from worker.rate_limit.quota import Rate
from worker.records.types import CONTACTS, DEALS
from worker.rpc.requests import ExportPlan, Plan, PlanExports, PlannedExport

FACTS = TokenInfo(hub_id=62515, user_id=7, user="someone@example.test", scopes=("oauth", "content"))
RATE = Rate(110, 10.0)
REQUEST = ExportRequest(page_size=250)
ESTIMATE = Estimate(
    records=4200, calls=17, seconds=8.5, basis=Basis.LAST_EXPORT, as_of=START, calls_by_kind={"list": 17}
)


def plan(*exports: ExportPlan, rate: Rate | None = RATE) -> Plan:
    return Plan(exports=exports, rate=rate, facts=FACTS)


def export_plan(estimate: Estimate | None = ESTIMATE, missing: tuple[str, ...] | None = ()) -> ExportPlan:
    return ExportPlan(export_type=DEALS, request=REQUEST, estimate=estimate, missing_scopes=missing)


def require_nothing_started(shim: Shim) -> None:
    assert (shim.jobs.all, shim.queue.published) == ([], [])


def test_a_plan_is_shown_with_where_it_comes_from(shim: Shim) -> None:
    with shim.answering(plan(export_plan())):
        answer = shim.post("/export/deals", {"dry_run": True})

    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "message": "Nothing was started",
        "data": {
            "dry_run": True,
            "exports": [
                {
                    "type": "deals",
                    "request": {"limit": None, "page_size": 250, "offset": None, "params": {}},
                    "records": 4200,
                    "calls": 17,
                    "calls_by_kind": {"list": 17},
                    "seconds": 8.5,
                    "basis": "last_export",
                    "as_of": "2026-11-23T15:00:00Z",
                    "missing_scopes": [],
                }
            ],
            "records": 4200,
            "calls": 17,
            "seconds": 8.5,
            "quota": {"calls": 110, "seconds": 10.0, "share": 0.1545, "daily": None},
            "connection": {
                "hub_id": 62515,
                "user_id": 7,
                "user": "someone@example.test",
                "scopes": ["oauth", "content"],
                "missing_scopes": {
                    "companies": ["crm.objects.companies.read"],
                    "deals": ["crm.objects.deals.read"],
                    "notes": ["crm.objects.contacts.read"],
                },
            },
        },
    }
    require_nothing_started(shim)


def test_what_nobody_knows_is_null(shim: Shim) -> None:
    with shim.answering(plan(export_plan(None, None), rate=None)):
        data = shim.post("/export/deals", {"dry_run": True}).json()["data"]

    (export,) = data["exports"]
    names = ("records", "calls", "seconds", "basis", "as_of", "missing_scopes")
    assert [export[name] for name in names] == [None] * 6
    assert [data[name] for name in ("records", "calls", "seconds", "quota")] == [None] * 4


def test_several_exports_add_up_unless_one_is_unknown(shim: Shim) -> None:
    with shim.answering(plan(export_plan(), export_plan())):
        known = shim.post("/export/deals", {"dry_run": True}).json()["data"]
    with shim.answering(plan(export_plan(), export_plan(None))):
        unknown = shim.post("/export/deals", {"dry_run": True}).json()["data"]

    assert (known["records"], known["calls"], known["quota"]["share"]) == (8400, 34, 0.3091)
    assert (unknown["records"], unknown["calls"], unknown["quota"]["share"]) == (None, None, None)


def test_the_request_is_planned_as_it_would_be_run(shim: Shim) -> None:
    body = {"dry_run": True, "limit": 5, "page_size": 2, "offset": 7, "params": {"a": ["1", "2"]}, "label": "x"}
    with shim.answering(plan(export_plan())) as taken:
        shim.post("/export/contacts", body)

    asked = ExportRequest(limit=5, page_size=2, offset=7, params=(("a", "1"), ("a", "2")))
    rpc_request = taken.result()
    assert rpc_request.question == PlanExports(exports=(PlannedExport(export_type=CONTACTS, request=asked),))
    assert (rpc_request.account_id, rpc_request.owner, rpc_request.secret) == ("a1", "u1", None)


def test_false_runs(shim: Shim) -> None:
    assert shim.post("/export/deals", {"dry_run": False}).status_code == 202
    assert shim.rpc_requests.all == []


def test_a_dry_run_uses_up_no_idempotency_key(shim: Shim) -> None:
    with shim.answering(plan(export_plan())):
        answer = shim.ask(
            "POST", f"{BASE_PATH}/export/deals", content=b'{"dry_run": true}', headers={"idempotency-key": "k1"}
        )
    assert answer.status_code == 200

    answer = shim.ask("POST", f"{BASE_PATH}/export/deals", headers={"idempotency-key": "k1"})

    assert answer.status_code == 202


@pytest.mark.parametrize("wrong", ["true", 1, 0, "yes", [], {}])
def test_anything_but_true_and_false_is_refused_by_name(shim: Shim, wrong: object) -> None:
    answer = shim.post("/export/deals", {"dry_run": wrong})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert answer.json()["message"].startswith("dry_run: ")
    assert shim.rpc_requests.all == []


def test_the_rest_of_the_body_is_checked_first(shim: Shim) -> None:
    answer = shim.post("/export/contacts", {"dry_run": True, "page_size": 101})

    assert (answer.status_code, answer.json()["message"]) == (400, "page_size: must be at most 100 for contacts")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ReconnectRequiredError("revoked", status=400, body={"a": 1}), 502, "reconnect_required"),
        (FatalHubSpotError("no", status=403, body={"a": 1}), 502, "hubspot_error"),
    ],
)
def test_what_hubspot_refuses_is_answered_as_a_page_would_be(
    shim: Shim, error: FatalHubSpotError, status: int, code: str
) -> None:
    with shim.answering(JobError.of(error)):
        answer = shim.post("/export/deals", {"dry_run": True})

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["response"] == {"data": {"a": 1}}


def test_without_a_token_there_is_nothing_to_plan(shim: Shim) -> None:
    shim.tokens.clear()

    answer = shim.post("/export/deals", {"dry_run": True})

    assert problem(answer)[1]["code"] == "token_not_found"
    assert shim.rpc_requests.all == []


@pytest.mark.parametrize("part", ["rpc_request_queue", "rpc_requests", "tokens"])
def test_without_broker_or_database_nobody_plans(shim: Shim, part: str) -> None:
    getattr(shim, part).is_away = True

    answer = shim.post("/export/deals", {"dry_run": True})

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    shim.rpc_requests.is_away = False
    assert shim.rpc_requests.all == []
