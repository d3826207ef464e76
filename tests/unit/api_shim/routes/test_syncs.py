"""`POST /sync`: a job with a child for each type; what is seen of it, and what cancel, retry and delete do to it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.patience import PATIENCE_S
from tests.unit.api_shim.conftest import Running
from tests.unit.api_shim.hubspot_pages import body_of
from tests.unit.api_shim.shim import BASE_PATH, RESULT_TTL, Json, Shim, mint, problem
from worker.accounts.connection import TokenInfo
from worker.errors import FatalHubSpotError
from worker.jobs.job import Job
from worker.jobs.request import ExportRequest, SyncRequest
from worker.jobs.sync import new_sync
from worker.records.types import DEALS, DOCUMENTED_TYPES, NOTES
from worker.rpc.requests import Plan, PlanExports, PlannedExport

TYPES = ["contacts", "companies", "deals", "notes"]
NO_CHANGES = {"created": 0, "changed": 0, "unchanged": 0, "deleted": 0, "withheld": 0}
NOW = "2026-11-23T15:00:00Z"


def synced(shim: Shim, *types: str) -> str:
    answer = shim.post("/sync", {"types": list(types)} if types else None)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["data"]["job_id"]
    return job_id


def scheduled(shim: Shim) -> str:
    """Store a sync as a schedule does: a worker has to make its children."""
    request = SyncRequest(types=tuple(DOCUMENTED_TYPES))
    shim.jobs.add(new_sync("scheduled", account_id="a1", owner="u1", request=request, at=shim.clock()))
    return "scheduled"


def started(shim: Shim, *types: str) -> tuple[str, dict[str, Job]]:
    sync_id = synced(shim, *types)
    return sync_id, {child.records_type: child for child in shim.worker.start_sync(sync_id)}


def shown(shim: Shim, job_id: str) -> Json:
    answer = shim.get(f"/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    data: Json = answer.json()["data"]
    return data


def finish(shim: Shim, child: Job, *, records: int = 3) -> None:
    shim.worker.export(child.job_id, body_of(child.type_name, range(records)))


def fail(shim: Shim, child: Job, message: str = "No") -> None:
    shim.worker.fail(shim.worker.start(child.job_id), FatalHubSpotError(message, status=403))


def retried(shim: Shim, job_id: str) -> Json:
    answer = shim.post(f"/jobs/{job_id}/retry")
    assert answer.status_code == 202, answer.text
    data: Json = answer.json()["data"]
    return data


def test_who_confirms_deletions_has_each_export_know_and_a_retry_keeps_it(shim: Shim) -> None:
    job_id: str = shim.post("/sync", {"types": ["deals"], "confirm_deletions": True}).json()["data"]["job_id"]
    assert shown(shim, job_id)["request"]["confirm_deletions"] is True
    (child,) = shim.worker.start_sync(job_id)
    fail(shim, child)
    retried(shim, job_id)
    kept = shim.jobs.get(child.job_id, account_id="a1").copying
    assert kept is not None
    assert kept.confirms_deletions


def test_a_sync_is_accepted_with_the_job_and_where_it_lives(shim: Shim) -> None:
    answer = shim.post("/sync", {"types": ["deals", "notes"], "label": "nightly"})

    job_id = answer.json()["data"]["job_id"]
    path = f"{BASE_PATH}/jobs/{job_id}"
    children = [shim.jobs.get(each, account_id="a1") for each in answer.json()["data"]["children"]]
    assert [(child.type_name, child.parent_id) for child in children] == [("deals", job_id), ("notes", job_id)]
    assert shim.queue.published == children[:1]
    assert (answer.status_code, answer.headers["Location"]) == (202, path)
    assert answer.json() == {
        "success": True,
        "message": "Sync accepted",
        "data": {
            "job_id": job_id,
            "type": "sync",
            "status": "queued",
            "label": "nightly",
            "parent_id": None,
            "children": [child.job_id for child in children],
            "hub_id": None,
            "request": {
                "types": ["deals", "notes"],
                "mode": "full",
                "confirm_deletions": False,
                "schedule_id": None,
                "scheduled_for": None,
            },
            "progress": {
                "pages": 0,
                "records": 0,
                "readable": 0,
                "offset": None,
                "has_more": True,
                "records_per_second": None,
                "unsplit_because": None,
            },
            "eta_seconds": None,
            "attempts": 0,
            "resumes": 0,
            "api": None,
            "error": None,
            "receipt": None,
            "changes": {"deals": NO_CHANGES, "notes": NO_CHANGES},
            "sync_mode": None,
            "resume_at": None,
            "reason": None,
            "created_at": NOW,
            "started_at": None,
            "updated_at": NOW,
            "finished_at": None,
            "expires_at": None,
            "webhook": None,
            "links": {"self": path, "results": None, "download": None},
        },
    }


def test_without_the_broker_a_sync_is_accepted_with_its_children_and_left_to_the_sweeper(shim: Shim) -> None:
    shim.queue.is_away = True

    sync_id = synced(shim, "deals", "notes")

    children = shown(shim, sync_id)["children"]
    assert len(children) == 2
    assert {job.job_id for job in shim.jobs.take_due(limit=10)} >= set(children)


def test_an_incremental_sync_says_so_of_its_exports_before_they_have_begun(shim: Shim) -> None:
    answer = shim.post("/sync", {"mode": "incremental", "types": ["deals"]})
    sync = answer.json()["data"]
    assert (answer.status_code, sync["request"]["mode"], sync["sync_mode"]) == (202, "incremental", None)
    (child,) = sync["children"]
    asked = {"asked": "incremental", "used": None, "changed_since": None, "reason": None}
    assert shown(shim, child)["sync_mode"] == asked


@pytest.mark.parametrize("body", [None, {}, {"types": None}])
def test_a_sync_is_of_all_types_unless_some_are_named(shim: Shim, body: object) -> None:
    answer = shim.post("/sync", body)

    assert answer.json()["data"]["request"]["types"] == TYPES


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"confirm_deletions": "true"}, "confirm_deletions: input should be a valid boolean"),
        ({"confirm_deletions": 1}, "confirm_deletions: input should be a valid boolean"),
        ({"types": "contacts"}, "types: must be a list of types"),
        ({"mode": "partial"}, "mode: input should be 'full' or 'incremental'"),
        ({"types": [1]}, "types: must be a list of types"),
        ({"types": []}, "types: must name at least one type"),
        ({"types": ["deals", "deals"]}, "types: names a type more than once"),
        ({"label": "x" * 201}, "label: string should have at most 200 characters"),
        ({"limit": 5}, "limit: is not a known field"),
    ],
)
def test_a_body_that_is_wrong_names_the_field(shim: Shim, body: object, message: str) -> None:
    status, answer = problem(shim.post("/sync", body))

    assert (status, answer["code"], answer["message"]) == (400, "invalid_request", message)
    assert shim.jobs.all == []


def test_a_type_that_there_is_not_is_refused_as_everywhere(shim: Shim) -> None:
    assert problem(shim.post("/sync", {"types": ["deals", "tickets"]})) == problem(shim.post("/export/tickets"))


def test_a_sync_needs_a_connected_account(shim: Shim) -> None:
    answer = shim.post("/sync", authorization=f"Bearer {mint({'uid': 'nobody'})}")

    assert (answer.status_code, answer.json()["code"]) == (404, "token_not_found")


def test_a_repeated_request_starts_one_sync(shim: Shim) -> None:
    headers = {"authorization": f"Bearer {mint()}", "Idempotency-Key": "once"}
    first = shim.ask("POST", f"{BASE_PATH}/sync", headers=headers, content=b'{"types": ["deals"]}')
    sync_id = first.json()["data"]["job_id"]
    [child] = shim.worker.start_sync(sync_id)
    shim.worker.start(child.job_id)

    again = shim.ask("POST", f"{BASE_PATH}/sync", headers=headers, content=b'{"types":["deals"]}')
    other = shim.ask("POST", f"{BASE_PATH}/sync", headers=headers, content=b'{"types": ["notes"]}')

    assert (first.status_code, again.status_code, other.status_code) == (202, 200, 422)
    assert again.json()["data"] | {"job_id": sync_id} == shown(shim, sync_id)


def test_a_webhook_is_kept_for_the_sync_and_none_for_its_children(running: Running) -> None:
    with running(webhook_secret="a-secret-for-webhooks-that-is-long-enough") as shim:
        answer = shim.post("/sync", {"webhook": {"url": "https://example.com/hook"}})

        sync_id = answer.json()["data"]["job_id"]
        children = shim.worker.start_sync(sync_id)
        assert shown(shim, sync_id)["webhook"]["url"] == "https://example.com/hook"
        assert {shown(shim, child.job_id)["webhook"] for child in children} == {None}


def test_a_dry_run_says_what_the_exports_would_come_to_and_starts_nothing(shim: Shim) -> None:
    asked = PlanExports(
        exports=tuple(PlannedExport(export_type=each, request=ExportRequest(page_size=250)) for each in (DEALS, NOTES))
    )
    with shim.answering(Plan(exports=(), rate=None, facts=TokenInfo())) as rpc_request:
        answer = shim.post("/sync", {"types": ["deals", "notes"], "dry_run": True})

    assert (answer.status_code, answer.json()["data"]["dry_run"]) == (200, True)
    assert rpc_request.result().question == asked
    assert (shim.jobs.all, shim.queue.published) == ([], [])


def test_a_started_sync_names_its_children_and_they_name_it(shim: Shim) -> None:
    sync_id, children = started(shim)

    assert shown(shim, sync_id)["children"] == [children[each].job_id for each in TYPES]
    assert {shown(shim, child.job_id)["parent_id"] for child in children.values()} == {sync_id}


def test_a_sync_shows_its_childrens_progress_while_they_run(shim: Shim) -> None:
    sync_id, children = started(shim)
    shim.clock.advance(5)
    shim.worker.export(children["contacts"].job_id, body_of("contacts", range(3), offset=3))
    finish(shim, children["deals"], records=2)

    sync = shown(shim, sync_id)

    assert (sync["status"], sync["started_at"]) == ("running", "2026-11-23T15:00:05Z")
    assert (sync["progress"]["pages"], sync["progress"]["records"], sync["progress"]["has_more"]) == (2, 5, True)


def test_a_sync_succeeds_with_the_last_of_its_children_and_ends_with_all_of_them(shim: Shim) -> None:
    sync_id, children = started(shim, "contacts", "deals")
    finish(shim, children["contacts"])
    shim.clock.advance(60)
    assert shown(shim, children["contacts"].job_id)["expires_at"] is None
    finish(shim, children["deals"])

    sync = shown(shim, sync_id)

    assert (sync["status"], sync["finished_at"]) == ("succeeded", "2026-11-23T15:01:00Z")
    assert sync["receipt"]["records"] == 6
    ends = {shown(shim, job_id)["expires_at"] for job_id in (sync_id, *sync["children"])}
    assert ends == {"2026-12-23T15:01:00Z"}
    at = shim.clock.now + RESULT_TTL
    assert [shim.pages.expiries(child) for child in sync["children"]] == [{at}, {at}]


def test_nothing_of_a_sync_is_seen_once_its_end_has_come(shim: Shim) -> None:
    sync_id, children = started(shim, "contacts")
    finish(shim, children["contacts"])

    shim.clock.advance(RESULT_TTL.total_seconds())

    for job_id in (sync_id, children["contacts"].job_id):
        assert shim.get(f"/jobs/{job_id}").status_code == 404


def test_a_partial_failure_is_visible_as_such(shim: Shim) -> None:
    sync_id, children = started(shim)
    for name in ("contacts", "companies", "notes"):
        finish(shim, children[name])
    fail(shim, children["deals"], "This app hasn't been granted all required scopes")

    sync = shown(shim, sync_id)

    assert sync["status"] == "failed"
    assert sync["error"] == {
        "code": "partial_failure",
        "message": "1 of 4 exports failed: deals: This app hasn't been granted all required scopes (hubspot_error)",
        "retryable": False,
        "details": None,
        "hubspot": None,
    }
    assert sync["receipt"]["complete"] is False
    assert "deals: the export failed before its end" in sync["receipt"]["incomplete_because"]


def test_who_waits_for_a_sync_is_told_when_its_last_child_ends(shim: Shim) -> None:
    sync_id, children = started(shim, "contacts")
    job = shim.worker.start(children["contacts"].job_id)
    with ThreadPoolExecutor(max_workers=1) as pool:
        watched = pool.submit(shim.get, f"/jobs/{sync_id}", Prefer="wait=30")
        shim.worker.store(job, body_of("contacts", range(3)))
        answer = watched.result(timeout=PATIENCE_S)

    assert answer.json()["data"]["status"] == "succeeded"


def test_a_sync_has_no_records_of_its_own(shim: Shim) -> None:
    sync_id, _ = started(shim)

    status, answer = problem(shim.get(f"/jobs/{sync_id}/results"))

    assert (status, answer["code"]) == (409, "conflict")
    assert answer["message"] == "A sync has no records of its own: read its children"


def test_the_records_are_read_from_the_children(shim: Shim) -> None:
    _, children = started(shim, "deals")
    finish(shim, children["deals"])

    results = shim.get(f"/jobs/{children['deals'].job_id}/results").json()

    assert len(results["data"]["deals"]) == 3


def test_a_sync_that_no_worker_has_seen_is_cancelled_at_once_and_can_be_retried(shim: Shim) -> None:
    sync_id = scheduled(shim)

    answer = shim.post(f"/jobs/{sync_id}/cancel")

    assert (answer.status_code, answer.json()["data"]["status"]) == (202, "cancelled")
    assert shim.worker.start_sync(sync_id) == []
    assert shown(shim, sync_id)["expires_at"] is not None
    assert (retried(shim, sync_id)["status"], shown(shim, sync_id)["expires_at"]) == ("queued", None)
    assert len(shim.worker.start_sync(sync_id)) == 4


def test_cancelling_a_sync_reaches_all_its_children(shim: Shim) -> None:
    sync_id, children = started(shim, "contacts", "companies", "deals")
    finish(shim, children["contacts"])
    running = shim.worker.start(children["companies"].job_id)

    answer = shim.post(f"/jobs/{sync_id}/cancel")

    assert (answer.status_code, answer.json()["data"]["status"]) == (202, "running")
    shim.worker.store(running, body_of("companies", range(3), offset=3))
    statuses = {name: shown(shim, child.job_id)["status"] for name, child in children.items()}
    assert statuses == {"contacts": "succeeded", "companies": "cancelled", "deals": "cancelled"}
    sync = shown(shim, sync_id)
    assert (sync["status"], sync["error"], sync["receipt"]["complete"]) == ("cancelled", None, False)


def test_a_cancelled_child_leaves_its_sync_cancelled_in_part(shim: Shim) -> None:
    sync_id, children = started(shim, "contacts", "deals")

    assert shim.post(f"/jobs/{children['deals'].job_id}/cancel").status_code == 202
    finish(shim, children["contacts"])

    sync = shown(shim, sync_id)
    assert (sync["status"], sync["error"]) == ("cancelled", None)
    assert sync["receipt"]["incomplete_because"].endswith("deals: the export was cancelled before its end")


def test_retrying_a_sync_takes_up_what_failed_or_was_cancelled_and_leaves_the_rest(shim: Shim) -> None:
    sync_id, children = started(shim, "contacts", "companies", "deals")
    finish(shim, children["contacts"])
    fail(shim, children["companies"])
    shim.post(f"/jobs/{children['deals'].job_id}/cancel")
    published_before = len(shim.queue.published)

    queued = retried(shim, sync_id)

    assert (queued["status"], queued["error"], queued["receipt"], queued["expires_at"]) == ("queued", None, None, None)
    statuses = {name: shown(shim, child.job_id)["status"] for name, child in children.items()}
    assert statuses == {"contacts": "succeeded", "companies": "queued", "deals": "queued"}
    republished = {job.job_id for job in shim.queue.published[published_before:]}
    assert republished == {children["companies"].job_id, children["deals"].job_id}
    assert {shown(shim, child.job_id)["expires_at"] for child in children.values()} == {None}
    finish(shim, children["companies"])
    finish(shim, children["deals"])
    assert (shown(shim, sync_id)["status"], shown(shim, sync_id)["resumes"]) == ("succeeded", 2)


def test_a_child_can_be_retried_alone_and_its_sync_goes_on_with_it(shim: Shim) -> None:
    sync_id, children = started(shim, "contacts", "companies", "deals")
    finish(shim, children["contacts"])
    fail(shim, children["companies"])
    fail(shim, children["deals"])

    retried(shim, children["deals"].job_id)

    assert shown(shim, sync_id)["status"] == "queued"
    assert {shown(shim, job_id)["expires_at"] for job_id in shown(shim, sync_id)["children"]} == {None}
    finish(shim, children["deals"])
    sync = shown(shim, sync_id)
    assert (sync["status"], sync["error"]["message"]) == (
        "failed",
        "1 of 3 exports failed: companies: No (hubspot_error)",
    )
    assert sync["expires_at"] is not None


def test_a_sync_whose_children_are_at_work_is_neither_retried_nor_deleted(shim: Shim) -> None:
    sync_id, children = started(shim, "contacts", "deals")
    fail(shim, children["deals"])
    shim.worker.start(children["contacts"].job_id)

    for answer in (shim.post(f"/jobs/{sync_id}/retry"), shim.delete(f"/jobs/{sync_id}")):
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert shown(shim, children["deals"].job_id)["status"] == "failed"


def test_a_sync_that_has_ended_is_not_cancelled(shim: Shim) -> None:
    sync_id, children = started(shim, "contacts")
    finish(shim, children["contacts"])

    status, answer = problem(shim.post(f"/jobs/{sync_id}/cancel"))

    assert (status, answer["message"]) == (409, "The job is succeeded and cannot become cancelled")


def test_deleting_a_sync_removes_everything_of_it(shim: Shim) -> None:
    sync_id, children = started(shim, "contacts", "deals")
    finish(shim, children["contacts"])
    shim.worker.requeue(shim.worker.export(children["deals"].job_id, body_of("deals", range(3), offset=3)))
    shim.post(f"/jobs/{sync_id}/cancel")

    assert shim.delete(f"/jobs/{sync_id}").status_code == 204

    for job_id in (sync_id, *(child.job_id for child in children.values())):
        assert shim.get(f"/jobs/{job_id}").status_code == 404
        assert shim.pages.count(job_id) == 0


def test_a_child_is_not_deleted_without_its_sync(shim: Shim) -> None:
    sync_id, children = started(shim, "contacts", "deals")
    finish(shim, children["contacts"])

    status, answer = problem(shim.delete(f"/jobs/{children['contacts'].job_id}"))

    assert (status, answer["message"]) == (409, f"The job is part of the sync {sync_id}: delete that")


def test_with_the_broker_away_a_retried_sync_waits_for_the_sweeper(shim: Shim) -> None:
    sync_id, children = started(shim, "contacts", "deals")
    for child in children.values():
        fail(shim, child)
    shim.queue.is_away = True

    retried(shim, sync_id)

    unpublished = {job.job_id for job in shim.jobs.take_due(limit=10)}
    assert unpublished == {child.job_id for child in children.values()}


@pytest.mark.parametrize("act", ["cancel", "retry"])
def test_another_accounts_sync_does_not_exist(shim: Shim, act: str) -> None:
    sync_id = synced(shim)

    answer = shim.post(f"/jobs/{sync_id}/{act}", authorization=f"Bearer {mint({'account_id': 'a2'})}")

    assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
