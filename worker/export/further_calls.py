"""FurtherCalls: the permits of the calls that one page takes beyond its first."""

from __future__ import annotations

from typing import Protocol

from worker.errors import CallAbandonedError, NoPermitError, TimedOutError
from worker.export.context import ExportContext
from worker.rate_limit.permits import Permit
from worker.records.findings import CallKind

_LONGEST_PAGE_S = 60.0  # of the calls of one page, until the permit of its last one is asked for
_LONGEST_WAIT_S, _MOST_ASKS = 20.0, 400  # for the permit of a further call
LEAST_WAIT_S = 0.01

FURTHER_CALLS_S = _LONGEST_PAGE_S + _LONGEST_WAIT_S
"""What a page that takes several calls takes longer than its last one."""

_LOW_PRIORITY_FOR_S = 2.0  # that the further calls of a low-priority one have low priority as well


class _Ask(Protocol):
    def __call__(self, *, kind: CallKind, low_priority: bool) -> tuple[float, Permit | None]:
        """Return a permit for a call of this kind, or for how long there is none."""


class FurtherCalls:
    """The calls of one page beyond its first.

    Giving a page up discards the answers it has so far, so these calls wait longer for a permit than first calls do. A
    low-priority one that gets none for a while asks for an ordinary one.
    """

    def __init__(self, ask: _Ask, *, tools: ExportContext, low_priority: bool) -> None:
        self._ask = ask
        self._tools = tools
        self._low_priority = low_priority
        self._began_at = tools.monotonic()
        self._permits: list[Permit] = []

    @property
    def made(self) -> int:
        return len(self._permits)

    def close(self) -> None:
        """Close the permits that were not used."""
        for permit in self._permits:
            permit.close()

    def wait(self, kind: CallKind = CallKind.LIST) -> Permit:
        """Wait until one more call may be made.

        Raises NoPermitError, TimedOutError when the page has taken too long, CallAbandonedError when the worker stops,
        LeaseLostError, UnavailableError.
        """
        began_at = self._tools.monotonic()
        if began_at - self._began_at > _LONGEST_PAGE_S:
            raise TimedOutError("The calls that one page takes last too long")
        wait_s = LEAST_WAIT_S
        for _ in range(_MOST_ASKS):
            waited_s = self._tools.monotonic() - began_at
            wait_s, permit = self._ask(kind=kind, low_priority=self._low_priority and waited_s < _LOW_PRIORITY_FOR_S)
            if permit is not None:
                self._permits.append(permit)
                return permit
            if waited_s + wait_s > _LONGEST_WAIT_S:
                break
            if self._tools.stopping.wait(wait_s):
                raise CallAbandonedError("The worker stops; the page is fetched anew")
        raise NoPermitError(wait_s=wait_s)
