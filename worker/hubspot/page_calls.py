"""PageCalls: the permits for the calls that one page takes, and how many of each kind it has taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Self

from worker.export.interfaces import PageQuery
from worker.rate_limit.permits import FREE_PERMIT, Permit
from worker.records.crm_api import CrmApi
from worker.records.findings import CallKind


class PageCalls:
    """Hands out permits: the first call has the one that was booked for the page, each further one waits for another.

    One page may ask several lists: they share one of these. Where the page is of a search, the permit that was booked
    is that of a search, which no other call may use.
    """

    def __init__(
        self,
        permit: Permit = FREE_PERMIT,
        *,
        further_call: Callable[..., Permit] | None = None,
        is_of_search: bool = False,
    ) -> None:
        self._permit = permit
        self._further_call = further_call
        self._is_of_search = is_of_search
        self._is_used = False
        self._made: Counter[str] = Counter()

    @classmethod
    def of(cls, query: PageQuery) -> Self:
        is_of_search = query.feed is not None and query.api is CrmApi.DATED and not query.only_deletions
        return cls(query.permit, further_call=query.further_call, is_of_search=is_of_search)

    @property
    def by_kind(self) -> Mapping[str, int]:
        """How many calls were made, by CallKind, as PageFindings has them."""
        return dict(self._made)

    def permit(self, kind: CallKind) -> Permit:
        """Return the permit of one more call; raises what the query's `further_call` raises."""
        is_search = kind is CallKind.SEARCH
        if self._further_call is None or (not self._is_used and is_search is self._is_of_search):
            permit, self._is_used = self._permit, True
        else:
            permit = self._further_call(kind) if is_search else self._further_call()
        self._made[kind.value] += 1
        return permit
