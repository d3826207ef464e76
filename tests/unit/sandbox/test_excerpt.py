"""A shortened JSON document says what it leaves out."""

from __future__ import annotations

import json

from sandbox.commands.excerpt import excerpt


def test_a_list_keeps_its_first_entry_and_counts_the_rest() -> None:
    assert json.loads(excerpt({"contacts": [1, 2, 3]})) == {"contacts": [1, "… 2 more, not shown"]}


def test_an_object_keeps_its_first_fields_and_counts_the_rest() -> None:
    shown = json.loads(excerpt({str(number): number for number in range(15)}))

    assert list(shown) == [*map(str, range(12)), "…"]
    assert shown["…"] == "3 more fields, not shown"


def test_a_long_text_keeps_its_beginning_and_counts_the_rest() -> None:
    assert json.loads(excerpt("x" * 100)) == f"{'x' * 60}… 40 more characters, not shown"


def test_what_is_short_stays_as_it_is() -> None:
    page = {"success": True, "data": {"contacts": [{"vid": 1}]}, "pagination": {"hasMore": None}}

    assert json.loads(excerpt(page)) == page
