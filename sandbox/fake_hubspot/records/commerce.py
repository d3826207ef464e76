"""Tickets, leads, products, line items and quotes, which the dated API alone has."""

from sandbox.fake_hubspot.records import words
from sandbox.fake_hubspot.records.shape import RecordType

_OBJECT = {"createdate": "{{created}}", "hs_lastmodifieddate": "{{modified}}", "hs_object_id": "{{id}}"}
_ALWAYS = tuple(_OBJECT)


def _owner(variant: int) -> dict[str, str]:
    return {"hubspot_owner_id": str(1000 + variant)} if variant % 5 else {}


def _ticket(variant: int) -> dict[str, str]:
    return {
        "subject": f"{words.pick(words.SENTENCES, variant, salt=41)} · {{{{id}}}}",
        "content": words.html(variant, size=80 + variant * 5),
        "hs_pipeline": "0",
        "hs_pipeline_stage": words.pick(("1", "2", "3", "4"), variant, salt=42),
        "hs_ticket_priority": words.pick(("LOW", "MEDIUM", "HIGH"), variant, salt=43),
        "closed_date": "{{modified}}",
        **_owner(variant),
        **_OBJECT,
    }


def _lead(variant: int) -> dict[str, str]:
    return {
        "hs_lead_name": f"{words.pick(words.COMPANIES, variant, salt=44)} · {{{{id}}}}",
        "hs_lead_label": words.pick(("HOT", "WARM", "COLD"), variant, salt=45),
        "hs_lead_type": words.pick(("NEW_BUSINESS", "RE_ATTEMPTING"), variant, salt=46),
        "hs_pipeline": "lead-pipeline-id",
        "hs_pipeline_stage": words.pick(("new-stage-id", "attempting-stage-id"), variant, salt=47),
        "hs_createdate": "{{created}}",
        **_owner(variant),
        **{name: value for name, value in _OBJECT.items() if name != "createdate"},
    }


def _product(variant: int) -> dict[str, str]:
    return {
        "name": words.pick(words.COMPANIES, variant, salt=48),
        "description": words.pick(words.SENTENCES, variant, salt=49),
        "price": f"{words.digits(variant, salt=50, length=4)}.50",
        "hs_sku": "SKU-{{id}}",
        "hs_cost_of_goods_sold": words.digits(variant, salt=51, length=3),
        **_OBJECT,
    }


def _line_item(variant: int) -> dict[str, str]:
    return {
        "name": words.pick(words.COMPANIES, variant, salt=48),
        "quantity": str(1 + variant % 9),
        "price": f"{words.digits(variant, salt=50, length=4)}.50",
        "amount": words.digits(variant, salt=52, length=5),
        "hs_sku": "SKU-{{id}}",
        **_OBJECT,
    }


def _quote(variant: int) -> dict[str, str]:
    return {
        "hs_title": f"{words.pick(words.COMPANIES, variant, salt=53)} · {{{{id}}}}",
        "hs_expiration_date": "{{modified}}",
        "hs_status": words.pick(("DRAFT", "APPROVAL_NOT_NEEDED", "APPROVED"), variant, salt=54),
        "hs_quote_amount": words.digits(variant, salt=55, length=5),
        "hs_createdate": "{{created}}",
        **_owner(variant),
        **{name: value for name, value in _OBJECT.items() if name != "createdate"},
    }


TICKETS = RecordType(
    name="tickets",
    properties=_ticket,
    links=lambda variant: (*(("contacts",) if variant % 3 else ()), *(("companies",) if variant % 4 else ())),
    scopes=("tickets",),
    singular="ticket",
    dated_number="0-5",
    dated_defaults=(
        *("content", *_ALWAYS, "hs_pipeline", "hs_pipeline_stage", "hs_ticket_priority"),
        "subject",
    ),
)
LEADS = RecordType(
    name="leads",
    properties=_lead,
    links=lambda _: ("contacts",),
    scopes=("crm.objects.leads.read",),
    singular="lead",
    dated_number="0-136",
    dated_defaults=("hs_createdate", "hs_lastmodifieddate", "hs_object_id"),
    created_property="hs_createdate",
)
PRODUCTS = RecordType(
    name="products",
    properties=_product,
    links=lambda _: (),
    scopes=("crm.objects.products.read", "e-commerce"),
    singular="product",
    dated_number="0-7",
    dated_defaults=("createdate", "description", "hs_lastmodifieddate", "hs_object_id", "name", "price"),
)
LINE_ITEMS = RecordType(
    name="line_items",
    properties=_line_item,
    links=lambda variant: ("deals", *(("quotes",) if variant % 3 == 0 else ())),
    scopes=("crm.objects.line_items.read", "e-commerce"),
    singular="line_item",
    dated_number="0-8",
    dated_defaults=("amount", "createdate", "hs_lastmodifieddate", "hs_object_id", "quantity"),
)
QUOTES = RecordType(
    name="quotes",
    properties=_quote,
    links=lambda variant: ("deals", *(("contacts",) if variant % 2 else ())),
    scopes=("crm.objects.quotes.read", "e-commerce"),
    singular="quote",
    dated_number="0-14",
    dated_defaults=("hs_createdate", "hs_lastmodifieddate", "hs_object_id"),
    created_property="hs_createdate",
)
