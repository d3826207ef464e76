"""Cursors of lists: the place of the last item given, as text that only has to be sent back."""

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


PlaceInstant = Annotated[AwareDatetime, AfterValidator(_in_utc)]
PlaceNumber = Annotated[int, Field(ge=0, le=2**63 - 1)]
"""Parts of a place, such as MongoDB can be asked for."""

T = TypeVar("T")
Item = TypeVar("Item")


class CursorFormat(Generic[T]):
    """How the cursors of one list are written and read.

    A place is what the list is ordered by, in that order and with something unique at the end: a tuple of instants,
    numbers and texts. The list goes on with what comes after, wherever that is by then, so that nothing that is
    inserted or removed meanwhile makes it skip or repeat an item.

    A cursor is no secret and no permission: whoever changes one starts elsewhere in a list that is their own.
    """

    def __init__(self, places: TypeAdapter[T]) -> None:
        self._places = places

    def write(self, place: T) -> str:
        """Give the cursor that leads to what comes after this place."""
        return base64.urlsafe_b64encode(self._places.dump_json(place)).rstrip(b"=").decode()

    def page(
        self, found: Sequence[Item], *, limit: int, place: Callable[[Item], T]
    ) -> tuple[Sequence[Item], str | None]:
        """Give a page and the cursor that leads on, or None, of items of which one more was asked for than it holds."""
        items = found[:limit]
        return items, self.write(place(items[-1])) if len(found) > limit else None

    def read(self, cursor: str) -> T:
        """Give the place that a cursor leads to. Raises InvalidRequestError for one that no list has given."""
        try:
            padded = cursor.encode() + b"=" * (-len(cursor) % 4)
            return self._places.validate_json(base64.b64decode(padded, altchars=b"-_", validate=True))
        except ValueError:  # pydantic's and base64's errors are such
            raise InvalidRequestError("cursor: is none that this list has given") from None
