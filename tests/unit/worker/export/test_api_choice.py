"""ApiChoice: what only the dated API has is read from it, and no note of a gone list arises from that."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

import pytest

from tests.fakes.clock import ManualClock
from tests.fakes.gone_lists import InMemoryGoneListStore
from worker.errors import ListGoneError
from worker.export.api_choice import ApiChoice, ApiSetting
from worker.jobs.job import Job
from worker.jobs.request import ExportRequest
from worker.jobs.status import JobKind
from worker.records.crm_api import CrmApi
from worker.records.types import CONTACTS, ExportType

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
EACH_SETTING = pytest.mark.parametrize("setting", get_args(ApiSetting))


def job(export_type: str = CONTACTS, *, archived: bool = False, api: CrmApi | None = None) -> Job:
    return Job(
        job_id="j1",
        account_id="a1",
        owner="u1",
        export_type=ExportType(export_type),
        kind=JobKind.EXPORT,
        request=ExportRequest(page_size=100, archived=archived, api=api),
        created_at=NOW,
        updated_at=NOW,
    )


@EACH_SETTING
@pytest.mark.parametrize(
    "reads_dated", [job("tickets"), job("p99_cars"), job("owners"), job(archived=True)], ids=["1", "2", "3", "archived"]
)
def test_what_has_no_legacy_list_is_read_by_the_dated_api_whatever_the_setting(
    setting: ApiSetting, reads_dated: Job
) -> None:
    lists = InMemoryGoneListStore(ManualClock())
    choice = ApiChoice(setting=setting, lists=lists)

    chosen = choice.choose(reads_dated)

    assert (chosen.api, chosen.sighting) == (CrmApi.DATED, None)
    assert choice.leave(reads_dated, ListGoneError("resource not found", status=404)) is None
    assert lists.remembered_first(most=9) == []


@EACH_SETTING
def test_what_has_one_is_read_as_the_setting_says(setting: ApiSetting) -> None:
    choice = ApiChoice(setting=setting, lists=InMemoryGoneListStore(ManualClock()))
    assert choice.choose(job()).api == (CrmApi.DATED if setting == "dated" else CrmApi.LEGACY)


@EACH_SETTING
@pytest.mark.parametrize("asked", CrmApi)
def test_what_a_request_names_is_read_whatever_the_setting(setting: ApiSetting, asked: CrmApi) -> None:
    choice = ApiChoice(setting=setting, lists=InMemoryGoneListStore(ManualClock()))

    assert choice.choose(job(api=asked)).api is asked
    assert choice.leave(job(api=asked), ListGoneError("resource not found", status=404)) is None
