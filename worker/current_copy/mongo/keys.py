"""CopyKeys: where the documents of one copy lie, so that an account keeps one for each portal it was connected to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from worker.mongo.database import Document
from worker.records.types import CopyId


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyKeys:
    """`copy_key` is that of the copy's own document; a record's key is `prefix`, its id in 20 digits, and `suffix`.

    The first copy of an account has the keys that all had before portals were told apart: `<account>:<id>`. Its own
    document says which portal it is of, and its records need not: those of an older version have no `hub_id`. Copies of
    further portals have the portal in their keys; they end with what no older key ends with, whatever an account's
    name may be. No id has more than 19 digits.
    """

    copy_key: str
    prefix: str
    suffix: str
    end: str
    is_first: bool
    hub_id: int | None

    @classmethod
    def of_first(cls, copy: CopyId, hub_id: int | None) -> Self:
        """Give those of an account's first copy, which is of this portal, or of one that nobody has told."""
        return cls(
            copy_key=f"{copy.account_id}:{copy.export_type}",
            prefix=f"{copy.account_id}:",
            suffix="",
            end=f"{copy.account_id}:1",
            is_first=True,
            hub_id=hub_id,
        )

    @classmethod
    def of_further(cls, copy: CopyId) -> Self:
        """Give those of the copy of another portal."""
        start = f"{copy.account_id}:p{copy.hub_id}"
        return cls(
            copy_key=f"{copy.account_id}:{copy.export_type}:{copy.hub_id}",
            prefix=f"{start}:",
            suffix=".",
            end=f"{start};",
            is_first=False,
            hub_id=copy.hub_id,
        )

    def of(self, record_id: int) -> str:
        """Give the key of a record."""
        return f"{self.prefix}{record_id:020d}{self.suffix}"

    def id_in(self, key: str) -> int | None:
        """Give the id in a record's key; None for the key of another copy, which an account's name may put between."""
        digits = key[len(self.prefix) : len(key) - len(self.suffix)]
        is_ours = key.startswith(self.prefix) and key.endswith(self.suffix) and digits.isdigit()
        return int(digits) if is_ours else None

    def between(self, after: int | None, through: int | None) -> Document:
        """Give the keys above `after` and up to `through`, as a condition on `_id`."""
        start = self.of(after) if after is not None else self.prefix
        return {"$gt": start, **({"$lte": self.of(through)} if through is not None else {"$lt": self.end})}
