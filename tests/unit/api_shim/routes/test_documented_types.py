"""The OpenAPI document with all types enabled: it differs from the documented one where types are enumerated alone."""

from __future__ import annotations

import json
from typing import Any

from api_shim.commands.differences import ABSENT, differences
from tests.unit.api_shim.conftest import new_parts, serving
from tests.unit.api_shim.shim import BASE_PATH
from worker.records.enabled_types import EnabledTypes

TYPES = ["contacts", "companies", "deals", "notes"]
ENUMERATIONS = (TYPES, [*TYPES, "sync"], ABSENT)
REFUSAL = "Given type is not supported. supported types are companies, contacts, deals, notes"
TEXTS = {"info.description", f"paths.{BASE_PATH}/export/{{type}}.get.description"}


def document(types: str) -> Any:  # noqa: ANN401 - JSON
    with serving(new_parts(), export_types=EnabledTypes.parse(types)) as shim:
        return json.loads(json.dumps(shim.app.openapi()))


def test_with_all_types_the_document_differs_in_what_enumerates_them_alone() -> None:
    found = list(differences(document(",".join(TYPES)), document("*")))

    assert {each.path for each in found} >= TEXTS
    for each in found:
        is_enumeration = each.path.endswith((".enum", ".examples")) and each.one in ENUMERATIONS
        assert is_enumeration or each.path in TEXTS or each.one == REFUSAL, each
