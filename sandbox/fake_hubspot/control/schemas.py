"""The bodies of the control API, besides account settings and fault plans."""

from typing import Annotated, get_args

import msgspec

from sandbox.fake_hubspot.account import Account
from sandbox.fake_hubspot.accounts import Natural, RecordTypeName
from sandbox.fake_hubspot.faults.plan import ScriptedFault


class RecordChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changes to the records of one type: how many to add, which ids to delete, to touch, to restore."""

    add: Natural = 0
    delete: list[int] = []
    touch: list[int] = []
    restore: list[int] = []


class Latency(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The delay of every answer in seconds, on top of the account's own latency."""

    latency_s: Annotated[float, msgspec.Meta(ge=0)]


class CodeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An authorisation code to issue, bound to the redirect_uri if there is one."""

    redirect_uri: str | None = None


def account_view(account: Account) -> dict[str, object]:
    """Return the settings of an account with its current record counts."""
    told = {*get_args(RecordTypeName), *account.settings.records, *account.settings.custom_objects}
    counts = {name: len(record_set) for name, record_set in account.records.items() if record_set or name in told}
    return {**msgspec.to_builtins(account.settings), "records": counts}


def account_stats(account: Account) -> dict[str, object]:
    """Return the counters of an account; `refused` are calls over a limit.

    `peak_calls` is the largest number of data calls in one rolling interval, refused ones included.
    """
    settings = account.settings
    limits = {"rate_limit": settings.rate_limit, "rate_interval_s": settings.rate_interval_s}
    seen = {"refused": account.meter.refused, "peak_calls": account.meter.peak_arrivals}
    return {**msgspec.to_builtins(account.counters), **limits, **seen}


def fault_view(fault: ScriptedFault) -> dict[str, object]:
    """Return a fault's plan with the matching calls seen, the times fired and the times remaining."""
    progress = {"id": fault.id, "seen": fault.seen, "fired": fault.fired, "remaining": fault.remaining}
    return {**msgspec.json.decode(msgspec.json.encode(fault.plan)), **progress}
