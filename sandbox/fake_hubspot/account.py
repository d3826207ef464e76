"""One HubSpot account (portal): its settings, records, rate meters and counters."""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from sandbox.fake_hubspot.accounts import DEFAULT_SCOPES, AccountSettings
from sandbox.fake_hubspot.journal import Counters
from sandbox.fake_hubspot.limits import Meter
from sandbox.fake_hubspot.records.more_properties import with_more_properties
from sandbox.fake_hubspot.records.record_counts import TYPES, RecordSet
from sandbox.fake_hubspot.records.registry import OTHER_TYPES, record_types
from sandbox.fake_hubspot.records.renderer import Renderer, Templates
from sandbox.fake_hubspot.records.shape import RecordType
from sandbox.fake_hubspot.scopes import granted_for

FIXED = frozenset({"hub_id", "records", "custom_objects", "links", "seed", "id_strides"})
"""Settings that PATCH refuses: the records are derived from them."""
_LONGEST_ARCHIVED_S = 90 * 24 * 3600
_MS = 1000


class Account:
    """One account: settings, records by type, rate meters and counters."""

    def __init__(self, settings: AccountSettings, *, templates: Templates) -> None:
        self.settings = _named(settings)
        seed = settings.hub_id if settings.seed is None else settings.seed
        self.records = {
            name: RecordSet(
                name,
                count=settings.records.get(name, 0),
                seed=seed,
                stride=settings.id_strides.get(name),
            )
            for name in (*TYPES, *settings.custom_objects)
        }
        types = _types(settings)
        self.renderer = Renderer(settings.hub_id, self.records, templates, record_types=types, numbers=settings.links)
        self.renderer.odd = settings.odd_records
        self.meter = Meter()
        self.search_meter = Meter()
        self.counters = Counters()

    @property
    def hub_id(self) -> int:
        return self.settings.hub_id

    @property
    def record_types(self) -> Mapping[str, RecordType]:
        """All types by name: legacy engagements, those of the dated API, and custom objects by their plain names."""
        return self.renderer.record_types

    def find_type(self, alias: str) -> RecordType | None:
        """Return the type that the dated API knows by a name or number, such as `notes`, `note`, `0-46` or `p_cars`."""
        dated = (each for each in self.record_types.values() if each.dated_number)
        return next((each for each in dated if alias in each.aliases or alias == each.singular != each.name), None)

    def can_associate(self, alias: str) -> bool:
        """Return whether records can be associated with a type of this name, whether or not it has records here."""
        return alias in OTHER_TYPES or self.find_type(alias) is not None

    def archived(self, record_type: RecordType, *, after: int = 0, at: float) -> Iterator[int]:
        """Return the indexes of the records of a type in the recycle bin at `at` (epoch seconds), as `members`."""
        since_ms = int((at - _LONGEST_ARCHIVED_S) * _MS)
        archived = self.records[record_type.record_set].archived(after=after, since_ms=since_ms)
        return self.renderer.members(record_type, iter(archived))

    def members(self, record_type: RecordType, *, after: int = 0) -> Iterator[int]:
        """Return the indexes of the records of a type whose ids are greater than `after`, ascending."""
        return self.renderer.members(record_type, self.records[record_type.record_set].after(after))

    def lag(self, type_: str, *, at: float) -> Callable[[int], bool] | None:
        """Return a predicate on indexes: is the record listed at `at` (epoch seconds)? None: all records are."""
        if not self.settings.list_lag_s:
            return None
        record_set, known_ms = self.records[type_], (at - self.settings.list_lag_s) * _MS
        return lambda index: record_set.added_at_ms(index) <= known_ms

    def change(self, changes: dict[str, object]) -> None:
        """Change settings; raises msgspec.ValidationError naming a field that is unknown, invalid or fixed."""
        fixed = FIXED.intersection(changes)
        if fixed:
            raise msgspec.ValidationError(f"Field cannot be changed - at `$.{min(fixed)}`")
        changed = {**msgspec.to_builtins(self.settings), **changes}
        self.settings = _named(msgspec.convert(changed, AccountSettings))
        self.renderer.record_types = _types(self.settings)
        self.renderer.odd = self.settings.odd_records

    def forget_counts(self) -> None:
        self.meter, self.search_meter, self.counters = Meter(), Meter(), Counters()


def _types(settings: AccountSettings) -> Mapping[str, RecordType]:
    return {
        name: with_more_properties(
            record_type,
            count=settings.more_properties.get(name, 0),
            removed=frozenset(settings.removed_properties.get(name, ())),
            merged=settings.merged_records,
        )
        for name, record_type in record_types(settings.hub_id, settings.custom_objects).items()
    }


def _named(settings: AccountSettings) -> AccountSettings:
    refresh_token = settings.refresh_token or f"refresh-{settings.hub_id}"
    scopes = settings.scopes
    if scopes == DEFAULT_SCOPES:
        further = granted_for((name for name, count in settings.records.items() if count), settings.custom_objects)
        scopes = tuple(dict.fromkeys((*scopes, *further)))
    return msgspec.structs.replace(settings, refresh_token=refresh_token, scopes=scopes)
