"""The interfaces of an export: HubSpot's lists as a source of pages, and the slice runner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeAlias

from pydantic import SecretStr

from worker.accounts.gone_list import GoneList
from worker.errors import ListGoneError
from worker.jobs.job import Job
from worker.rate_limit.permits import FREE_PERMIT, Permit
from worker.rate_limit.quota import Quota
from worker.records.crm_api import CrmApi
from worker.records.deletion import DeletionPage
from worker.records.findings import PLAIN_PAGE, PageFindings
from worker.records.page import Page
from worker.records.types import Offset

KEPT_FOR_S = 60.0
"""How long what several lists gave beyond a page is of use for the next one: lists go on changing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedQuery:
    """What has changed since an instant; `total` is how many records HubSpot counted with the page before.

    `left_out` are lists of several that the sync before could not read: what they hold of before `since` is not known.
    """

    since: datetime
    total: int | None = None
    left_out: tuple[str, ...] = ()


FurtherCall: TypeAlias = Callable[..., Permit]
"""Waits until one more call of a page may be made. Takes the CallKind of a search, which has a limit of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageQuery:
    """One call for one page: of the list of all records, or of the `feed` of those that have changed lately.

    `api` is the one to be asked. `offset` is passed back as it came where `offset_api` gave it, and that is asked.
    Another one is asked for what comes behind `after_id`, the last id that the job has read; None: nothing was read, or
    not in the order of ids.
    Without `offset_api` the position is a caller's `offset`, or, with `after_id`, one that we chose
    (worker/records/cursor.py).

    With `only_deletions` it is the list of archived records that is read, for ids and instants alone.

    `properties` are names, never `*`: None are those that the endpoint's address names, or HubSpot's few default ones.
    The values of `time_properties` are instants or days. `hub_id` is
    the portal that the token opens, where that is known.
    `left_out` are lists of several that HubSpot has refused before, by their names: they are not asked again.
    What several lists give beyond a page may be kept for the next one of the same `reader`, for `kept_for_s` at most;
    without a reader nothing is.

    The page may take several calls where its address would be longer than HubSpot takes, or than `longest_query`, in
    characters. The first one needs the `permit`; for each further one `further_call` waits for another.
    """

    export_type: str
    count: int
    offset: Offset | None
    offset_api: str | None = None
    after_id: int | None = None
    params: tuple[tuple[str, str], ...] = ()
    properties: tuple[str, ...] | None = None
    time_properties: frozenset[str] = frozenset()
    hub_id: int | None = None
    associations: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    archived: bool = False
    only_deletions: bool = False
    left_out: frozenset[str] = frozenset()
    reader: str | None = None
    kept_for_s: float = 0.0
    feed: FeedQuery | None = None
    api: CrmApi = CrmApi.LEGACY
    longest_query: int | None = None
    permit: Permit = field(default=FREE_PERMIT, compare=False, repr=False)
    further_call: FurtherCall | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedPage:
    """A page, the API that gave it (`legacy`, `dated`), and what HubSpot said about the account's limit.

    `properties` are those that parameters of the address or the request asked for, `*` all there are; a selection and
    a history, which can be long, are the job's. `total` is how many records a feed counts, where it does. `findings`
    are what else is known of it. A page of `deletions` has no records.
    A page of several lists may rest on an answer that was asked for `asked_s_ago`, and take no call at all; `refused`
    are the statuses of the calls for lists that are left out.
    """

    page: Page
    api: str
    properties: Sequence[str] = ()
    quota: Quota | None = None
    total: int | None = None
    findings: PageFindings = PLAIN_PAGE
    deletions: DeletionPage | None = None
    asked_s_ago: float = 0.0
    took_no_call: bool = False
    refused: tuple[int, ...] = ()


class CrmSource(Protocol):
    """The CRM that is exported from."""

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        """Fetch a page. Raises a HubSpotError; FeedUnusableError where a feed would not be complete.

        ListGoneError where HubSpot has no such legacy list (any more), CursorLostError where nothing tells this API
        where to continue. With `after_id` the page may begin with the record of that id.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenApi:
    """The API that a job is to read. `sighting`: HubSpot has said once that its legacy list is gone."""

    api: CrmApi
    sighting: GoneList | None = None


class ApiChooser(Protocol):
    """Which of HubSpot's APIs a job reads. Every method raises StoreUnavailableError when MongoDB is away."""

    def choose(self, job: Job) -> ChosenApi:
        """Choose for the slice of a job that begins; it may be another API than the job was read by until now."""

    def leave(self, job: Job, error: ListGoneError) -> CrmApi | None:
        """Note that HubSpot has no legacy list for the job; return the API to continue with, if there is one."""

    def retract(self, sighting: GoneList) -> None:
        """Note that the legacy list has answered after that sighting."""


class SliceOutcome(StrEnum):
    """The outcome of a message.

    A turn is not taken when it is void, the account has no free slot for it, or its job has to be alone in a worker
    where another one is, or waits to be.
    """

    WORKED = "worked"
    NOTHING_TO_CLAIM = "nothing_to_claim"
    NOT_TAKEN = "not_taken"
    LEASE_LOST = "lease_lost"
