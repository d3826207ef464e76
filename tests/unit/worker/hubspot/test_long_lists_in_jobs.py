"""Jobs that read the dated API in two steps a page: a list, and its records by ids; nothing is lost or doubled."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Literal
from urllib.parse import urlencode

import pytest
from pydantic import SecretStr

from sandbox.fake_hubspot import hubspot as portal
from tests.unit.worker.export.lanes.test_reader import PAGE, Bench
from tests.unit.worker.export.lanes.test_reader import RECORDS as IN_ALL
from tests.unit.worker.export.test_api_change import gone
from tests.unit.worker.export.test_runner import Waits
from tests.unit.worker.hubspot.test_splitting import MANY
from tests.unit.worker.workshop import HUB, Workshop
from worker.export.interfaces import PageQuery
from worker.jobs.status import JobKind, JobStatus
from worker.records.crm_api import CrmApi
from worker.records.types import COMPANIES, CONTACTS, DEALS, ExportType


def require_whole(shop: Workshop) -> None:
    job = shop.job()
    assert (job.status, job.error) == (JobStatus.SUCCEEDED, None)
    assert shop.stored_ids() == shop.ids_in_hubspot()
    (record,) = shop.pages.read("j1", CONTACTS, start=job.progress.records - 1, limit=1).records
    assert {"firstname", "email", "lastmodifieddate", "phone", "company"} <= json.loads(record)["properties"].keys()


def finish(shop: Workshop, job_id: str, *, api: Literal["dated", "auto"] = "dated") -> None:
    while not shop.job(job_id).status.is_terminal:
        shop.clock.now = max(shop.clock.now, shop.job(job_id).resume_at or shop.clock.now)
        shop.exporter(api=api).run_slice(job_id)


def test_a_single_page_of_450_properties_takes_two_calls(shop: Workshop) -> None:
    finish(shop, shop.add_job(kind=JobKind.PAGE, params=MANY))
    assert (shop.job().status, shop.job().progress.pages) == (JobStatus.SUCCEEDED, 1)
    assert shop.job().totals.calls == {"200": 2}


def test_an_export_of_450_properties_brings_them_all_by_two_calls_a_page(shop: Workshop) -> None:
    finish(shop, shop.add_job(params=MANY))
    job = shop.job()
    require_whole(shop)
    assert max(len(f"{call.path}?{urlencode(call.query, safe=',')}") for call in shop.hubspot.journal.calls) < 14_100
    assert job.receipt is not None
    assert job.receipt.calls == {"200": 2 * job.progress.pages}
    assert job.receipt.calls_by_kind == {"list": job.progress.pages, "batch": job.progress.pages}
    assert job.pages_fetched == job.progress.pages


@pytest.mark.parametrize("export_type", [CONTACTS, COMPANIES, DEALS])
def test_two_calls_give_what_one_call_would(
    shop: Workshop, export_type: ExportType, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.hubspot.add_account(
        HUB, records={"contacts": 30, "companies": 30, "deals": 30}, links={"deals": {"contacts": 250}}, rate_limit=0
    )
    token = SecretStr(shop.hubspot.issue_token(HUB).value)
    asked = PageQuery(
        export_type=export_type, count=10, offset=None, api=CrmApi.DATED, params=MANY, longest_query=10**6
    )
    with monkeypatch.context() as patched:
        patched.setattr(portal, "LONGEST_TARGET", 10**6)
        whole = shop.source.fetch_page(asked, token)

    by_ids = shop.source.fetch_page(replace(asked, longest_query=None), token)

    assert json.loads(by_ids.page.body) == json.loads(whole.page.body)
    assert (by_ids.properties, by_ids.api) == (whole.properties, whole.api)
    assert by_ids.findings.calls["batch"] == 1
    assert "batch" not in whole.findings.calls


@pytest.mark.parametrize("after", [0, 1, 2, 3, 5])
def test_an_export_of_450_properties_whose_list_is_gone_goes_on_by_ids(shop: Workshop, after: int) -> None:
    gone(shop, after=after)
    finish(shop, shop.add_job(params=MANY), api="auto")
    assert shop.job().api is CrmApi.DATED
    require_whole(shop)


def test_a_dated_414_leads_to_reading_by_ids_once_and_for_all(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portal, "LONGEST_TARGET", 2_000)
    finish(shop, shop.add_job(params=MANY[:60]))
    require_whole_of(shop)
    receipt = shop.job().receipt
    assert receipt is not None
    assert receipt.calls["414"] == 1


def require_whole_of(shop: Workshop) -> None:
    assert (shop.job().status, shop.job().error) == (JobStatus.SUCCEEDED, None)
    assert shop.stored_ids() == shop.ids_in_hubspot()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_page_whose_second_step_fails_is_read_anew(shop: Workshop, method: str) -> None:
    job_id = shop.add_job(params=MANY)
    path = "/crm/objects/2026-09/contacts" + ("/batch/read" if method == "POST" else "")
    shop.hubspot.fail_next(status=502, path=path)
    finish(shop, job_id)
    require_whole(shop)
    receipt = shop.job().receipt
    assert receipt is not None
    assert receipt.calls["502"] == 1


def test_a_page_whose_second_call_finds_no_place_is_read_anew(shop: Workshop) -> None:
    waits = Waits([0.0, 60.0])
    job_id = shop.add_job(params=MANY)
    shop.exporter(api="dated", limiter=waits).run_slice(job_id)
    assert (shop.job().status, shop.job().progress.pages) == (JobStatus.WAITING, 0)
    finish(shop, job_id)
    require_whole(shop)


def test_lanes_read_pages_of_two_steps(shop: Workshop) -> None:
    shop.hubspot.add_account(HUB, records={"contacts": IN_ALL}, rate_limit=0)
    shop.add_job(page_size=PAGE, params=MANY)
    bench = Bench(shop)

    bench.finish(api="dated")

    bench.require_whole()
    pages = bench.job.progress.pages
    assert bench.job.page_runs
    assert 2 * pages <= bench.receipt.calls["200"] <= 2 * pages * 1.1
