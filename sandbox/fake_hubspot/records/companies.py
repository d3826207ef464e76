"""Companies: properties and the JSON of the companies API, version 2."""

from sandbox.fake_hubspot.records import words
from sandbox.fake_hubspot.records.shape import RecordType, Shape, chosen


def _properties(variant: int) -> dict[str, str]:
    odd = {"custom.field": "x.y", "$price": "1,000.00"} if variant % 8 == 0 else {}
    return {
        "name": words.pick(words.COMPANIES, variant, salt=21),
        "domain": "company{{id}}.test",
        "website": "company{{id}}.test",
        "createdate": "{{created}}",
        "hs_lastmodifieddate": "{{modified}}",
        "hs_object_id": "{{id}}",
        "description": words.pick(words.SENTENCES, variant, salt=22),
        "city": words.pick(words.CITIES, variant, salt=23),
        "country": words.pick(words.COUNTRIES, variant, salt=23),
        "industry": words.pick(words.INDUSTRIES, variant, salt=24),
        "numberofemployees": str(1 + variant * 7),
        "annualrevenue": words.digits(variant, salt=25, length=7),
        "phone": f"+41 44 {words.digits(variant, salt=26, length=7)}",
        "lifecyclestage": words.pick(("lead", "customer"), variant, salt=27),
        **odd,
    }


def _legacy(variant: int, shape: Shape) -> dict[str, object]:
    shown = chosen(_properties(variant), shape)
    return {
        "portalId": "{{#hub}}",
        "companyId": "{{#id}}",
        "isDeleted": False,
        "properties": {name: sourced_value(name, value, shape) for name, value in shown.items()},
        **({} if shape.of_feed else {"additionalDomains": [], "stateChanges": [], "mergeAudits": []}),
    }


def sourced_value(name: str, value: str, shape: Shape) -> dict[str, object]:
    """Return a property as companies and deals show it: with its source, and earlier values on request."""
    current = {"name": name, "value": value, "timestamp": "{{#modified}}", "source": "API", "sourceVid": []}
    former = {**current, "value": "", "timestamp": "{{#created}}"}
    return {
        "value": value,
        "timestamp": "{{#modified}}",
        "source": "API",
        "sourceId": None,
        "versions": [current, former] if shape.wants_history(name) else [current],
    }


COMPANIES = RecordType(
    name="companies",
    properties=_properties,
    legacy=_legacy,
    links=lambda _: (),
    scopes=("crm.objects.companies.read",),
    dated_singular="company",
    dated_number="0-2",
    dated_defaults=("createdate", "domain", "hs_lastmodifieddate", "hs_object_id", "name"),
)
