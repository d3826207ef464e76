"""HubSpot's two APIs give the same records of one account, but for what the README's table names."""

from __future__ import annotations

import pytest

from tests.both_apis import REASONS, differences_found, table, written_table


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], str]:
    return dict(differences_found())


def test_every_difference_has_its_reason_and_no_reason_is_out_of_date(found: dict[tuple[str, str], str]) -> None:
    assert found.keys() == REASONS.keys()


def test_the_readme_names_them_all() -> None:
    assert written_table() == table()
