"""Selection: what a job keeps of HubSpot's definitions, how it is stored, and how little space it takes."""

from __future__ import annotations

import pytest

from worker.definitions.definition import Option, PropertyDefinition
from worker.jobs.mongo.selections import selection_from_document, selection_to_document
from worker.jobs.selection import Selection

LONG = "hs_a_property_of_an_ordinary_length_"


def definition(name: str, type_: str, field_type: str = "text") -> PropertyDefinition:
    return PropertyDefinition(name=name, type=type_, field_type=field_type, options=(Option(value="x", label="y"),))


def test_each_property_keeps_its_type_and_that_of_its_field() -> None:
    selection = Selection.of(
        [definition("amount", "number", "calculation_equation"), definition("email", "string")],
        is_all=True,
        missing=("gone",),
    )

    assert list(selection.typed()) == [("amount", "number", "calculation_equation"), ("email", "string", "text")]
    assert (selection.properties, selection.missing) == (("amount", "email"), ("gone",))


def test_times_are_what_hubspot_defines_as_dates_and_instants() -> None:
    types = {"a": "date", "b": "datetime", "c": "string", "d": "number", "e": "", "f": "date_like"}

    selection = Selection.of([definition(name, type_) for name, type_ in types.items()], is_all=False)

    assert selection.time_properties == {"a", "b"}


def test_two_thousand_properties_are_stored_in_little_space_and_read_back() -> None:
    kinds = ["string", "number", "datetime", "enumeration"]
    selection = Selection.of(
        [definition(f"{LONG}{n}", kinds[n % 4], "calculation_equation") for n in range(2000)], is_all=True
    )

    packed = selection_to_document(selection)

    assert len(packed) < 20_000
    assert selection_from_document(packed) == selection


@pytest.mark.parametrize("packed", [b"", b"x" * 100, selection_to_document(Selection(properties=()))[:-3]])
def test_what_is_no_selection_is_one_kind_of_error(packed: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text is the library's
        selection_from_document(packed)
