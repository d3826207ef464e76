"""CopyKeys: the keys of one copy's documents, so that an account has a copy for each portal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from worker.mongo.database import Document
from worker.records.registry import is_custom_name
from worker.records.types import CopyId


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyKeys:
    """`copy_key` is of the copy's own document; a record's key is `prefix`, its id in 20 digits, and `suffix`.

    The first copy of an account has the keys from before portals were distinguished: `<account>:<id>`. Its own document
    names its portal; records of an older version have no `hub_id`. Keys of further portals' copies contain the portal,
    and end in a way that no older key does, whatever an account's name may be. No id has more than 19 digits. Keys of
    custom objects, which share a collection, contain the type besides: `<account>:<type>:<id>`.
    """

    copy_key: str
    prefix: str
    suffix: str
    end: str
    is_first: bool
    hub_id: int | None

    @classmethod
    def of_first(cls, copy: CopyId, hub_id: int | None) -> Self:
        """Return those of an account's first copy, which is of this portal; None: the portal is not known."""
        prefix = f"{copy.account_id}:{_type_in(copy)}"
        return cls(
            copy_key=f"{copy.account_id}:{copy.export_type}",
            prefix=prefix,
            suffix="",
            end=f"{prefix}1",
            is_first=True,
            hub_id=hub_id,
        )

    @classmethod
    def of_further(cls, copy: CopyId) -> Self:
        prefix = f"{copy.account_id}:p{copy.hub_id}:{_type_in(copy)}"
        return cls(
            copy_key=f"{copy.account_id}:{copy.export_type}:{copy.hub_id}",
            prefix=prefix,
            suffix=".",
            end=f"{prefix[:-1]};",
            is_first=False,
            hub_id=copy.hub_id,
        )

    def of(self, record_id: int) -> str:
        return f"{self.prefix}{record_id:020d}{self.suffix}"

    def id_in(self, key: str) -> int | None:
        """Return the id in a record's key; None for a key of another copy: an account's name may sort in between."""
        digits = key[len(self.prefix) : len(key) - len(self.suffix)]
        is_ours = key.startswith(self.prefix) and key.endswith(self.suffix) and digits.isdigit()
        return int(digits) if is_ours else None

    def between(self, after: int | None, through: int | None) -> Document:
        """Return a condition on `_id` for the keys above `after` and up to `through`."""
        start = self.of(after) if after is not None else self.prefix
        return {"$gt": start, **({"$lte": self.of(through)} if through is not None else {"$lt": self.end})}


def _type_in(copy: CopyId) -> str:
    return f"{copy.export_type}:" if is_custom_name(copy.export_type) else ""
