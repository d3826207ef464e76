"""Names of properties: which are unknown, and what was probably meant."""

from __future__ import annotations

import pytest

from worker.definitions.names import nearest, unknown_among
from worker.errors import UnknownPropertiesError

KNOWN = ["email", "firstname", "lastname", "lifecyclestage", "hs_lead_status", "hs_object_id"]


def test_known_names_and_the_star_are_not_unknown() -> None:
    assert unknown_among(["*", "email", "hs_object_id"], KNOWN) == ()


def test_unknown_names_are_told_once_in_the_order_asked_for() -> None:
    assert unknown_among(["b", "email", "a", "b"], KNOWN) == ("b", "a")


def test_a_name_in_another_case_is_another_name_since_hubspots_are_lower_case() -> None:
    assert unknown_among(["Email"], KNOWN) == ("Email",)
    assert nearest(["Email"], KNOWN) == {"Email": ("email",)}


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("emial", "email"),
        ("first_name", "firstname"),
        ("lifecycle_stage", "lifecyclestage"),
        ("LEAD_STATUS", "hs_lead_status"),
    ],
)
def test_the_nearest_name_is_the_one_that_was_probably_meant(name: str, first: str) -> None:
    assert nearest([name], KNOWN)[name][0] == first


def test_nothing_is_near_to_a_name_that_looks_like_none() -> None:
    assert nearest(["zzzzqqqq"], KNOWN) == {"zzzzqqqq": ()}


def test_many_unknown_names_are_all_told_but_not_all_compared() -> None:
    found = nearest([f"emai{n}" for n in range(2000)], KNOWN)

    assert len(found) == 2000
    assert found["emai0"] == ("email",)
    assert found["emai1999"] == ()


def test_the_error_names_the_field_the_names_and_the_nearest_ones() -> None:
    error = UnknownPropertiesError({"emial": ("email",), "zzz": ()}, of="contacts", field="history")

    assert error.message == "history: HubSpot does not define for contacts: emial (nearest: email), zzz"
    assert error.code == "unknown_properties"


def test_an_error_about_many_names_stays_short() -> None:
    message = UnknownPropertiesError({f"p{n}": () for n in range(2000)}, of="deals").message

    assert message.endswith(", p9 and 1990 more")
