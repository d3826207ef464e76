"""Mending: what no strict reader of JSON takes is changed, nothing else is, and all of it is said."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.records.mending import Mark, MendKind, NotJsonError, decoded, is_utf8, mend

MENDED = {
    b'\xef\xbb\xbf{"a":1}': (b'{"a":1}', ["byte_order_mark"]),
    b'{"a":NaN,"b":[Infinity,-Infinity ]}': (b'{"a":null,"b":[null,null ]}', ["not_a_number"] * 3),
    b'{"a":"x\ny\x00"}': (rb'{"a":"x\u000ay\u0000"}', ["control_characters"] * 2),
    rb'{"a":"\ud83d","\uDE00":1}': (rb'{"a":"\ufffd","\ufffd":1}', ["half_characters"] * 2),
    rb'{"a":"\ud83d\ud83d\ude00"}': (rb'{"a":"\ufffd\ud83d\ude00"}', ["half_characters"]),
    b'{"a":"caf\xe9"}': ('{"a":"caf\ufffd"}'.encode(), ["invalid_utf8"]),
    b'{"a":"\xed\xa0\xbd"}': ('{"a":"\ufffd\ufffd\ufffd"}'.encode(), ["invalid_utf8"] * 3),
    rb'{"a":"C:\x41\temp\u12"}': (rb'{"a":"C:\\x41\temp\\u12"}', ["invalid_escapes"] * 2),
    b'{"a":"\\\n"}': (rb'{"a":"\\\u000a"}', ["invalid_escapes", "control_characters"]),
}
WHOLE = [
    b'{"a":"NaN","b":"\\"NaN","-Infinity":[]}',
    '\n{"a":"é😀\x7f\u2028\ufeff" ,\t"b":1e400}\r\n'.encode(),
    rb'{"a":"\\ud83d\u00e9\ud83d\ude00\b\/"}',
]
BROKEN = [b"", b"<html>", b'{"a":"x', b'{"a":NaNa}', b"{'a':1}", b'{"a":1,}', b"\xff\xfe{}", b'{"a":\xff}', b"{" * 9]

any_bytes = st.binary(max_size=30) | st.text('{}[]:,"\\\ud83d\n\x00NaInfity-0.u', max_size=30).map(
    lambda text: text.encode(errors="surrogatepass")
)


def decode(text: bytes) -> object:
    return msgspec.json.decode(text)


@pytest.mark.parametrize("body", MENDED)
def test_what_is_no_json_is_mended_and_said(body: bytes) -> None:
    text, kinds = MENDED[body]
    mended = mend(body)
    assert (mended.text, [mark.kind.value for mark in mended.marks]) == (text, kinds)
    assert json.loads(text) == decode(text)


@pytest.mark.parametrize("body", WHOLE)
def test_what_is_json_is_the_very_same_bytes(body: bytes) -> None:
    found, mended = decoded(body, lambda text: text)
    assert found is body
    assert mended.text is body
    assert mend(body).text is body


@pytest.mark.parametrize("body", BROKEN)
def test_what_is_no_json_for_other_reasons_stays_none(body: bytes) -> None:
    with pytest.raises(NotJsonError):
        decoded(body, decode)


@pytest.mark.parametrize("levels", [1_500, 200_000])
@pytest.mark.parametrize("odd", [b"", b"NaN"])
def test_what_lies_too_deep_is_an_error_like_any_other(levels: int, odd: bytes) -> None:
    with pytest.raises(NotJsonError):
        decoded(b"[" * levels + odd + b"]" * levels, decode)


def test_a_mark_says_where_in_the_mended_text_it_is() -> None:
    mended = mend(b'\xef\xbb\xbf{"\xc3\xa9":NaN,"a":"\xff"}')
    assert mended.marks == (
        Mark(0, MendKind.BYTE_ORDER_MARK),
        Mark(5, MendKind.NOT_A_NUMBER),
        Mark(15, MendKind.INVALID_UTF8),
    )
    assert mended.text.decode()[5:9] == "null"


@given(any_bytes)
def test_what_can_be_decoded_in_the_end_is_json_for_every_reader(body: bytes) -> None:
    try:
        found, mended = decoded(body, decode)
    except NotJsonError:
        return
    assert mend(mended.text).text is mended.text
    json.loads(mended.text.decode(), parse_constant=pytest.fail)
    assert found == decode(mended.text)


@given(st.integers(0, 40_000), st.sampled_from(["a", "é", "€", "😀"]), st.sampled_from([b"", b"\xff", b"\xf0\x9f\x98"]))
def test_text_is_known_wherever_a_portion_of_it_ends(size: int, character: str, end: bytes) -> None:
    assert is_utf8(("x" * (size % 4) + character * size).encode() + end) is not bool(end)
