"""Cursors of lists: the key of the last item of a page, as opaque text."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, Field, TypeAdapter

from worker.errors import InvalidRequestError


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("is before the first year or after the last") from None


KeyInstant = Annotated[AwareDatetime, AfterValidator(_in_utc)]
KeyNumber = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""Parts of a key, within what MongoDB can be asked for."""

T = TypeVar("T")
Item = TypeVar("Item")


class CursorFormat(Generic[T]):
    """Writes and reads the cursors of one list.

    A cursor holds the key of the last item: the values that the list is ordered by, with something unique at the end.
    The next page starts after that key, whether the item is still there or not, so that inserting or removing items
    never makes a page skip or repeat one.

    A cursor is neither secret nor a permission: changing one only moves the caller within its own list.
    """

    def __init__(self, keys: TypeAdapter[T]) -> None:
        self._keys = keys

    def write(self, key: T) -> str:
        return base64.urlsafe_b64encode(self._keys.dump_json(key)).rstrip(b"=").decode()

    def page(self, found: Sequence[Item], *, limit: int, key: Callable[[Item], T]) -> tuple[Sequence[Item], str | None]:
        """Return a page and the cursor of the next one, if any; of `limit + 1` items asked for, `found` are there."""
        items = found[:limit]
        return items, self.write(key(items[-1])) if len(found) > limit else None

    def read(self, cursor: str) -> T:
        """Raise InvalidRequestError for a cursor that the list has not issued."""
        try:
            padded = cursor.encode() + b"=" * (-len(cursor) % 4)
            return self._keys.validate_json(base64.b64decode(padded, altchars=b"-_", validate=True))
        except ValueError:  # pydantic's and base64's errors are such
            raise InvalidRequestError("cursor: is none that this list has given") from None
