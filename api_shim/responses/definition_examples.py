"""Examples of answers that are HubSpot's definitions, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from api_shim.responses.definitions import OwnersAnswer, PipelinesAnswer, PropertiesAnswer, TypesAnswer
from worker.records.registry import OBJECT_TYPES

_CONTACTS, *_ = OBJECT_TYPES.values()

DEFINITION_EXAMPLES: Mapping[type[BaseModel], dict[str, Any]] = {
    TypesAnswer: {
        "success": True,
        "message": "Types found",
        "data": {
            "types": [
                {
                    "name": _CONTACTS.name,
                    "object_type_id": _CONTACTS.type_id,
                    "labels": {"singular": "Contact", "plural": "Contacts"},
                    "custom": False,
                    "enabled": True,
                    "missing_scopes": [],
                },
                {
                    "name": "p62515_cars",
                    "object_type_id": "2-3465404",
                    "labels": {"singular": "Car", "plural": "Cars"},
                    "custom": True,
                    "enabled": False,
                    "missing_scopes": ["crm.objects.custom.read"],
                },
            ],
            "custom_objects": {"listed": True, "reason": None},
        },
    },
    PropertiesAnswer: {
        "success": True,
        "message": "Properties found",
        "data": [
            {
                "name": "lifecyclestage",
                "label": "Lifecycle stage",
                "type": "enumeration",
                "field_type": "radio",
                "group": "contactinformation",
                "description": "How far someone has come",
                "options": [{"value": "lead", "label": "Lead", "hidden": False}],
                "calculated": False,
                "hidden": False,
                "hubspot_defined": True,
                "sensitivity": "non_sensitive",
                "kinds": [],
            }
        ],
    },
    PipelinesAnswer: {
        "success": True,
        "message": "Pipelines found",
        "data": [
            {
                "id": "default",
                "label": "Sales Pipeline",
                "order": 0,
                "archived": False,
                "stages": [
                    {
                        "id": "closedwon",
                        "label": "Closed won",
                        "order": 5,
                        "archived": False,
                        "metadata": {"isClosed": "true", "probability": "1.0"},
                    }
                ],
            }
        ],
    },
    OwnersAnswer: {
        "success": True,
        "message": "Owners found",
        "data": [
            {
                "id": "41629779",
                "email": "ada@example.com",
                "first_name": "Ada",
                "last_name": "Lovelace",
                "user_id": 9586504,
                "type": "PERSON",
                "archived": False,
                "teams": [{"id": "178588", "name": "Engines", "primary": True}],
            }
        ],
    },
}
