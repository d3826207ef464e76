"""CSV cells: text that no spreadsheet executes, and timestamps in ISO 8601."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache

from api_shim.downloads.fields import joined
from worker.records.registry import OBJECT_TYPES
from worker.records.types import DOCUMENTED_TYPES

_SIGNS = "-=+@\0\uff1d\uff0b\uff20\uff0d"  # the last four in full width, which some spreadsheets accept as well
_STARTS_OF_FORMULAS = frozenset("\t\r\n" + _SIGNS)
_NEGATIVE = r"-[0-9][0-9.,]*(?:[eE][+-]?[0-9]+)?"
_IS_NEGATIVE = re.compile(_NEGATIVE).fullmatch
_find_separator = re.compile(r'[",;\t\r\n]').search
_MOST_CHARACTERS = (
    100  # a cell, on average: long texts are rarely plain, so checking all of the column at once would be wasted
)
_QUOTED = '",\r\n'
# Where a spreadsheet splits at semicolons or tabs, quotes inside a line are text: there each separator, and each line
# break, starts a cell.
_FORMULA_INSIDE = re.compile(rf"([;\t\r\n][\"']*)(?!{_NEGATIVE}(?:[;\t\r\n]|\Z))(?=[{re.escape(_SIGNS)}])")
_find_cell_with_sign = re.compile(rf"\n[{re.escape(_SIGNS)}]").search
# A quick test for formulas inside a text: a pattern that starts with a literal character is many times as fast.
_find_sign_after = {each: re.compile(rf"{each}[\"']*[{re.escape(_SIGNS)}]").search for each in ";\t\r\n"}
_MILLISECONDS = re.compile(r"-?[0-9]{1,15}")
_ISO = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T.*)?")
_EPOCH = date(1970, 1, 1)
_DAY_MS, _MINUTE_MS = 86_400_000, 60_000
# All minutes, seconds and milliseconds as text: looking them up takes a third of the time of formatting.
_MINUTES = tuple(f"{minute // 60:02}:{minute % 60:02}:" for minute in range(24 * 60))
_SECONDS = tuple(f"{second:02}." for second in range(60))
_MILLISECOND = tuple(f"{millisecond:03}Z" for millisecond in range(1000))

_TIME_PATHS = frozenset[str]().union(*(OBJECT_TYPES[each].time_paths for each in DOCUMENTED_TYPES))
_IDS = re.compile(r"\[\s*[0-9]+(?:\s*,\s*[0-9]+)*\s*\]|\[\s*\]")
_ID = re.compile(r"[0-9]+")


def written_column(cells: Sequence[str]) -> Sequence[str]:
    """Return what `written` does for a whole column; if all its cells are plain, a few searches find that out."""
    joined = "\n" + "\n".join(cells)
    if len(joined) > _MOST_CHARACTERS * len(cells):
        return written(cells)
    if joined.count("\n") > len(cells) or ";" in joined or "\t" in joined or "\r" in joined:
        return written(cells)
    if _find_cell_with_sign(joined):
        cells = [f"'{cell}" if cell[:1] in _STARTS_OF_FORMULAS and not _IS_NEGATIVE(cell) else cell for cell in cells]
    if '"' in joined or "," in joined:
        cells = ['"' + cell.replace('"', '""') + '"' if '"' in cell or "," in cell else cell for cell in cells]
    return cells


def written(cells: Sequence[str]) -> list[str]:
    """Return cells as a CSV file has them: quoted as RFC 4180 requires, and none executes as a formula.

    An apostrophe precedes what a spreadsheet would take for a formula, also where it splits lines at `;` or tabs.
    Negative numbers get none. `+49…` gets one: as a number a telephone number would lose its plus, and as a sum
    (`+49-30-1`) it would be nonsense.
    """
    # Most cells are plain, and a function call for each would double the time.
    return [
        cell if _find_separator(cell) is None and cell[:1] not in _STARTS_OF_FORMULAS else _written(cell)
        for cell in cells
    ]


def _written(text: str) -> str:
    is_formula = text[:1] in _STARTS_OF_FORMULAS and not _IS_NEGATIVE(text)
    start, rest = (f"'{text[0]}", text[1:]) if is_formula else ("", text)
    found_inside = 0
    if any(separator in rest and find(rest) for separator, find in _find_sign_after.items()):
        rest, found_inside = _FORMULA_INSIDE.subn(r"\1'", rest)
    if not found_inside and not any(map(text.__contains__, _QUOTED)):
        return start + rest
    doubled = rest.replace('"', '""')  # `start` holds no quote
    return f'"{start}{doubled}"'


def is_time_path(path: str) -> bool:
    """Whether the field of that dotted path holds an instant."""
    return path in _TIME_PATHS


def iso_instant(text: str) -> str:
    """Return milliseconds as ISO 8601 in UTC; ISO 8601, as of the dated API, unchanged; "" for anything else."""
    if not _MILLISECONDS.fullmatch(text):
        return text if _ISO.fullmatch(text) else ""
    days, milliseconds = divmod(int(text), _DAY_MS)
    minutes, milliseconds = divmod(milliseconds, _MINUTE_MS)
    try:
        return f"{_date(days)}T{_MINUTES[minutes]}{_SECONDS[milliseconds // 1000]}{_MILLISECOND[milliseconds % 1000]}"
    except OverflowError:
        return ""


def joined_list(text: str) -> str:
    """Return the ids of a list in JSON as one cell holds them; anything else unchanged."""
    return joined(_ID.findall(text)) if _IDS.fullmatch(text) else text


@lru_cache(maxsize=4096)
def _date(days: int) -> str:
    return (_EPOCH + timedelta(days=days)).isoformat()
