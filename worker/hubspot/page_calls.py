"""PageCalls: the permits for the calls that one page takes, and how many of each kind it has taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Self

from worker.export.interfaces import PageQuery
from worker.rate_limit.permits import FREE_PERMIT, Permit
from worker.records.findings import CallKind


class PageCalls:
    """Hands out permits: the first call has the one that was booked for the page, each further one waits for another.

    One page may ask several lists: they share one of these.
    """

    def __init__(self, permit: Permit = FREE_PERMIT, *, further_call: Callable[[], Permit] | None = None) -> None:
        self._permit = permit
        self._further_call = further_call
        self._made: Counter[str] = Counter()

    @classmethod
    def of(cls, query: PageQuery) -> Self:
        return cls(query.permit, further_call=query.further_call)

    @property
    def by_kind(self) -> Mapping[str, int]:
        """How many calls were made, by CallKind, as PageFindings has them."""
        return dict(self._made)

    def permit(self, kind: CallKind) -> Permit:
        """Return the permit of one more call; raises what the query's `further_call` raises."""
        is_first = not self._made
        permit = self._permit if is_first or self._further_call is None else self._further_call()
        self._made[kind.value] += 1
        return permit
