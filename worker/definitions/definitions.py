"""Definitions: the answers to what callers and jobs ask of HubSpot's definitions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from worker.definitions.definition import PropertyDefinition
from worker.definitions.interfaces import LIFE_S
from worker.definitions.lists import SCHEMAS, Listed, read_properties, read_sensitive
from worker.definitions.names import ALL, nearest, unknown_among
from worker.definitions.questions import CheckedProperties, CheckProperties, Defined, ListDefinitions, read_answer
from worker.definitions.reader import AccountReader, DefinitionReader
from worker.errors import FatalHubSpotError, NoPermitError, RateLimitedError
from worker.records.types import ExportType

_TOO_MANY = 429
_SECOND_LOOK_S = 10.0  # how old a list may be by which a name is unknown: it may have been made since


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundProperties:
    """What was found for names: all properties that are not sensitive, those sensitive ones that may be meant.

    `unknown` are the names that are neither. `calls` is what it took.
    """

    plain: tuple[PropertyDefinition, ...]
    sensitive: tuple[PropertyDefinition, ...] = ()
    unknown: tuple[str, ...] = ()
    calls: int = 0

    @property
    def names(self) -> list[str]:
        return [each.name for each in (*self.plain, *self.sensitive)]


class Definitions:
    """Reads definitions, as old as the question allows.

    Every method raises a HubSpotError, TokenNotFoundError, UnavailableError; what jobs ask also NoPermitError, which
    callers get as RateLimitedError.
    """

    def __init__(self, reader: DefinitionReader) -> None:
        self._reader = reader

    def show(self, account_id: str, owner: str, asked: ListDefinitions) -> Defined:
        """Return definitions of one kind; those of the schemas may be `refused`, without an error."""
        with _limited():
            listed = read_answer(asked, self._reader.begin(account_id, owner))
        return Defined(listed=listed if asked.export_type is None else _given(listed))

    def check(self, account_id: str, owner: str, asked: CheckProperties) -> CheckedProperties:
        with _limited():
            found = self.find(account_id, owner, asked.export_type, asked.names)
        return CheckedProperties(unknown=nearest(found.unknown, found.names))

    def find(self, account_id: str, owner: str, export_type: ExportType, names: Sequence[str]) -> FoundProperties:
        """Look names up. With `*` the list is read from HubSpot itself, and so is what a name is unknown by."""
        is_fresh = ALL in names
        reading = self._reader.begin(account_id, owner, max_age_s=0.0 if is_fresh else LIFE_S)
        found = self._find(reading, export_type, names)
        if is_fresh or not found.unknown:
            return found
        second = self._find(self._reader.begin(account_id, owner, max_age_s=_SECOND_LOOK_S), export_type, names)
        return replace(second, calls=found.calls + second.calls)

    def custom_types(self, account_id: str, owner: str) -> Listed:
        """Return the portal's custom objects, or why HubSpot does not tell."""
        return self._reader.begin(account_id, owner).read(SCHEMAS)

    def _find(self, reading: AccountReader, export_type: ExportType, names: Sequence[str]) -> FoundProperties:
        plain = _given(read_properties(export_type, reading)).properties
        unknown = unknown_among(names, {each.name for each in plain})
        if not unknown:
            return FoundProperties(plain=plain, calls=reading.calls)
        sensitive = read_sensitive(export_type, reading)
        unknown = unknown_among(unknown, {each.name for each in sensitive})
        return FoundProperties(plain=plain, sensitive=sensitive, unknown=unknown, calls=reading.calls)


@contextmanager
def _limited() -> Iterator[None]:
    try:
        yield
    except NoPermitError as error:
        raise RateLimitedError(error.message, status=_TOO_MANY, retry_after_s=error.wait_s) from error


def _given(listed: Listed) -> Listed:
    if listed.refused is not None:
        raise FatalHubSpotError(listed.refused, status=listed.status)
    return listed
