"""Companies: properties and the JSON of the companies API, version 2."""

from sandbox.fake_hubspot.records import words
from sandbox.fake_hubspot.records.history import Version, versions
from sandbox.fake_hubspot.records.shape import Properties, RecordType, Shape, chosen, is_merged


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


def _legacy(variant: int, shape: Shape, properties: Properties) -> dict[str, object]:
    shown = chosen(properties, shape)
    domains = [*_more_domains(variant)] if shape.merged else []
    return {
        "portalId": "{{#hub}}",
        "companyId": "{{#id}}",
        "isDeleted": False,
        "properties": {name: sourced_value(name, value, shape) for name, value in shown.items()},
        **({} if shape.of_feed else {"additionalDomains": domains, "stateChanges": [], "mergeAudits": []}),
    }


def sourced_value(name: str, value: str, shape: Shape) -> dict[str, object]:
    """Return a property as companies and deals show it: with its source, and earlier values on request."""
    every = versions(value, shape)
    shown = every if shape.wants_history(name) else every[:1]
    return {
        "value": value,
        "timestamp": every[0].at_ms,
        "source": every[0].source,
        "sourceId": every[0].source_id,
        "versions": [_version(name, each) for each in shown],
    }


def _version(name: str, version: Version) -> dict[str, object]:
    source_id = {"sourceId": version.source_id} if version.source_id else {}
    return {
        "name": name,
        "value": version.value,
        "timestamp": version.at_ms,
        "source": version.source,
        **source_id,
        "sourceVid": [],
    }


def merged_properties(variant: int) -> Properties:
    """Return the properties that name the merged companies and the further domains."""
    domains = {"hs_additional_domains": ";".join(_more_domains(variant))} if _more_domains(variant) else {}
    return {**domains, **({"hs_merged_object_ids": "{{merged}}"} if is_merged(variant) else {})}


def _more_domains(variant: int) -> tuple[str, ...]:
    return tuple(f"company{{{{id}}}}.{top}" for top in ("example", "invalid")[: variant % 3])


COMPANIES = RecordType(
    name="companies",
    properties=_properties,
    legacy=_legacy,
    links=lambda _: (),
    scopes=("crm.objects.companies.read",),
    singular="company",
    valueless=("hs_additional_domains", "hs_merged_object_ids"),
    merged_properties=merged_properties,
    dated_number="0-2",
    dated_defaults=("createdate", "domain", "hs_lastmodifieddate", "hs_object_id", "name"),
)
