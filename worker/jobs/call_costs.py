"""How many calls of which kind it takes to read records, by how they are read; pure.

One list call brings a page. Where properties do not fit into its address, a call by ids brings them (decision 0043).
An incremental sync searches; searches give no associations, which are then read by ids as well (decision 0045).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from worker.records.dated_types import MOST_SEARCHED
from worker.records.findings import CallKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How records are read, as far as it decides how many calls that takes.

    `page_size` is the most records of a list call, `batch_size` those of a call by ids, None where every property comes
    with the list. `parts` are the list calls that each page takes, with some of the properties each. `lists` are merged
    into one. `searches`: only what has changed is read, and what was deleted. Associations with `associated` types are
    read by ids. `definitions` are the calls that a selection of properties takes, whatever is read.
    """

    page_size: int
    batch_size: int | None = None
    parts: int = 1
    lists: int = 1
    searches: bool = False
    associated: int = 0
    definitions: int = 0

    def calls(self, records: int) -> Mapping[CallKind, int]:
        """Return the calls for so many records; at least one of each list. Overflowing associations are not known."""
        size = MOST_SEARCHED if self.searches else self.page_size
        # A merged list ends somewhere within a page.
        pages = max(self.lists, math.ceil(records / size) + self.lists - 1)
        calls = {CallKind.SEARCH if self.searches else CallKind.LIST: pages * self.parts}
        if self.searches:
            calls[CallKind.LIST] = self.lists  # of what was deleted, which nobody can count
        if self.batch_size is not None:
            calls[CallKind.BATCH] = math.ceil(records / self.batch_size)
        calls[CallKind.ASSOCIATIONS] = math.ceil(records / size) * self.associated
        calls[CallKind.DEFINITIONS] = self.definitions
        return {kind: number for kind, number in calls.items() if number}
