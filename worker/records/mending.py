"""What was meant as JSON and is none, made JSON: only what no strict reader takes is changed, and all of it is noted.

HubSpot's texts are cut in the middle of an emoji, gateways write byte order marks and Latin-1, and many programs write
`NaN`. None of that is worth the rest of an answer.
"""

from __future__ import annotations

import re
from codecs import utf_8_decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import msgspec

T = TypeVar("T")

_AT_ONCE = 16 * 1024  # four times as fast as a page at once, which is widened for its one emoji
_BYTE_ORDER_MARK = "\ufeff"
_NULL = "null"
_UNKNOWN = "\ufffd"

# A text, or a number that is none. Possessive: a page without a closing quote is not tried again and again.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|(?<![\w-])-?(?:NaN|Infinity)(?!\w)', re.DOTALL)
_IN_TEXT = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<half_characters>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r'|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
    r"|(?P<invalid_escapes>\\)"
    r"|(?P<control_characters>[\x00-\x1f])"
    r"|(?P<invalid_utf8>[\udc80-\udcff])"  # as bytes that are no text are read here
)


class NotJsonError(ValueError):
    """Even mended, it is not the JSON that it should be."""


class MendKind(StrEnum):
    """What can be mended, as receipts name it."""

    BYTE_ORDER_MARK = "byte_order_mark"
    """Left out."""
    NOT_A_NUMBER = "not_a_number"
    """`NaN`, `Infinity` or `-Infinity`: `null` now."""
    CONTROL_CHARACTERS = "control_characters"
    """A line break or the like as it is in the middle of a text: escaped now."""
    HALF_CHARACTERS = "half_characters"
    """Half of a surrogate pair: U+FFFD now."""
    INVALID_ESCAPES = "invalid_escapes"
    """A backslash before what it does not go with: a backslash of the text now."""
    INVALID_UTF8 = "invalid_utf8"
    """A byte that is no text: U+FFFD now."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something was mended, in characters of the mended text."""

    place: int
    kind: MendKind


@dataclass(frozen=True, slots=True)
class Mended:
    """A text and what was mended in it; the very bytes that came where nothing had to be."""

    text: bytes
    marks: tuple[Mark, ...] = ()


def decoded(body: bytes, decode: Callable[[bytes], T]) -> tuple[T, Mended]:
    """Decode JSON, mended where it has to be, and return what was decoded. Raises NotJsonError."""
    try:
        if is_utf8(body):
            return decode(body), Mended(body)
    except msgspec.DecodeError:
        pass
    except RecursionError as error:
        raise NotJsonError("it is nested too deeply") from error
    mended = mend(body)
    try:
        return decode(mended.text), mended
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotJsonError(str(error)) from error


def is_utf8(body: bytes) -> bool:
    """Whether all of it is text, which decoders do not ask of what they skip."""
    if body.isascii():
        return True
    view, place, size = memoryview(body), 0, len(body)
    try:
        while place < size:
            end = place + _AT_ONCE
            place += utf_8_decode(view[place:end], "strict", end >= size)[1]
    except UnicodeDecodeError:
        return False
    return True


def mend(body: bytes) -> Mended:
    """Mend what can be; what is no JSON for other reasons stays none."""
    text = body.decode(errors="surrogateescape")
    parts, marks, size, done = [], [], 0, 0
    for start, end, instead, kind in _mends(text):
        size += start - done
        marks.append(Mark(size, kind))
        size += len(instead)
        parts += [text[done:start], instead]
        done = end
    if not marks:
        return Mended(body)
    return Mended("".join([*parts, text[done:]]).encode(errors="replace"), tuple(marks))


def _mends(text: str) -> Iterator[tuple[int, int, str, MendKind]]:
    """Yield, in order, from where to where a text is to be replaced, by what, and why."""
    if text.startswith(_BYTE_ORDER_MARK):
        yield 0, 1, "", MendKind.BYTE_ORDER_MARK
    for token in _TOKEN.finditer(text):
        start, end = token.span()
        if text[start] != '"':
            yield start, end, _NULL, MendKind.NOT_A_NUMBER
            continue
        for found in _IN_TEXT.finditer(text, start + 1, end - 1):
            if found.lastgroup is not None:
                kind = MendKind(found.lastgroup)
                yield found.start(), found.end(), _INSTEAD[kind](found[0]), kind


_INSTEAD: dict[MendKind, Callable[[str], str]] = {
    MendKind.HALF_CHARACTERS: lambda _: r"\ufffd",
    MendKind.INVALID_ESCAPES: lambda _: r"\\",
    MendKind.CONTROL_CHARACTERS: lambda character: f"\\u{ord(character):04x}",
    MendKind.INVALID_UTF8: lambda _: _UNKNOWN,
}
