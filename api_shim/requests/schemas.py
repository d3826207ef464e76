"""Request schemas (pydantic)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from api_shim.requests.selections import AssociationNames, HistoryNames, PropertyNames
from api_shim.requests.type_lists import JobType, SyncTypes
from worker.current_copy.record import Shown
from worker.jobs.copy_progress import SyncMode
from worker.jobs.intervals import INTERVAL, valid_interval
from worker.jobs.status import JobStatus
from worker.records.crm_api import CrmApi
from worker.records.types import DOCUMENTED_TYPES
from worker.schedules.schedule import Overlap
from worker.schedules.timetable import LONGEST_CRON
from worker.webhooks.url_policy import LONGEST_URL

MOST_RESULTS = 1000
MOST_JOBS = 100
MOST_PARAMS = 500
_MOST_PARAM_CHARACTERS = 64 * 1024
_LARGEST = 2**63 - 1  # what MongoDB and HubSpot hold as an integer
_OURS = frozenset({"after", "count", "limit", "offset", "vidoffset"})


def whole_number(value: object) -> object:
    """Parse digits; an empty parameter counts as absent, as HubSpot has it."""
    if not isinstance(value, str):
        return value
    if value == "":
        return None
    if not re.fullmatch(r"\d{1,19}", value, re.ASCII):
        raise ValueError("must be a whole number, 0 or more")
    return int(value)


OffsetNumber = Annotated[Annotated[int, Field(strict=True, ge=0, le=_LARGEST)] | None, BeforeValidator(whole_number)]
PositiveNumber = Annotated[Annotated[int, Field(strict=True, ge=1, le=_LARGEST)] | None, BeforeValidator(whole_number)]
ResultsNumber = Annotated[
    Annotated[int, Field(strict=True, ge=1, le=MOST_RESULTS)] | None, BeforeValidator(whole_number)
]
ListNumber = Annotated[Annotated[int, Field(strict=True, ge=1, le=MOST_JOBS)] | None, BeforeValidator(whole_number)]
RecordNumber = Annotated[Annotated[int, Field(strict=True, ge=0, le=_LARGEST)], BeforeValidator(whole_number)]


def instant(value: object) -> object:
    """Parse ISO 8601 with a time zone, or milliseconds since 1970; an empty parameter counts as absent."""
    if not isinstance(value, str):
        return value
    if value == "":
        return None
    try:
        ms = re.fullmatch(r"\d{1,15}", value, re.ASCII)
        read = datetime.fromtimestamp(int(value) / 1000, UTC) if ms else datetime.fromisoformat(value)
        return read.astimezone(UTC) if read.tzinfo is not None else _no_instant()
    except (ValueError, OverflowError):
        return _no_instant()


def _no_instant() -> object:
    raise ValueError("must be an instant as 2026-11-23T15:00:00Z, or milliseconds since 1970")


def _or_absent(value: object) -> object:
    return None if value == "" else value


AskedRecords = Annotated[Shown | None, BeforeValidator(_or_absent)]
Instant = Annotated[datetime | None, BeforeValidator(instant)]
Text = Annotated[str, StringConstraints(max_length=10_000)]


def _split(values: object) -> object:
    """Split `a,b` into `a` and `b`; an empty parameter counts as absent."""
    if not isinstance(values, list):
        return values
    return [word for value in values for word in value.split(",") if word]


Statuses = Annotated[list[JobStatus], BeforeValidator(_split)]
JobTypes = Annotated[list[JobType], BeforeValidator(_split)]
"""What a list may be narrowed down to: repeated, or separated by commas."""


def _as_list(value: object) -> object:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        raise ValueError("must be text or a list of texts")  # noqa: TRY004 - pydantic reports ValueError only
    return value


_ONE_OR_MORE = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Texts = Annotated[list[Text], BeforeValidator(_as_list), WithJsonSchema(_ONE_OR_MORE)]
"""The values of one parameter; a single value may be sent without a list."""


class WebhookBody(BaseModel):
    """The URL that a signed POST is sent to when a job ends; docs/reference/webhooks.md says which URLs are allowed."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, StringConstraints(max_length=LONGEST_URL)]


SESSION_PATTERN = r"^[A-Za-z0-9._~-]{16,256}$"


class ConfirmBody(BaseModel):
    """The ticket that a browser has brought back from HubSpot, and the session value of that browser."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    ticket: Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
    session: Annotated[str, StringConstraints(pattern=SESSION_PATTERN)]


DryRun = Annotated[bool, Field(strict=True)]
_INTERVAL_SCHEMA = {"anyOf": [{"type": "string", "pattern": f"^{INTERVAL}$"}, {"type": "null"}], "default": None}
Interval = Annotated[str | None, AfterValidator(valid_interval), WithJsonSchema(_INTERVAL_SCHEMA)]
Label = Annotated[str | None, StringConstraints(max_length=200)]


class SyncBody(BaseModel):
    """The body of `POST /sync`; every field is optional."""

    model_config = ConfigDict(extra="forbid")

    types: SyncTypes = tuple(DOCUMENTED_TYPES)
    properties: dict[Text, PropertyNames] = Field(default_factory=dict)
    mode: SyncMode = SyncMode.FULL
    confirm_deletions: Annotated[bool, Field(strict=True)] = False
    label: Label = None
    dry_run: DryRun = False
    webhook: WebhookBody | None = None


class ScheduleBody(BaseModel):
    """The body of `PUT /schedule`: when to sync, in which time zone, and what."""

    model_config = ConfigDict(extra="forbid")

    cron: Annotated[str, StringConstraints(max_length=10 * LONGEST_CRON)]
    timezone: Annotated[str, StringConstraints(max_length=100)]
    types: SyncTypes = tuple(DOCUMENTED_TYPES)
    properties: dict[Text, PropertyNames] = Field(default_factory=dict)
    mode: SyncMode = SyncMode.FULL
    full_every: Interval = None
    enabled: Annotated[bool, Field(strict=True)] = True
    overlap: Overlap = Overlap.SKIP
    webhook: WebhookBody | None = None

    @field_validator("full_every")
    @classmethod
    def _full_runs_among_others(cls, text: str | None, info: ValidationInfo) -> str | None:
        if text is not None and info.data.get("mode") is SyncMode.FULL:
            raise ValueError("is for the mode incremental: in the mode full every run is full")
        return text


class ExportBody(BaseModel):
    """The body of `POST /export/{type}`; every field is optional."""

    model_config = ConfigDict(extra="forbid")

    limit: PositiveNumber = None
    page_size: PositiveNumber = None
    offset: OffsetNumber = None
    params: dict[Text, Texts] = Field(default_factory=dict)
    properties: PropertyNames = None
    associations: AssociationNames = ()
    history: HistoryNames = ()
    archived: Annotated[bool, Field(strict=True)] = False
    api: CrmApi | None = None
    label: Label = None
    dry_run: DryRun = False
    webhook: WebhookBody | None = None

    @field_validator("params")
    @classmethod
    def _no_paging(cls, params: dict[str, list[str]]) -> dict[str, list[str]]:
        for name in params:
            if name.lower() in _OURS:
                raise ValueError(f"{name!r} is set by limit, page_size and offset, not here")
        if "" in params:
            raise ValueError("a parameter must have a name")
        if sum(map(len, params.values())) > MOST_PARAMS:
            raise ValueError(f"must hold at most {MOST_PARAMS} values")
        if sum(len(value) for values in params.values() for value in values) > _MOST_PARAM_CHARACTERS:
            raise ValueError(f"must hold at most {_MOST_PARAM_CHARACTERS} characters")
        return {name: values for name, values in params.items() if values}

    @property
    def fields_of_records(self) -> list[str]:
        """The fields given that say which parts of records are wanted, or which records."""
        return [name for name in ("properties", "associations", "history", "archived") if getattr(self, name)]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The parameters in order; a list becomes repeated parameters."""
        return tuple((name, value) for name, values in self.params.items() for value in values)


def schema_of(body: type[BaseModel]) -> dict[str, Any]:
    """Return a body's JSON schema with its references inlined: in OpenAPI they would point elsewhere."""
    whole = body.model_json_schema()
    parts: dict[str, Any] = whole.pop("$defs", {})
    inlined: dict[str, Any] = _inlined(whole, parts)
    return inlined


def _inlined(schema: Any, parts: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(schema, list):
        return [_inlined(each, parts) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(parts[schema["$ref"].rpartition("/")[2]], parts)
    return {name: _inlined(value, parts) for name, value in schema.items()}
