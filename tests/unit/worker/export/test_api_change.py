"""Going over to the dated API where a legacy list is gone: each job by itself, from the last id it has read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, get_args

import msgspec
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from sandbox.fake_hubspot.accounts import DatedCursorForm
from sandbox.fake_hubspot.faults.plan import RecipeName
from sandbox.fake_hubspot.records.cursors import CursorForm
from tests.unit.worker.current_copy.test_writer import control
from tests.unit.worker.current_copy.test_writer import ids as ids_in_copy
from tests.unit.worker.export.test_runner import Waits
from tests.unit.worker.mortal import Mortal, PowerCutError
from tests.unit.worker.workshop import HUB, LEASE_S, PAGES, RECORDS, Interrupted, Workshop
from worker.accounts.token import Token
from worker.errors import StoreUnavailableError
from worker.export.api_choice import ApiSetting
from worker.export.context import SliceLimits
from worker.export.interfaces import CrmSource, FetchedPage, PageQuery
from worker.jobs.copy_progress import SyncMode
from worker.jobs.job import Job, Progress
from worker.jobs.receipt import Receipt
from worker.jobs.request import ExportRequest
from worker.jobs.status import JobKind, JobStatus
from worker.records.crm_api import CrmApi
from worker.records.types import COMPANIES, CONTACTS, NOTES, Offset

OTHER_HUB = 62516
LEGACY, FEED, OBJECTS = "/contacts/v1/lists/all", "/contacts/v1/lists/recently_updated", "/crm/objects"
CHANGED_AFTER = 3
_numbers = count(1)


@dataclass
class Watched:
    """A CrmSource that notes which API was asked, and in one of whose calls the process dies."""

    source: CrmSource
    dies_at: int | None = None
    asked: list[str] = field(default_factory=list)

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        self.asked.append(query.api)
        if len(self.asked) == self.dies_at:
            raise PowerCutError
        return self.source.fetch_page(query, access_token)


@pytest.fixture(params=["mixed"])
def form(shop: Workshop, request: pytest.FixtureRequest) -> str:
    """Send legacy cursors in all forms in turn, unless a test has each by itself."""
    name: str = request.param
    shop.hubspot.accounts[HUB].change({"cursor_forms": {"contacts": name, "engagements": name}})
    return name


def descending(shop: Workshop) -> None:
    shop.hubspot.accounts[HUB].change({"list_orders": {"contacts": "descending"}})


def gone(shop: Workshop, *, after: int = 0, times: int | None = None, hub: int = HUB, status: int = 404) -> None:
    """Let HubSpot answer that the legacy list of contacts is gone."""
    body = {"status": "error", "message": "resource not found"}
    shop.hubspot.fail_next(account=hub, path=LEGACY, after=after, times=times, status=status, body=body)


def run(shop: Workshop, job_id: str = "j1", *, api: ApiSetting = "auto", **parts: Any) -> Job:  # noqa: ANN401 - an exporter's
    shop.exporter(api=api, **parts).run_slice(job_id)
    found = shop.jobs.find(job_id)
    assert found is not None
    return found


def new_job(shop: Workshop, *, account_id: str = "a1", kind: JobKind = JobKind.EXPORT, **request: Any) -> str:  # noqa: ANN401
    asked = replace(ExportRequest(page_size=100), **request)
    job = Job(
        job_id=f"api-{next(_numbers)}",
        account_id=account_id,
        owner="u1",
        export_type=CONTACTS,
        kind=kind,
        request=asked,
        progress=Progress(offset=asked.offset),
        created_at=shop.clock(),
        updated_at=shop.clock(),
    )
    shop.jobs.add(job)
    return job.job_id


def ids_of(shop: Workshop, job: Job) -> list[int]:
    found = shop.pages.read(job.job_id, CONTACTS, start=0, limit=job.progress.records)
    return [msgspec.json.decode(record)["vid"] for record in found.records]


def receipt_of(job: Job) -> Receipt:
    assert job.receipt is not None
    return job.receipt


def require_whole(shop: Workshop, job: Job) -> None:
    assert job.status is JobStatus.SUCCEEDED, job.error
    assert receipt_of(job).complete, receipt_of(job).incomplete_because
    assert ids_of(shop, job) == shop.ids_in_hubspot()


def paths(shop: Workshop, since: int = 0) -> list[str]:
    """Return which APIs HubSpot was asked for contacts, in the order of the calls."""
    calls = [call.path for call in shop.hubspot.journal.calls if call.type == "contacts"][since:]
    return ["dated" if path.startswith(OBJECTS) else "legacy" for path in calls]


def connect_other(shop: Workshop) -> None:
    """Connect account a2 to a portal of its own."""
    shop.hubspot.add_account(OTHER_HUB, records={"contacts": RECORDS}, rate_limit=0)
    shop.tokens.put(
        Token(
            account_id="a2",
            owner="u1",
            access_token=None,
            refresh_token=SecretStr(f"refresh-{OTHER_HUB}"),
            generated_at=None,
            expires_in_s=None,
        )
    )


# One job


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize(
    ("form", "status", "page_size"),
    [
        ("last_id", 404, 100),
        ("last_id", 410, 60),
        ("last_id_plus_1", 404, 90),
        ("next_id", 410, 100),
        ("next_id", 404, 60),
        ("mixed", 410, 90),
    ],
    indirect=["form"],
)
def test_a_job_goes_on_by_the_dated_api_behind_the_last_id_it_has_read_and_nobody_waits(
    shop: Workshop, status: int, page_size: int
) -> None:
    gone(shop, after=CHANGED_AFTER, status=status)
    shop.add_job(page_size=page_size)

    job = run(shop, source=Watched(shop.source))

    require_whole(shop, job)
    pages = -(-RECORDS // page_size)
    assert paths(shop) == ["legacy"] * (CHANGED_AFTER + 1) + ["dated"] * (pages - CHANGED_AFTER)
    assert (job.api, receipt_of(job).api) == (CrmApi.DATED, ("legacy", "dated"))
    assert (receipt_of(job).retries, job.resumes) == ({str(status): 1}, 0)
    assert sum(shop.stopping.waits) == 0


@pytest.mark.usefixtures("form")
def test_where_each_page_is_one_record_no_cursor_is_taken_for_a_stuck_one(shop: Workshop) -> None:
    shop.hubspot.add_account(HUB, records={"contacts": 12}, rate_limit=0)
    gone(shop, after=5)
    shop.add_job(page_size=1)

    require_whole(shop, run(shop, source=Watched(shop.source)))


def test_a_list_that_is_gone_from_the_start_is_read_by_the_dated_api_alone(shop: Workshop) -> None:
    gone(shop)
    shop.add_job()

    job = run(shop)

    require_whole(shop, job)
    assert receipt_of(job).api == ("dated",)


def test_a_job_stays_with_the_dated_api_though_the_legacy_list_is_back(shop: Workshop) -> None:
    gone(shop, after=2, times=1)
    shop.add_job()

    for _ in range(PAGES):
        run(shop, limits=SliceLimits(pages=1))

    require_whole(shop, shop.job())
    assert paths(shop) == ["legacy"] * 3 + ["dated"] * (PAGES - 2)


def test_a_limit_is_kept_across_the_change(shop: Workshop) -> None:
    gone(shop, after=1)
    shop.add_job(limit=250)

    job = run(shop)

    assert (job.status, job.progress.records) == (JobStatus.SUCCEEDED, 250)
    assert ids_of(shop, job) == shop.ids_in_hubspot()[:250]


def test_where_ids_came_in_no_order_all_is_read_anew(shop: Workshop) -> None:
    descending(shop)
    gone(shop, after=CHANGED_AFTER)
    shop.add_job()

    job = run(shop)

    require_whole(shop, job)
    assert receipt_of(job).api == ("dated",)
    assert (job.progress.pages, shop.pages.count("j1")) == (PAGES, PAGES)
    assert paths(shop) == ["legacy"] * (CHANGED_AFTER + 1) + ["dated"] * PAGES


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("call", [1, 3, 5, 7])
def test_who_dies_while_all_is_begun_anew_leaves_that_to_the_next(shop: Workshop, call: int, is_late: bool) -> None:  # noqa: FBT001
    descending(shop)
    gone(shop, after=CHANGED_AFTER)
    shop.add_job()
    pages = shop.pages
    shop.pages = Mortal(pages, calls_left=CHANGED_AFTER + call, is_late=is_late)  # type: ignore[assignment] # stands for it

    with pytest.raises(PowerCutError):
        run(shop)
    shop.pages = pages
    shop.clock.advance(LEASE_S + 1)
    run(shop)

    require_whole(shop, shop.job())
    assert shop.pages.count("j1") == receipt_of(shop.job()).pages


def test_under_the_legacy_setting_the_refusal_ends_the_job_as_any_other(shop: Workshop) -> None:
    gone(shop, after=1)
    shop.add_job()

    job = run(shop, api="legacy")

    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert (job.error.code, job.error.message, job.error.retryable) == ("hubspot_error", "resource not found", False)
    assert job.error.hubspot is not None
    assert (job.error.hubspot.status, job.api) == (404, CrmApi.LEGACY)
    assert shop.gone_lists.find("a1", CONTACTS) is None


@pytest.mark.parametrize("recipe", ["missing_scopes", "uri_too_long"])
def test_no_other_refusal_changes_the_api(shop: Workshop, recipe: RecipeName) -> None:
    shop.hubspot.fail_next(recipe, path=LEGACY)
    shop.add_job()

    assert (run(shop).status, shop.job().api) == (JobStatus.FAILED, CrmApi.LEGACY)
    assert shop.gone_lists.find("a1", CONTACTS) is None


def test_what_the_dated_api_refuses_as_well_is_final(shop: Workshop) -> None:
    gone(shop)
    shop.hubspot.fail_next("not_found", path=OBJECTS, times=None)
    shop.add_job()

    assert run(shop).status is JobStatus.FAILED
    assert paths(shop) == ["legacy", "dated"]


# Slices, workers, retries, settings


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("slice_pages", [1, 2, 3])
def test_the_setting_may_change_between_slices(shop: Workshop, slice_pages: int) -> None:
    shop.add_job()
    source = Watched(shop.source)

    run(shop, api="legacy", source=source, limits=SliceLimits(pages=slice_pages))
    require_whole(shop, run(shop, api="dated", source=source))
    assert source.asked == ["legacy"] * slice_pages + ["dated"] * (PAGES - slice_pages)


def test_the_setting_may_change_back(shop: Workshop) -> None:
    shop.add_job()
    source = Watched(shop.source)

    for api in ("dated", "legacy", "dated", "legacy"):
        run(shop, api=api, source=source, limits=SliceLimits(pages=1))
    require_whole(shop, run(shop, api="legacy", source=source))
    assert source.asked == ["dated", "legacy", "dated", "legacy", "legacy"]


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize(("before", "after"), [("legacy", "dated"), ("legacy", "auto"), ("dated", "auto")])
def test_a_failed_job_that_is_retried_goes_on_behind_its_last_id(
    shop: Workshop, before: ApiSetting, after: ApiSetting
) -> None:
    path = LEGACY if before == "legacy" else OBJECTS
    shop.hubspot.fail_next(path=path, after=CHANGED_AFTER, times=None, status=404, body={"message": "gone"})
    shop.add_job()
    source = Watched(shop.source)
    assert run(shop, api=before, source=source).status is JobStatus.FAILED
    if before == "dated":
        shop.hubspot.faults.clear()

    control(shop).retry("j1", account_id="a1")
    require_whole(shop, run(shop, api=after, source=source))


def test_a_failed_dated_job_is_retried_by_the_legacy_list(shop: Workshop) -> None:
    shop.hubspot.fail_next(path=OBJECTS, after=CHANGED_AFTER, status=400, body={"message": "no"})
    shop.add_job()
    assert run(shop, api="dated").status is JobStatus.FAILED

    control(shop).retry("j1", account_id="a1")
    job = run(shop, api="legacy")

    require_whole(shop, job)
    assert receipt_of(job).api == ("dated", "legacy")


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("is_back", [False, True])
@pytest.mark.parametrize("dies_at", [CHANGED_AFTER + 2, CHANGED_AFTER + 3])
def test_a_worker_that_dies_after_the_change_leaves_the_job_to_one_that_finds_the_same_or_better(
    shop: Workshop,
    is_back: bool,  # noqa: FBT001
    dies_at: int,
) -> None:
    gone(shop, after=CHANGED_AFTER, times=1 if is_back else None)
    shop.add_job()
    with pytest.raises(PowerCutError):
        run(shop, source=Watched(shop.source, dies_at=dies_at))
    assert shop.job().progress.pages == dies_at - 2

    shop.clock.advance(LEASE_S + 1)
    require_whole(shop, run(shop, source=Watched(shop.source)))


def test_a_job_that_a_version_before_has_begun_goes_on_as_it_was(shop: Workshop) -> None:
    gone(shop, after=2, times=1)
    shop.add_job()
    run(shop, limits=SliceLimits(pages=3))
    job = shop.job()
    assert (job.api, job.totals.apis) == (CrmApi.DATED, ("legacy", "dated"))
    shop.jobs.release(replace(shop.jobs.claim("j1", worker="w0", lease_s=1, at=shop.clock()) or job, api=None))

    require_whole(shop, run(shop))
    assert paths(shop)[3:] == ["dated"] * (PAGES - 2)


# Calls that someone waits for


def get(shop: Workshop, offset: Offset | None = None, *, account_id: str = "a1", **parts: Any) -> Job:  # noqa: ANN401
    """Do what a client's GET comes to."""
    job_id = new_job(shop, account_id=account_id, kind=JobKind.PAGE, page_size=60, offset=offset)
    return run(shop, job_id, **parts)


def test_a_page_that_someone_waits_for_is_fetched_from_the_other_api_at_once_by_a_call_with_a_permit(
    shop: Workshop,
) -> None:
    class Counting(Waits):
        permits = 0

        def reserve(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - the seam's
            self.permits += 1
            return super().reserve(*arguments, **named)

    limiter = Counting()
    gone(shop)

    job = get(shop, limiter=limiter)

    assert (job.status, ids_of(shop, job)) == (JobStatus.SUCCEEDED, shop.ids_in_hubspot()[:60])
    assert (paths(shop), limiter.permits) == (["legacy", "dated"], 2)
    assert sum(shop.stopping.waits) == 0


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("form", get_args(CursorForm), indirect=True)
@pytest.mark.parametrize("dated_form", get_args(DatedCursorForm))
@pytest.mark.parametrize(("after", "times", "most_repeats"), [(3, None, 1), (1, 1, 2)])
def test_a_clients_own_loop_loses_nothing_across_a_change_and_repeats_one_record_a_change_at_most(
    shop: Workshop, dated_form: DatedCursorForm, after: int, times: int | None, most_repeats: int
) -> None:
    """A passing answer means two changes: there, and with the next page back."""
    shop.hubspot.accounts[HUB].change({"dated_cursor_form": dated_form})
    gone(shop, after=after, times=times)
    ids: list[int] = []
    page = get(shop)
    while page.progress.has_more:
        ids += ids_of(shop, page)
        page = get(shop, page.progress.offset)
    ids += ids_of(shop, page)

    assert set(ids) == set(shop.ids_in_hubspot())
    assert len(ids) <= RECORDS + most_repeats


# What is remembered


def test_one_answer_moves_no_other_job_and_a_page_of_the_list_takes_it_back(shop: Workshop) -> None:
    gone(shop, times=1)
    require_whole(shop, run(shop, new_job(shop)))
    assert shop.gone_lists.find("a1", CONTACTS) is not None
    begun = len(paths(shop))

    require_whole(shop, run(shop, new_job(shop)))

    assert paths(shop, begun) == ["legacy"] * PAGES
    assert shop.gone_lists.find("a1", CONTACTS) is None
    shop.clock.advance(3600)
    gone(shop, times=1)
    run(shop, new_job(shop))
    assert shop.gone_lists.remembered("a1") == []


def test_two_answers_within_a_minute_are_not_remembered(shop: Workshop) -> None:
    gone(shop)
    for _ in range(2):
        run(shop, new_job(shop))
        shop.clock.advance(29)
    begun = len(paths(shop))

    run(shop, new_job(shop))

    assert shop.gone_lists.remembered("a1") == []
    assert paths(shop, begun)[0] == "legacy"


def test_after_two_answers_a_minute_apart_jobs_and_pages_begin_with_the_dated_api(shop: Workshop) -> None:
    gone(shop)
    run(shop, new_job(shop))
    shop.clock.advance(60)
    with capture_logs() as logs:
        run(shop, new_job(shop))
        begun = len(paths(shop))
        job, page = run(shop, new_job(shop)), get(shop)

    require_whole(shop, job)
    assert page.status is JobStatus.SUCCEEDED
    assert (job.api, page.api) == (CrmApi.DATED, CrmApi.DATED)
    assert "legacy" not in paths(shop, begun)
    (remembered,) = shop.gone_lists.remembered("a1")
    assert (remembered.export_type, remembered.status) == (CONTACTS, 404)
    assert remembered.message == "resource not found"
    warnings = [each for each in logs if each["event"] == "legacy_list_remembered_as_gone"]
    assert [each["log_level"] for each in warnings] == ["warning"]


def test_a_token_that_hubspot_repeats_is_kept_nowhere(shop: Workshop) -> None:
    token = shop.hubspot.issue_token(HUB).value
    shop.tokens.put(
        Token(
            account_id="a1",
            owner="u1",
            access_token=SecretStr(token),
            refresh_token=SecretStr(f"refresh-{HUB}"),
            generated_at=shop.clock(),
            expires_in_s=1800,
        )
    )
    body = {"status": "error", "message": f"no list for {token}"}
    shop.hubspot.fail_next(path=LEGACY, status=404, body=body)

    run(shop, new_job(shop))

    known = shop.gone_lists.find("a1", CONTACTS)
    assert known is not None
    assert known.message == "no list for [secret]"


def test_what_is_remembered_of_one_portal_says_nothing_of_the_one_that_is_connected_next(shop: Workshop) -> None:
    gone(shop)
    run(shop, new_job(shop))
    shop.clock.advance(61)
    run(shop, new_job(shop))
    assert shop.gone_lists.remembered("a1")
    shop.hubspot.add_account(OTHER_HUB, records={"contacts": 5}, rate_limit=0)
    shop.connect(OTHER_HUB)

    assert run(shop, new_job(shop)).api is CrmApi.LEGACY

    shop.connect(HUB)
    assert run(shop, new_job(shop)).api is CrmApi.DATED


def test_what_is_remembered_is_of_one_account_and_type(shop: Workshop) -> None:
    connect_other(shop)
    gone(shop, hub=OTHER_HUB)
    for _ in range(3):
        run(shop, new_job(shop, account_id="a2"))
        shop.clock.advance(61)
    assert [each.account_id for each in shop.gone_lists.remembered_first(most=9)] == ["a2"]
    begun = len(paths(shop))

    job, page = run(shop, new_job(shop)), get(shop)

    require_whole(shop, job)
    assert (job.api, page.api) == (CrmApi.LEGACY, CrmApi.LEGACY)
    assert "dated" not in paths(shop, begun)
    assert shop.gone_lists.find("a2", COMPANIES) is None


def test_one_passing_answer_for_another_account_moves_nothing(shop: Workshop) -> None:
    connect_other(shop)
    under_way = new_job(shop)
    run(shop, under_way, limits=SliceLimits(pages=1))
    gone(shop, hub=OTHER_HUB, times=1)
    assert run(shop, new_job(shop, account_id="a2")).api is CrmApi.DATED

    others = [run(shop, under_way), run(shop, new_job(shop)), run(shop, new_job(shop, account_id="a2"))]

    assert [receipt_of(job).api for job in others] == [("legacy",)] * 3
    assert shop.gone_lists.find("a2", CONTACTS) is None


def test_two_jobs_of_one_account_at_once_are_each_by_themselves(shop: Workshop) -> None:
    first, second = new_job(shop), new_job(shop)
    limits = SliceLimits(pages=1)
    for job_id in (first, second):
        run(shop, job_id, limits=limits)
    gone(shop, times=1)

    run(shop, second, limits=limits)
    jobs = [run(shop, first), run(shop, second)]

    for job in jobs:
        require_whole(shop, job)
    assert [receipt_of(job).api for job in jobs] == [("legacy",), ("legacy", "dated")]


def test_what_is_known_is_read_once_a_slice_and_never_under_a_fixed_setting(shop: Workshop) -> None:
    run(shop, new_job(shop))
    assert shop.gone_lists.reads == 1
    for api in ("legacy", "dated"):
        run(shop, new_job(shop), api=api)
    assert shop.gone_lists.reads == 1


def test_a_job_goes_over_when_its_account_is_known_to_have_no_such_list_by_now(shop: Workshop) -> None:
    job_id = new_job(shop)
    run(shop, job_id, limits=SliceLimits(pages=2))
    gone(shop)
    for _ in range(2):
        run(shop, new_job(shop))
        shop.clock.advance(61)
    begun = len(paths(shop))

    require_whole(shop, run(shop, job_id))

    assert paths(shop, begun) == ["dated"] * (PAGES - 2)


def test_after_a_recheck_the_legacy_list_is_asked_again(shop: Workshop) -> None:
    gone(shop, times=2)
    for _ in range(2):
        run(shop, new_job(shop))
        shop.clock.advance(61)
    shop.gone_lists.forget("a1")

    assert run(shop, new_job(shop)).api is CrmApi.LEGACY


def test_an_absent_database_ends_the_slice_and_the_job_goes_on_from_where_it_was(shop: Workshop) -> None:
    gone(shop, after=CHANGED_AFTER)
    shop.add_job()
    source = Watched(shop.source)
    run(shop, source=source, limits=SliceLimits(pages=CHANGED_AFTER))
    shop.gone_lists.is_away = True
    with pytest.raises(StoreUnavailableError):
        run(shop, source=source)
    shop.gone_lists.is_away = False
    shop.clock.advance(LEASE_S + 1)

    require_whole(shop, run(shop, source=source))


def test_an_absent_database_that_a_sighting_is_to_be_taken_back_in_loses_nothing(shop: Workshop) -> None:
    gone(shop, times=1)
    run(shop, new_job(shop))
    away = Interrupted(shop.source, after_call=1, happening=lambda: setattr(shop.gone_lists, "is_away", True))
    shop.add_job()
    with pytest.raises(StoreUnavailableError):
        run(shop, source=away)
    shop.gone_lists.is_away = False
    shop.clock.advance(LEASE_S + 1)

    require_whole(shop, run(shop))

    assert shop.gone_lists.find("a1", CONTACTS) is None


# Syncs and their feeds


@pytest.mark.usefixtures("form")
def test_a_sync_across_the_change_doubles_and_deletes_nothing(shop: Workshop) -> None:
    run(shop, shop.add_sync("before"))
    gone(shop, after=CHANGED_AFTER)

    across = run(shop, shop.add_sync("across"))
    after = run(shop, shop.add_sync("after"))

    for job in (across, after):
        require_whole(shop, job)
        assert job.changes is not None
        assert (job.changes.created, job.changes.deleted) == (0, 0)
    assert ids_in_copy(shop) == shop.ids_in_hubspot()


def test_a_feed_that_is_gone_says_nothing_of_the_list_and_the_list_is_read(shop: Workshop) -> None:
    run(shop, shop.add_sync("full"))
    shop.hubspot.fail_next("not_found", path=FEED, times=None)
    begun = len(paths(shop))

    for number in range(2):
        shop.clock.advance(61)
        job = run(shop, shop.add_sync(f"i{number}", mode=SyncMode.INCREMENTAL))
        require_whole(shop, job)
        assert job.copying is not None
        assert job.copying.full_because == "HubSpot has no such feed any more"
        assert job.api is CrmApi.LEGACY

    assert "dated" not in paths(shop, begun)
    assert shop.gone_lists.find("a1", CONTACTS) is None


def test_a_page_of_a_feed_takes_nothing_back_that_was_said_of_the_list(shop: Workshop) -> None:
    run(shop, shop.add_sync("full"))
    gone(shop, times=1)
    run(shop, new_job(shop))
    shop.clock.advance(600)
    sync_job = run(shop, shop.add_sync("i1", mode=SyncMode.INCREMENTAL))

    assert sync_job.copying is not None
    assert sync_job.copying.reads_feed
    assert shop.gone_lists.find("a1", CONTACTS) is not None


def test_an_incremental_sync_of_a_list_that_is_gone_searches_the_dated_api_for_changes(shop: Workshop) -> None:
    run(shop, shop.add_sync("full"))
    gone(shop)
    for _ in range(2):
        shop.clock.advance(61)
        run(shop, new_job(shop))
    begun = len(paths(shop))

    job = run(shop, shop.add_sync("i1", mode=SyncMode.INCREMENTAL))

    assert (job.api, job.reads_feed) == (CrmApi.DATED, True)
    assert "legacy" not in paths(shop, begun)
    assert [each for each in shop.hubspot.journal.calls if each.path.endswith("/contacts/search")]


# Notes, whose legacy list holds all engagements


@pytest.mark.parametrize("after", [0, CHANGED_AFTER])
def test_notes_that_both_apis_gave_are_complete_and_the_receipt_says_what_only_one_gives(
    shop: Workshop, after: int
) -> None:
    shop.hubspot.add_account(HUB, records={"engagements": RECORDS}, rate_limit=0)
    shop.hubspot.fail_next("not_found", path="/engagements/v1", after=after, times=None)

    job = run(shop, shop.add_job(export_type=NOTES))

    assert (job.status, job.api) == (JobStatus.SUCCEEDED, CrmApi.DATED)
    assert receipt_of(job).complete, receipt_of(job).incomplete_because
    assert "engagements of other types" in receipt_of(job).not_available
