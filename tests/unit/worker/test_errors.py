"""The tree of errors: every leaf has a code, and every table that decides by error knows every leaf."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api_shim.responses import errors as answers
from worker.errors import (
    CursorLostError,
    ErasureAskedError,
    ExportError,
    HubSpotError,
    LeaseLostError,
    NoPermitError,
    PermitExpiredError,
)


def tree(kind: type[ExportError]) -> Iterator[type[ExportError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from tree(below)


NEVER_ANSWERED = {
    ExportError,
    LeaseLostError,
    ErasureAskedError,
    CursorLostError,
    NoPermitError,
    PermitExpiredError,
    answers.JobFailedError,
}


@pytest.mark.parametrize("kind", sorted(set(tree(ExportError)), key=str))
def test_every_error_ends_in_error_and_has_a_code(kind: type[ExportError]) -> None:
    assert kind.__name__.endswith("Error")
    assert kind.code
    assert kind.__doc__


@pytest.mark.parametrize(
    "kind",
    sorted({k for k in tree(ExportError) if not issubclass(k, HubSpotError)} - NEVER_ANSWERED, key=str),
)
def test_every_error_a_route_can_meet_has_its_answer(kind: type[ExportError]) -> None:
    rows = set(answers._TABLE) - {ExportError}  # noqa: SLF001 - the table is what is proven; its last row is for bugs
    assert not rows.isdisjoint(kind.__mro__)
