"""SyncTypes: which types a sync of all enabled types has, once its portal's custom objects are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from worker.errors import ExportError, NoPermitError, RetryableHubSpotError, UnavailableError
from worker.jobs.job import Job
from worker.lifecycle.interfaces import CustomObjects
from worker.records.enabled_types import EnabledTypes
from worker.records.types import ExportType

_log = structlog.get_logger()

_PATIENCE = timedelta(hours=1)
"""How long a sync waits for the names of custom objects, which the other types do not need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncTypes:
    """Decides it where a sync is started; `custom_objects` is None where HubSpot cannot be asked."""

    enabled: EnabledTypes
    custom_objects: CustomObjects | None
    clock: Callable[[], datetime]

    def all_of(self, sync: Job) -> tuple[ExportType, ...] | None:
        """Return the types; None where HubSpot does not tell now, and the sync should be started later.

        It raises no ExportError: what keeps HubSpot from telling at all is told by the exports of the other types.
        """
        if not self.enabled.has_custom or self.custom_objects is None:
            return self.enabled.listed
        try:
            listed = self.custom_objects.custom_types(sync.account_id, sync.owner)
        except ExportError as error:
            may_pass = isinstance(error, RetryableHubSpotError | NoPermitError | UnavailableError)
            is_patient = may_pass and self.clock() < sync.created_at + _PATIENCE
            _log.warning("custom_objects_not_known", is_started=not is_patient, **error.log_fields, **sync.log_fields)
            return None if is_patient else self.enabled.listed
        if listed.refused is not None:
            _log.warning("custom_objects_not_known", is_started=True, error=listed.refused, **sync.log_fields)
        return self.enabled.with_custom(ExportType(each.name) for each in listed.custom_types)
