"""Custom objects: types that an account defines itself."""

from functools import cache

from sandbox.fake_hubspot.records import words
from sandbox.fake_hubspot.records.shape import RecordType

SCOPE = "crm.objects.custom.read"
_FIRST_NUMBER = 1001


def qualified_name(hub_id: int, name: str) -> str:
    """Return a type's `fullyQualifiedName`."""
    return f"p{hub_id}_{name}"


@cache
def custom_object(hub_id: int, name: str, position: int) -> RecordType:
    """Return the type that is the account's custom object at this position, counted from 0: its number is 2-1001."""
    return RecordType(
        name=name,
        properties=_properties,
        links=_links,
        scopes=(SCOPE,),
        singular=name,
        dated_number=f"2-{_FIRST_NUMBER + position}",
        dated_defaults=("hs_createdate", "hs_lastmodifieddate", "hs_object_id"),
        created_property="hs_createdate",
        other_names=(qualified_name(hub_id, name), f"p_{name}"),
    )


def _properties(variant: int) -> dict[str, str]:
    return {
        "name": f"{words.pick(words.COMPANIES, variant, salt=61)} · {{{{id}}}}",
        "year": str(1990 + variant % 36),
        "colour": words.pick(("red", "green", "blue"), variant, salt=62),
        "notes": words.pick(words.SENTENCES, variant, salt=63),
        "bought_at": "{{created}}",
        "hs_createdate": "{{created}}",
        "hs_lastmodifieddate": "{{modified}}",
        "hs_object_id": "{{id}}",
    }


def _links(variant: int) -> tuple[str, ...]:
    return ("contacts", *(("companies",) if variant % 3 else ()))
