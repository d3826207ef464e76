"""Plain values: one meaning in several spellings, and none where there could be two."""

from __future__ import annotations

import pytest

from worker.records.plain_values import plain_flag, plain_integer, plain_text


@pytest.mark.parametrize("value", [b"501", b'"501"', b"501.0", b'"501.00"', b"5.01e2", b"5010e-1"])
def test_an_integer_is_understood_however_it_is_written(value: bytes) -> None:
    assert plain_integer(value) == 501


WORDS = [b"null", b"true", b'"abc"', b'""', b'" 501"', b'"501', b"[501]", b"{}", b'"7; 9"', b'"\xd9\xa5"']
NUMBERS = [b"1.5", b"1e400", b"1e19", b"9223372036854775808", b"9" * 5000, b"1e99999999"]


@pytest.mark.parametrize("value", WORDS + NUMBERS)
def test_what_is_no_integer_of_64_bits_is_none(value: bytes) -> None:
    assert plain_integer(value) is None


def test_the_ends_of_64_bits_are_read_exactly() -> None:
    assert plain_integer(b"9223372036854775807.0") == 2**63 - 1
    assert plain_integer(b'"-9223372036854775808"') == -(2**63)


@pytest.mark.parametrize("value", [b"true", b'"true"', b'"True"', b'"TRUE"', b"1", b'"1"', b"1.0"])
def test_true_is_understood_however_it_is_written(value: bytes) -> None:
    assert plain_flag(value) is True


@pytest.mark.parametrize("value", [b"false", b'"false"', b'"False"', b"0", b'"0"', b"0.0"])
def test_false_is_understood_however_it_is_written(value: bytes) -> None:
    assert plain_flag(value) is False


@pytest.mark.parametrize("value", [b"null", b'"yes"', b'""', b"2", b"[]", b'" true"'])
def test_what_is_no_flag_is_none(value: bytes) -> None:
    assert plain_flag(value) is None


TEXTS = {
    b'"a\\u00e9"': b'"a\\u00e9"',
    b"5.10": b'"5.10"',
    b"true": b'"true"',
    b"9" * 30: b'"%b"' % (b"9" * 30),
    b"null": None,
    b"[1]": None,
    b"{}": None,
}


@pytest.mark.parametrize("value", TEXTS)
def test_a_text_is_what_was_written(value: bytes) -> None:
    assert plain_text(value) == TEXTS[value]
