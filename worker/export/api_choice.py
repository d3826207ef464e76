"""ApiChoice: which of HubSpot's APIs a job reads, by the setting and by what is remembered of the account's lists."""

from __future__ import annotations

from typing import Literal, TypeAlias

import structlog

from worker.accounts.gone_list import GoneList
from worker.accounts.interfaces import GoneListStore
from worker.errors import ListGoneError
from worker.export.interfaces import ChosenApi
from worker.jobs.job import Job
from worker.records.crm_api import CrmApi
from worker.records.registry import OBJECT_TYPES

ApiSetting: TypeAlias = Literal["legacy", "dated", "auto"]

_log = structlog.get_logger()

_AUTO = "auto"


class ApiChoice:
    """ApiChooser. Nothing is kept here: a job keeps its API in its document, an account its lists in the database."""

    def __init__(self, *, setting: ApiSetting, lists: GoneListStore) -> None:
        self._always = None if setting == _AUTO else CrmApi(setting)
        self._lists = lists

    def choose(self, job: Job) -> ChosenApi:
        """Choose as the request says, or else the setting.

        In between a job never goes back, and is asked about as long as it may change. What only the dated API has is
        read from it, whatever the setting says.
        """
        if _has_only_dated(job):
            return ChosenApi(api=CrmApi.DATED)
        always = job.request.api or self._always
        if always is not None:
            return ChosenApi(api=always)
        if job.last_api is CrmApi.DATED:
            return ChosenApi(api=CrmApi.DATED)
        known = self._lists.find(job.account_id, job.records_type)
        if known is None or not known.is_of(job.hub_id):
            return ChosenApi(api=CrmApi.LEGACY)
        if known.is_remembered:
            return ChosenApi(api=CrmApi.DATED)
        return ChosenApi(api=CrmApi.LEGACY, sighting=known)

    def leave(self, job: Job, error: ListGoneError) -> CrmApi | None:
        """Note what HubSpot said of the job's list."""
        if (job.request.api or self._always) is not None or _has_only_dated(job):
            return None
        found = self._lists.sight(
            job.account_id, job.records_type, status=error.status, message=error.message, hub_id=job.hub_id
        )
        _log.warning("legacy_list_left", export_type=job.type_name, **error.log_fields)
        if found.is_new:
            _log.warning("legacy_list_remembered_as_gone", export_type=job.type_name, since=found.since.isoformat())
        return CrmApi.DATED

    def retract(self, sighting: GoneList) -> None:
        """Forget what turned out to be passing."""
        self._lists.retract(sighting)
        _log.info("legacy_list_is_back", export_type=sighting.export_type)


def _has_only_dated(job: Job) -> bool:
    """Whether no legacy list has what the job reads: such a type of records, or archived ones."""
    return not OBJECT_TYPES[job.records_type].has_legacy(archived=job.request.archived)
