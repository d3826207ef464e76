"""The properties of a type, /crm/properties/2026-09/{type}: everything that its records can hold."""

from collections.abc import Mapping
from functools import lru_cache

from sandbox.fake_hubspot import errors
from sandbox.fake_hubspot.account import Account
from sandbox.fake_hubspot.call import Call
from sandbox.fake_hubspot.crm.definitions import Definition
from sandbox.fake_hubspot.messages import Answer
from sandbox.fake_hubspot.parameters import comma_lists, is_true
from sandbox.fake_hubspot.records.registry import RECORD_TYPES
from sandbox.fake_hubspot.records.shape import VARIANTS, RecordType

VERSIONS = ("/crm/properties/2026-03", "/crm/properties/2026-09", "/crm/v3/properties")
_SENSITIVITIES = ("non_sensitive", "sensitive", "highly_sensitive")


def answer(type_: str, call: Call) -> Answer:
    """Return the definitions of one sensitivity, by default those of what is not sensitive.

    HubSpot's documentation: definitions need no sensitive scope, unlike values.
    """
    wanted = call.request.first("dataSensitivity") or "non_sensitive"
    if wanted not in _SENSITIVITIES:
        return errors.validation(call, f"Invalid input: dataSensitivity must be one of {', '.join(_SENSITIVITIES)}")
    archived, names = is_true(call.request.first("archived")), set(comma_lists(call.request, "properties"))
    shown = [
        each.view()
        for name, each in sorted(definitions(call.owner, type_).items())
        if (each.sensitivity, each.archived) == (wanted, archived) and (name in names or not names)
    ]
    return Answer.json(200, {"results": shown})


def definitions(account: Account, type_: str) -> Mapping[str, Definition]:
    """Return the definitions of a type's properties by name, sensitive and archived ones included."""
    settings, values = account.settings, _values(account.record_types[type_])
    sensitivities = {
        **dict.fromkeys(settings.sensitive_properties.get(type_, ()), "sensitive"),
        **dict.fromkeys(settings.highly_sensitive_properties.get(type_, ()), "highly_sensitive"),
    }
    removed = settings.removed_properties.get(type_, ())
    hubspots = _values(RECORD_TYPES[type_]).keys() if type_ in RECORD_TYPES else frozenset()
    return {
        name: Definition(
            type_,
            name,
            values.get(name, ()),
            made_by_user=name not in hubspots,
            sensitivity=sensitivities.get(name, "non_sensitive"),
            archived=name in removed,
        )
        for name in {*values, *sensitivities, *removed}
    }


@lru_cache(maxsize=64)
def _values(record_type: RecordType) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {name: {} for name in record_type.valueless}
    for variant in range(VARIANTS):
        for name, value in record_type.properties(variant).items():
            found.setdefault(name, {})[value] = None
    return {name: tuple(values) for name, values in found.items()}
