"""What a property is: its type by its name, as HubSpot defines it, and everything else that HubSpot tells of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sandbox.fake_hubspot.records.more_properties import more_property_type

_CREATED_AT = "2019-08-06T02:41:08.029Z"
_USER = "7"
_INSTANTS = frozenset({"{{created}}", "{{modified}}"})
_FIELD_TYPES = {
    "string": "text",
    "number": "number",
    "date": "date",
    "datetime": "date",
    "bool": "booleancheckbox",
    "enumeration": "select",
    "phone_number": "phonenumber",
}
_NUMBERS = (
    *("hs_object_id", "hs_created_by_user_id", "hs_updated_by_user_id", "amount", "numberofemployees"),
    *("annualrevenue", "num_associated_deals", "hs_analytics_num_visits", "hs_call_duration", "price", "quantity"),
    *("hs_quote_amount", "hs_cost_of_goods_sold", "hs_lead_associated_contact_count", "discount", "year", "mileage"),
)
_DATETIMES = (
    *("createdate", "lastmodifieddate", "hs_createdate", "hs_lastmodifieddate", "closedate", "closed_date"),
    *("notes_last_contacted", "hs_timestamp", "hs_meeting_start_time", "hs_meeting_end_time"),
    *("hs_task_completion_date", "hs_expiration_date", "hs_communication_logged_at"),
)
_BOOLS = ("hs_email_optout", "hs_body_preview_is_truncated", "hs_quote_esign_enabled", "hs_is_contact")
_ENUMERATIONS = (
    *("lifecyclestage", "hs_lead_status", "hs_language", "hs_analytics_source", "dealstage", "pipeline", "dealtype"),
    *("hs_pipeline", "hs_pipeline_stage", "hs_ticket_priority", "hs_ticket_category", "hs_status", "hs_lead_type"),
    *("hs_lead_label", "hs_call_status", "hs_call_direction", "hs_call_disposition", "hs_email_status"),
    *("hs_email_direction", "hs_meeting_outcome", "hs_task_status", "hs_task_priority", "hs_task_type"),
    *("hs_task_for_object_type", "hs_engagement_source", "hs_communication_channel_type", "source_type"),
    *("hs_product_type", "recurringbillingfrequency", "hs_quote_language", "colour"),
)
_LISTS = (
    *("hs_attachment_ids", "hs_queue_membership_ids", "hs_all_accessible_team_ids", "hs_additional_domains"),
    *("hs_merged_object_ids", "hs_all_contact_vids"),
)
"""Several values in one text, separated by semicolons."""
_TYPES = {
    **dict.fromkeys(_NUMBERS, "number"),
    **dict.fromkeys(_DATETIMES, "datetime"),
    **dict.fromkeys(_BOOLS, "bool"),
    **dict.fromkeys((*_ENUMERATIONS, *_LISTS, "hubspot_owner_id"), "enumeration"),
}
_TYPES_OF = {"companies": {"industry": "enumeration"}}
"""Where a name means something else in one type: the industry of a contact is text."""
_PHONES = ("phone", "mobilephone", "fax", "hs_call_to_number", "hs_call_from_number")
_HTML = ("hs_note_body", "hs_call_body", "hs_meeting_body", "hs_task_body", "hs_email_html", "hs_body_preview_html")
_AREAS = ("description", "message", "content", "hs_email_text", "hs_email_headers", "hs_internal_meeting_notes")
_FIELDS = {
    **dict.fromkeys(_PHONES, "phonenumber"),
    **dict.fromkeys(_HTML, "html"),
    **dict.fromkeys(_AREAS, "textarea"),
    **dict.fromkeys(_LISTS, "checkbox"),
}
_CALCULATED = (
    *("num_associated_deals", "notes_last_contacted", "hs_all_accessible_team_ids", "hs_is_contact"),
    *("hs_body_preview", "hs_body_preview_html", "hs_body_preview_is_truncated", "hs_lead_associated_contact_count"),
)
"""HubSpot changes them without a modification of their record."""
_READ_ONLY = (
    *("hs_object_id", "createdate", "lastmodifieddate", "hs_createdate", "hs_lastmodifieddate"),
    *("hs_created_by_user_id", "hs_updated_by_user_id", "hs_merged_object_ids", "hs_all_contact_vids"),
)
_AMOUNTS = ("amount", "price", "hs_quote_amount", "hs_cost_of_goods_sold")
_CUSTOM = ("custom.field", "$price")
_UNIQUE = ("hs_object_id", "email")
_GROUPS = {
    "contacts": "contactinformation",
    "companies": "companyinformation",
    "deals": "dealinformation",
    "tickets": "ticketinformation",
    "products": "productinformation",
    "line_items": "lineiteminformation",
    "quotes": "quotesinformation",
    "leads": "lead_information",
    **dict.fromkeys(("notes", "calls", "emails", "meetings", "tasks", "communications"), "engagement"),
}


@dataclass(frozen=True)
class Definition:
    """A property of a type; `values` are those that its records have, for the options of an enumeration."""

    object_type: str
    name: str
    values: Sequence[str] = ()
    made_by_user: bool = False
    """Whether the account's users made it, as everything of custom objects."""
    sensitivity: str = "non_sensitive"
    archived: bool = False

    @property
    def type(self) -> str:
        usual = "datetime" if _INSTANTS.intersection(self.values) else "string"
        known = _TYPES_OF.get(self.object_type, {}).get(self.name) or _TYPES.get(self.name, usual)
        return more_property_type(self.name) or known

    @property
    def is_hubspots(self) -> bool:
        return not self.made_by_user and self.name not in _CUSTOM

    def view(self) -> dict[str, object]:
        """Return the definition as HubSpot shows it, fields in the order of its documentation."""
        referenced = {"referencedObjectType": "OWNER"} if self.name == "hubspot_owner_id" else {}
        read_only = self.name in _READ_ONLY or self.name in _CALCULATED
        return {
            "updatedAt": _CREATED_AT,
            "createdAt": _CREATED_AT,
            "name": self.name,
            "label": _label(self.name),
            "type": self.type,
            "fieldType": _FIELDS.get(self.name) or _FIELD_TYPES[self.type],
            "description": "",
            "groupName": _GROUPS.get(self.object_type, f"{self.object_type}_information"),
            "options": [*_options(self.type, () if referenced else self.values)],
            **({} if self.is_hubspots else {"createdUserId": _USER, "updatedUserId": _USER}),
            **referenced,
            "displayOrder": -1,
            "calculated": self.name in _CALCULATED,
            "externalOptions": bool(referenced),
            "archived": self.archived,
            "hasUniqueValue": self.name in _UNIQUE,
            "hidden": self.name == "hs_body_preview_html",
            "hubspotDefined": self.is_hubspots,
            "showCurrencySymbol": self.name in _AMOUNTS,
            "modificationMetadata": {
                "archivable": not self.is_hubspots,
                "readOnlyDefinition": self.is_hubspots,
                "readOnlyValue": read_only,
                **({"readOnlyOptions": False} if self.type == "enumeration" else {}),
            },
            "formField": not read_only and self.object_type in {"contacts", "companies", "tickets"},
            "dataSensitivity": self.sensitivity,
        }


def _label(name: str) -> str:
    return name.removeprefix("hs_").replace("_", " ").strip().capitalize() or name


def _options(type_: str, values: Iterable[str]) -> Iterable[dict[str, object]]:
    if type_ == "bool":
        labels = {"true": "True", "false": "False"}
    elif type_ == "enumeration":
        each = sorted({part for value in values for part in value.split(";") if part and "{{" not in part})
        labels = {value: _label(value.lower()) for value in each}
    else:
        labels = {}
    return (
        {"label": label, "value": value, "displayOrder": order, "hidden": False}
        for order, (value, label) in enumerate(labels.items())
    )
