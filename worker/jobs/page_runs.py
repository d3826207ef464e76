"""PageRun: pages whose numbers follow each other; which numbers are taken, and where a page is; pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TypeAlias

PageRun: TypeAlias = tuple[int, int]
"""A run of pages that are consecutive both in the order of ids and in their numbers: first number, count."""


def gaps_between(page_runs: Iterable[PageRun]) -> Iterator[tuple[int, int | None]]:
    """Yield the ranges of numbers, without their ends, that no page of these runs has."""
    free = 0
    for first, pages in sorted(page_runs):
        if free < first:
            yield free, first
        free = first + pages
    yield free, None


def is_among(page_runs: Iterable[PageRun], number: int) -> bool:
    """Return whether a page of these runs has this number."""
    return any(first <= number < first + pages for first, pages in page_runs)


def numbers_of(page_runs: Sequence[PageRun], positions: Iterable[int]) -> list[int]:
    """Return the numbers of pages by their positions in the order of ids; without runs the two are the same."""
    if not page_runs:
        return list(positions)
    begins = [0, *accumulate(pages for _, pages in page_runs)]
    found = ((position, bisect_right(begins, position) - 1) for position in positions)
    return [page_runs[index][0] + position - begins[index] for position, index in found]
