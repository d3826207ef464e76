"""Searches as tests ask and read them."""

import json
from collections.abc import Callable
from typing import Any

from sandbox.fake_hubspot.messages import Answer

Search = Callable[..., Answer]
"""Takes the type, the account's `hub_id`, and the fields of the body."""


def read(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    return dict(json.loads(answer.body))


def ids(answer: Answer) -> list[int]:
    return [int(each["id"]) for each in read(answer)["results"]]


def one(name: str, operator: str, *values: str | int, **more: object) -> dict[str, Any]:
    """Return a search of up to 200 records with one filter."""
    several = operator in {"IN", "NOT_IN"}
    operands = {"values": values} if several else dict(zip(("value", "highValue"), values, strict=False))
    filter_ = {"propertyName": name, "operator": operator, **operands}
    return {"limit": 200, "filterGroups": [{"filters": [filter_]}], **more}
