"""PeriodicGate: whether a periodic task would find anything to do, by one look into MongoDB; if not, it is not sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import structlog

from worker.clock import steady_s
from worker.lifecycle.interfaces import INTERRUPTED_AFTER_S, QUEUED_AFTER_S, UNFOLLOWED_AFTER_S

_log = structlog.get_logger()

_AT_LEAST_EVERY_S = 60.0  # whatever MongoDB says
_SWEPT_WITHIN_S = 90.0  # otherwise this is the database of another deployment, or messages are lost
_SAME_LOOK_S = 1.0  # one look serves both tasks, which are due at the same instants
_WITHOUT_LOOK_S = 10.0  # after a failure, which costs beat a second


class DueKind(StrEnum):
    """The kinds of work that periodic tasks look for."""

    UNPUBLISHED = "unpublished"
    """A job whose wait or lease has expired, or that was never published."""
    QUEUED = "queued"
    """A published job that nobody has claimed."""
    OLDER = "older"
    """An open job stored by an older version."""
    UNFOLLOWED = "unfollowed"
    INTERRUPTED = "unsettled"
    DELIVERY = "delivery"
    ERASURE = "erasure"
    REMOVAL = "removal"
    COPY = "copy"
    CHORE = "chore"
    SCHEDULE = "schedule"


_NEEDS_SWEEP_AFTER_S: Mapping[DueKind, float] = {
    **dict.fromkeys(DueKind, 0.0),
    DueKind.QUEUED: QUEUED_AFTER_S,
    DueKind.UNFOLLOWED: UNFOLLOWED_AFTER_S,
    DueKind.INTERRUPTED: INTERRUPTED_AFTER_S,
}
_OF_DISPATCH = frozenset({DueKind.SCHEDULE})
_OF_SWEEP = frozenset(DueKind) - _OF_DISPATCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The work of one moment, in seconds by MongoDB's clock.

    `due_s`: for how long the first of each kind has been due, negative where it is still to come, without the kinds of
    which there is none. `swept_s`: how long ago the last sweep ended, negative during a sweep, None before the first.
    """

    due_s: Mapping[DueKind, float]
    swept_s: float | None

    def has_due(self, kinds: Collection[DueKind]) -> bool:
        """Return whether a task for these kinds would find work."""
        return any(kind in kinds and since >= _NEEDS_SWEEP_AFTER_S[kind] for kind, since in self.due_s.items())

    @property
    def is_of_this_deployment(self) -> bool:
        """Whether workers sweep the database that was looked into."""
        return self.swept_s is not None and abs(self.swept_s) <= _SWEPT_WITHIN_S


class DueWorkStore(Protocol):
    """Reads everything that may become due."""

    def look(self) -> Outlook:
        """Return the work of now. Raises StoreUnavailableError."""


class PeriodicGate:
    """Decides whether to send a periodic task: a sweep or dispatch that finds nothing costs twenty commands.

    In doubt it does: without an answer, where nobody is seen to sweep, and once a minute in any case.
    """

    def __init__(self, store: DueWorkStore, *, steady: Callable[[], float] = steady_s) -> None:
        self._store = store
        self._steady = steady
        self._enqueued_at: dict[frozenset[DueKind], float] = {}
        self._outlook: Outlook | None = None
        self._good_until: float | None = None

    def needs_sweep(self) -> bool:
        """Return whether to send a sweep now, and count it as sent."""
        return self._needs(_OF_SWEEP)

    def needs_dispatch(self) -> bool:
        """Return whether to send a dispatch now, and count it as sent."""
        return self._needs(_OF_DISPATCH)

    def _needs(self, kinds: frozenset[DueKind]) -> bool:
        at = self._steady()
        last = self._enqueued_at.get(kinds)
        is_over = last is None or at - last >= _AT_LEAST_EVERY_S
        if not is_over:
            outlook = self._look()
            is_over = outlook is None or not outlook.is_of_this_deployment or outlook.has_due(kinds)
        if is_over:
            self._enqueued_at[kinds] = at
        return is_over

    def _look(self) -> Outlook | None:
        if self._good_until is None or self._steady() >= self._good_until:
            self._outlook, good_for_s = None, _WITHOUT_LOOK_S
            try:
                self._outlook, good_for_s = self._store.look(), _SAME_LOOK_S
            except Exception as error:  # noqa: BLE001 - beat has to continue, whatever a database answers
                _log.warning("due_work_unknown", error=type(error).__name__)
            self._good_until = self._steady() + good_for_s
        return self._outlook
