"""The receipt of a job as JSON shows it (pydantic)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from worker.records.types import Offset


class OffsetChainView(BaseModel):
    """The range of offsets that was read; closed when it is without gaps from the start to HubSpot's "no more"."""

    model_config = ConfigDict(from_attributes=True)

    start: Offset | None
    end: Offset | None
    closed: bool


class ReceiptView(BaseModel):
    """What a finished job proves about its records.

    `complete` only when the chain of offsets is closed, every page is stored, and every record has an id that came
    once; otherwise `incomplete_because` names every reason. `distinct_ids` and `duplicates` are exact, or null.
    The `checksum` is the sum of the SHA-256 of every id's decimal text, modulo 2^256: the same for any order. `calls`
    and `retries` are counted by the HTTP status of HubSpot's response, `none` where none came. `mended` counts what had
    to be repaired before HubSpot's response was JSON: `byte_order_mark`, `not_a_number`, `control_characters`,
    `half_characters`, `invalid_escapes`, `invalid_utf8`.
    """

    model_config = ConfigDict(from_attributes=True)

    complete: bool
    incomplete_because: str | None
    pages: int
    records: int
    distinct_ids: int | None
    duplicates: int | None
    first_id: int | None
    last_id: int | None
    offsets: OffsetChainView
    checksum: str
    refetched_pages: int
    calls: dict[str, int]
    retries: dict[str, int]
    api: list[str]
    properties: list[str]
    mended: dict[str, int]
    erased: int
    withheld_deletions: int
    calls_by_kind: dict[str, int]
    properties_missing: list[str]
    associations_complete: bool
    not_available: list[str]
    left_out: dict[str, str]
    vanished: int
