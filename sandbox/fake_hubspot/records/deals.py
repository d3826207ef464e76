"""Deals: properties and the JSON of the deals API, version 1."""

from dataclasses import replace

from sandbox.fake_hubspot.records import words
from sandbox.fake_hubspot.records.companies import sourced_value
from sandbox.fake_hubspot.records.shape import Properties, RecordType, Shape, chosen, links_to


def _properties(variant: int) -> dict[str, str]:
    odd = {"custom.field": "1.2", "$price": "99"} if variant % 8 == 0 else {}
    return {
        "dealname": f"{words.pick(words.COMPANIES, variant, salt=31)} · {{{{id}}}}",
        "amount": words.digits(variant, salt=32, length=5),
        "dealstage": words.pick(words.STAGES, variant, salt=33),
        "pipeline": "default",
        "closedate": "{{modified}}",
        "createdate": "{{created}}",
        "hs_lastmodifieddate": "{{modified}}",
        "hs_object_id": "{{id}}",
        "dealtype": words.pick(("newbusiness", "existingbusiness"), variant, salt=34),
        "description": words.pick(words.SENTENCES, variant, salt=35),
        "hubspot_owner_id": words.digits(variant, salt=36, length=8),
        **odd,
    }


def _links(variant: int) -> tuple[str, ...]:
    return (
        *(("contacts",) if variant % 3 else ()),
        *(("companies",) if variant % 4 else ()),
        *(("tickets",) if variant % 5 == 0 else ()),
        *(("line_items",) if variant % 2 else ()),
    )


def _legacy(variant: int, shape: Shape, properties: Properties) -> dict[str, object]:
    shown = chosen(properties, shape)
    links = _links(variant)
    shape = shape if shape.associations else replace(shape, linkable=(), many=())
    return {
        "portalId": "{{#hub}}",
        "dealId": "{{#id}}",
        "isDeleted": False,
        "associations": {
            "associatedVids": links_to(links, shape, "contacts"),
            "associatedCompanyIds": links_to(links, shape, "companies"),
            "associatedDealIds": links_to(links, shape, "deals"),
            "associatedTicketIds": links_to(links, shape, "tickets"),
        },
        "properties": {name: sourced_value(name, value, shape) for name, value in shown.items()},
        **({} if shape.of_feed else {"imports": [], "stateChanges": []}),
    }


DEALS = RecordType(
    name="deals",
    properties=_properties,
    legacy=_legacy,
    links=_links,
    scopes=("crm.objects.deals.read",),
    singular="deal",
    dated_number="0-3",
    dated_defaults=(
        *("amount", "closedate", "createdate", "dealname", "dealstage"),
        *("hs_lastmodifieddate", "hs_object_id", "pipeline"),
    ),
)
