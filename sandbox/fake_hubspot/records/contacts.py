"""Contacts: thirty properties and the JSON of the contacts API, version 1."""

from sandbox.fake_hubspot.records import words
from sandbox.fake_hubspot.records.history import Version, versions
from sandbox.fake_hubspot.records.shape import Properties, RecordType, Shape, chosen, is_merged

_UNASKED = ("firstname", "lastname", "company", "lastmodifieddate")
_ODD_NAMES = ("custom.field", "$price")


def _properties(variant: int) -> dict[str, str]:
    first = words.pick(words.FIRST_NAMES, variant, salt=1)
    last = words.pick(words.LAST_NAMES, variant, salt=2)
    odd = {"custom.field": "a.b.c", "$price": "12.50 €"} if variant % 8 == 0 else {}
    return {
        "firstname": first,
        "lastname": last,
        "email": _email(variant),
        "company": words.pick(words.COMPANIES, variant, salt=3),
        "lastmodifieddate": "{{modified}}",
        "createdate": "{{created}}",
        "hs_object_id": "{{id}}",
        "hs_all_contact_vids": "{{id}}",
        **_work(variant),
        **_address(variant),
        "salutation": words.pick(("Ms", "Mr", "Dr.", "Prof."), variant, salt=4),
        "date_of_birth": f"19{60 + variant % 40}-0{1 + variant % 9}-1{variant % 9}",
        "message": words.pick(words.SENTENCES, variant, salt=5),
        "hs_language": words.pick(("en", "de", "ja", "ar", "pt-br"), variant, salt=6),
        "lifecyclestage": words.pick(("lead", "customer", "subscriber", "opportunity"), variant, salt=7),
        "hs_lead_status": words.pick(("NEW", "OPEN", "IN_PROGRESS", "UNQUALIFIED"), variant, salt=8),
        "hubspot_owner_id": words.digits(variant, salt=9, length=8),
        "hs_analytics_source": words.pick(("ORGANIC_SEARCH", "DIRECT_TRAFFIC", "OFFLINE"), variant, salt=10),
        "hs_analytics_num_visits": str(variant % 50),
        "num_associated_deals": str(variant % 4),
        "notes_last_contacted": "{{modified}}",
        "hs_email_optout": "true" if variant % 9 == 0 else "false",
        **odd,
    }


def _work(variant: int) -> dict[str, str]:
    return {
        "jobtitle": words.pick(words.JOB_TITLES, variant, salt=11),
        "industry": words.pick(words.INDUSTRIES, variant, salt=12),
        "phone": f"+49 30 {words.digits(variant, salt=13, length=7)}",
        "mobilephone": f"+353 87 {words.digits(variant, salt=14, length=7)}",
        "website": f"https://example{variant}.test/über-uns",
        "linkedinbio": f"https://www.linkedin.test/in/person-{variant}",
    }


def _address(variant: int) -> dict[str, str]:
    return {
        "address": f"Hauptstraße {variant + 1}, 2. Stock",
        "city": words.pick(words.CITIES, variant, salt=15),
        "zip": words.digits(variant, salt=16, length=5),
        "country": words.pick(words.COUNTRIES, variant, salt=15),
    }


def _email(variant: int) -> str:
    return f"person{variant}.{{{{id}}}}@example.test"


def _legacy(variant: int, shape: Shape, properties: Properties) -> dict[str, object]:
    # Without requested properties HubSpot shows a few standard ones; some records here also show the odd names.
    shown = chosen(properties, shape, unasked=(*_UNASKED, *_ODD_NAMES))
    return {
        "addedAt": "{{#created}}",
        "vid": "{{#id}}",
        "canonical-vid": "{{#id}}",
        "merged-vids": ["{{#merged}}"] if shape.merged and is_merged(variant) else [],
        "portal-id": "{{#hub}}",
        "is-contact": True,
        "profile-token": "AO_T-{{id}}",
        "profile-url": "https://app.hubspot.com/contacts/{{hub}}/contact/{{id}}",
        "properties": {name: _value(name, value, shape) for name, value in shown.items()},
        "form-submissions": _forms(variant, shape),
        "identity-profiles": [_identity(variant)],
        "merge-audits": [],
    }


def _value(name: str, value: str, shape: Shape) -> dict[str, object]:
    if not shape.wants_history(name):
        return {"value": value}
    return {"value": value, "versions": [_version(each) for each in versions(value, shape)]}


def _version(version: Version) -> dict[str, object]:
    return {
        "value": version.value,
        "source-type": version.source,
        "source-id": version.source_id,
        "source-label": version.label,
        "selected": False,
        "timestamp": version.at_ms,
    }


def merged_properties(variant: int) -> Properties:
    """Return the property that names the contact's own id, then the merged ones."""
    return {"hs_all_contact_vids": "{{id}};{{merged}}"} if is_merged(variant) else {}


def _forms(variant: int, shape: Shape) -> list[dict[str, object]]:
    submitted = {"none": 0, "all": 2}.get(shape.forms, 1) if variant % 3 == 0 else 0
    form = {"portal-id": "{{#hub}}", "timestamp": "{{#created}}", "meta-data": []}
    titles = ("Contact us", "Newsletter, größer")[:submitted]
    return [{"conversion-id": f"00000000-0000-4000-8000-{n:012d}", "title": t, **form} for n, t in enumerate(titles)]


def _identity(variant: int) -> dict[str, object]:
    email = {"type": "EMAIL", "value": _email(variant), "timestamp": "{{#created}}", "is-primary": True}
    guid = {"type": "LEAD_GUID", "value": "8b1c9d4e-0000-4000-8000-{{id}}", "timestamp": "{{#created}}"}
    return {
        "vid": "{{#id}}",
        "saved-at-timestamp": "{{#created}}",
        "deleted-changed-timestamp": 0,
        "identities": [email, guid],
    }


CONTACTS = RecordType(
    name="contacts",
    properties=_properties,
    legacy=_legacy,
    links=lambda variant: ("companies",) if variant % 4 else (),
    scopes=("crm.objects.contacts.read",),
    singular="contact",
    dated_number="0-1",
    dated_defaults=("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"),
    modified_property="lastmodifieddate",
    merged_properties=merged_properties,
)
