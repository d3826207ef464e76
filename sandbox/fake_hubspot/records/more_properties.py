"""Generated properties of all of HubSpot's types, for accounts with many, and values as the dated API writes them."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

from sandbox.fake_hubspot.records import words
from sandbox.fake_hubspot.records.ids import mix
from sandbox.fake_hubspot.records.shape import Properties, RecordType

_PREFIX = "custom_property_of_ours_"
_TYPES = ("string", "number", "date", "datetime", "bool", "enumeration")
_OPTIONS = ("option_1", "option_2", "option_3", "option_1;option_3")
_DAY_MS = 24 * 3600 * 1000
_FIRST_DAY_MS = 1_577_836_800_000  # 2020-01-01T00:00:00Z
_DAYS = 2_000
_FULL_OF_TEN = 7
_ISO = {"{{created}}": "{{created_iso}}", "{{modified}}": "{{modified_iso}}"}


def more_property_type(name: str) -> str | None:
    """Return HubSpot's type of a generated property; None for any other."""
    number = name.removeprefix(_PREFIX)
    if number == name or not number.isdigit():
        return None
    return _TYPES[int(number) % len(_TYPES)]


@cache
def with_more_properties(
    record_type: RecordType, *, count: int = 0, removed: frozenset[str] = frozenset(), merged: bool = False
) -> RecordType:
    """Return the type with so many generated properties, without those removed, and with those of merged records."""
    of_merged = record_type.merged_properties if merged else None
    if not (count or removed or of_merged):
        return record_type

    @cache  # every new shape asks for all of them again
    def properties(variant: int) -> Properties:
        more = (_more(variant, number) for number in range(1, count + 1))
        every = {
            **record_type.properties(variant),
            **(of_merged(variant) if of_merged else {}),
            **{name: value for name, value in more if value is not None},
        }
        return {name: value for name, value in every.items() if name not in removed}

    valueless = tuple(name for name in record_type.valueless if name not in removed)
    return replace(record_type, properties=properties, valueless=valueless)


def dated_value(name: str, value: str | None) -> str | None:
    """Return a value of the legacy API, where times are in milliseconds, as the dated API writes it."""
    if not value:
        return value
    type_ = more_property_type(name)
    if type_ not in {"date", "datetime"}:
        return _ISO.get(value, value)
    at = datetime.fromtimestamp(int(value) / 1000, UTC)
    return f"{at:%Y-%m-%d}" if type_ == "date" else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _more(variant: int, number: int) -> tuple[str, str | None]:
    name, scramble = f"{_PREFIX}{number:04d}", mix(number, variant)
    day_ms = _FIRST_DAY_MS + scramble % _DAYS * _DAY_MS
    values = {
        "string": words.pick(words.SENTENCES, variant, salt=number),
        "number": f"{scramble % 100_000 / 100:g}",
        "date": str(day_ms),
        "datetime": str(day_ms + scramble % _DAY_MS),
        "bool": "true" if scramble % 2 else "false",
        "enumeration": words.pick(_OPTIONS, variant, salt=number),
    }
    return name, values[_TYPES[number % len(_TYPES)]] if scramble % 10 < _FULL_OF_TEN else None
