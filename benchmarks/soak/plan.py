"""The requests of a run and their times: accounts, exports and synchronous reads, all determined by the seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count, islice, takewhile
from random import Random
from typing import get_args

from sandbox.fake_hubspot.accounts import RecordTypeName
from sandbox.fake_hubspot.records.cursors import CursorForm, FinalCursor
from sandbox.seeding import Account

HUBSPOT_TYPES: Mapping[str, RecordTypeName] = {
    "contacts": "contacts",
    "companies": "companies",
    "deals": "deals",
    "notes": "engagements",  # the legacy API lists engagements of all kinds
}
READ_LIMIT = 10

_FIRST_HUB_ID = 7_000_001
_PAGE_SIZES = (10, 20, 50, 100)
_SPREAD = (0.2, 1.8)  # of the pages of an export, relative to their mean
_LATENCIES_S = (0.02, 0.12)
_UNEXPORTED_RECORDS = 25  # of a type that is not exported: more than one synchronous read returns
_FLOOD_AT = 0.1  # of the run
_FIRST_OF_FLOOD, _FIRST_OF_SMALL = 1_000_001, 2_000_001
_PAGES_OF_FLOOD = 5  # of one record each: the rate limit stretches them over the whole run
_SMALL_EVERY_S, _SMALL_RECORDS, _SMALL_PAGE = 5.0, 200, 100
_SUBMITTING_PART = 0.8  # of the run; the rest is for the remaining work


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The amount of work. `pages` is the mean per export, `reads_per_s` the rate of synchronous GETs.

    `flood` is the number of additional exports, of one record a page, that one account submits at once.
    """

    accounts: int
    exports: int
    pages: int
    seconds: float
    reads_per_s: float
    seed: int
    flood: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAccount:
    """A connected account: its records, HubSpot's latency, and the forms of its offsets."""

    account: Account
    records: Mapping[RecordTypeName, int]
    latency_s: float
    cursor_forms: Mapping[RecordTypeName, CursorForm]
    final_cursors: Mapping[RecordTypeName, FinalCursor]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedExport:
    """One `POST /export/{type}`, `at_s` seconds after the start; `number` counts from 1.

    Without a `limit` all records are exported.
    """

    number: int
    at_s: float
    account: Account
    export_type: str
    page_size: int
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRead:
    """One `GET /export/{type}?limit=10`, `at_s` seconds after the start."""

    at_s: float
    account: Account
    export_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All requests of a run; exports and reads in the order of time.

    One account submits a `small` export every few seconds, and the duration of each is measured. The `flood` comes from
    another account at one moment; it does not change the rest of the plan.
    """

    accounts: tuple[PlannedAccount, ...]
    exports: tuple[PlannedExport, ...]
    reads: tuple[PlannedRead, ...]
    small: tuple[PlannedExport, ...]
    flood: tuple[PlannedExport, ...] = ()

    @property
    def all_exports(self) -> tuple[PlannedExport, ...]:
        return (*self.exports, *self.flood, *self.small)


def make_plan(size: Size) -> Plan:
    """Return the plan, which is a function of the size including its seed."""
    dice = Random(size.seed)  # noqa: S311 - a plan needs no cryptography
    accounts = [_account(number) for number in range(1, size.accounts + 1)]
    exports = _exports(accounts, size, dice)
    filled, reads = _filled(accounts, exports, size, dice), _reads(accounts, size, dice)
    other, flooding = (_account(size.accounts + number) for number in (1, 2))
    further = [_plain(account) for account in ((other, flooding) if size.flood else (other,))]
    small, flood = _small(other, size), _flood(flooding, size)
    return Plan(accounts=(*filled, *further), exports=exports, reads=reads, small=small, flood=flood)


def _plain(account: Account) -> PlannedAccount:
    """Return an account with the shortest latency and default offsets."""
    names = get_args(RecordTypeName)
    return PlannedAccount(
        account=account,
        records=dict.fromkeys(names, _SMALL_RECORDS),
        latency_s=_LATENCIES_S[0],
        cursor_forms=dict.fromkeys(names, get_args(CursorForm)[0]),
        final_cursors=dict.fromkeys(names, get_args(FinalCursor)[0]),
    )


def _flood(account: Account, size: Size) -> tuple[PlannedExport, ...]:
    at_s = size.seconds * _FLOOD_AT
    return tuple(
        PlannedExport(
            number=_FIRST_OF_FLOOD + number,
            at_s=at_s,
            account=account,
            export_type="contacts",
            page_size=1,
            limit=_PAGES_OF_FLOOD,
        )
        for number in range(size.flood)
    )


def _small(account: Account, size: Size) -> tuple[PlannedExport, ...]:
    times = (size.seconds * _FLOOD_AT + _SMALL_EVERY_S * (number + 0.5) for number in count())
    within = takewhile(lambda at_s: at_s < size.seconds * _SUBMITTING_PART, times)
    return tuple(
        PlannedExport(
            number=_FIRST_OF_SMALL + number, at_s=at_s, account=account, export_type="notes", page_size=_SMALL_PAGE
        )
        for number, at_s in enumerate(within)
    )


def _account(number: int) -> Account:
    return Account(account_id=f"soak-{number}", owner=f"owner-{number}", hub_id=_FIRST_HUB_ID + number)


def _exports(accounts: list[Account], size: Size, dice: Random) -> tuple[PlannedExport, ...]:
    """Schedule the types of an account directly after each other, so that they compete for its rate limit."""
    pairs = sorted(islice(_shuffled_pairs(len(accounts), dice), size.exports), key=lambda pair: pair[0])
    page_sizes = {pair: dice.choice(_PAGE_SIZES) for pair in sorted(set(pairs))}
    every_s = size.seconds * _SUBMITTING_PART / size.exports
    return tuple(
        PlannedExport(
            number=number,
            at_s=(number - 1) * every_s,
            account=accounts[pair[0]],
            export_type=pair[1],
            page_size=page_sizes[pair],
        )
        for number, pair in enumerate(pairs, start=1)
    )


def _shuffled_pairs(accounts: int, dice: Random) -> Iterator[tuple[int, str]]:
    """Yield every pair of account and type once before any pair repeats."""
    pairs = [(index, name) for index in range(accounts) for name in HUBSPOT_TYPES]
    while True:
        dice.shuffle(pairs)
        yield from pairs


def _filled(
    accounts: list[Account], exports: tuple[PlannedExport, ...], size: Size, dice: Random
) -> tuple[PlannedAccount, ...]:
    held: dict[Account, dict[RecordTypeName, int]] = {
        account: dict.fromkeys(get_args(RecordTypeName), _UNEXPORTED_RECORDS) for account in accounts
    }
    for export in exports:
        held[export.account][HUBSPOT_TYPES[export.export_type]] = _records(export, size, dice)
    return tuple(
        PlannedAccount(
            account=account,
            records=held[account],
            latency_s=round(dice.uniform(*_LATENCIES_S), 3),
            cursor_forms={name: dice.choice(get_args(CursorForm)) for name in get_args(RecordTypeName)},
            final_cursors={name: dice.choice(get_args(FinalCursor)) for name in get_args(RecordTypeName)},
        )
        for account in accounts
    )


def _records(export: PlannedExport, size: Size, dice: Random) -> int:
    """Draw a number of records around the mean; the last page may be full, partial, or the only one and empty."""
    pages = round(size.pages * dice.uniform(*_SPREAD))
    return max(0, pages * export.page_size - dice.choice((0, 0, 1, export.page_size // 2, export.page_size - 1)))


def _reads(accounts: list[Account], size: Size, dice: Random) -> tuple[PlannedRead, ...]:
    names = list(HUBSPOT_TYPES)
    every_s = 1 / size.reads_per_s
    return tuple(
        PlannedRead(at_s=number * every_s, account=dice.choice(accounts), export_type=dice.choice(names))
        for number in islice(count(), int(size.seconds * size.reads_per_s))
    )
