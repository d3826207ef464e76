"""Stored records as JSON: spelled as Python's `json` spells them, whatever they hold."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson.binary import Binary
from bson.code import Code
from bson.codec_options import CodecOptions
from bson.decimal128 import Decimal128
from bson.max_key import MaxKey
from bson.objectid import ObjectId
from bson.regex import Regex
from bson.timestamp import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from worker.current_copy.mongo.documents import READING, to_body, to_fields, to_instant
from worker.mongo.database import Document

_AS_JSON_READS_IT: CodecOptions[Document] = CodecOptions(dict, tz_aware=True)

_NUMBERS = (
    st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, -1, 2**31, 2**53 + 1, -0.0, 1e-5, 1e-4, 1e15, 1e16, 1e22, 5e-324, 1.7976931348623157e308])
)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(["\0", "\x1f\x7f", "\u2028/", '"\\', "😀"])
_NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).filter(lambda name: name != "$ref")
_OF_OTHER_PROGRAMS = (
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
    | st.binary()
    | st.builds(Binary, st.binary(), st.sampled_from([2, 5, 128]))
    | st.sampled_from(
        [Decimal128("1E+400"), ObjectId("5f0c5f0c5f0c5f0c5f0c5f0c"), Code("x"), Regex("a"), Timestamp(1, 2), MaxKey()]
    )
)


def nested(values: st.SearchStrategy[Any], names: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    return st.recursive(
        values, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=20
    )


def both_ways(fields: Document) -> tuple[bytes, bytes]:
    """Write a stored record as it is done, and as Python's `json` does it."""
    stored = bson.encode(fields)
    record = bson.decode(stored, _AS_JSON_READS_IT)["record"]
    expected = json.dumps(record, ensure_ascii=False, separators=(",", ":"), default=str)
    return to_body(bson.decode(stored, READING)), expected.encode()


@given(st.dictionaries(_NAMES, nested(st.none() | st.booleans() | _NUMBERS | _TEXTS | _OF_OTHER_PROGRAMS, _NAMES)))
def test_what_bson_holds_is_spelled_as_json_spells_it(record: Document) -> None:
    written, expected = both_ways({"record": record, "original": None})

    assert written == expected


@given(st.dictionaries(st.text(), nested(st.none() | st.booleans() | _NUMBERS | st.integers() | st.text(), st.text())))
def test_what_hubspot_sends_is_returned_byte_for_byte(record: Document) -> None:
    """Texts hold halves of surrogate pairs and NUL here, names as well, and integers are of any length."""
    fields = to_fields(json.dumps(record).encode())

    if fields["original"] is None:
        written, expected = both_ways(fields)
        assert written == expected
    else:
        assert json.loads(to_body(fields)) is not None


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_null_since_no_json_has_it(number: float) -> None:
    stored = bson.encode({"record": {"n": [number, 1.5]}, "original": None})

    assert to_body(bson.decode(stored, READING)) == b'{"n":[null,1.5]}'


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda at: at.replace(tzinfo=UTC)))  # noqa: DTZ001
def test_an_instant_is_read_to_the_millisecond(at: datetime) -> None:
    stored = bson.encode({"at": at})

    assert to_instant(bson.decode(stored, READING)["at"]) == bson.decode(stored, _AS_JSON_READS_IT)["at"]


@pytest.mark.parametrize("value", [None, "2026-11-23T00:00:00Z", 5, 1.5])
def test_a_value_that_is_not_an_instant_is_rejected(value: object) -> None:
    with pytest.raises(TypeError):
        to_instant(bson.decode(bson.encode({"at": value}), READING)["at"])


def test_an_instant_beyond_the_calendar_spoils_its_record_only() -> None:
    stored = bson.decode(bson.encode({"at": bson.datetime_ms.DatetimeMS(2**62)}), READING)

    with pytest.raises(OverflowError):
        to_instant(stored["at"])
