"""The parameters of the legacy lists, for what a page is to hold; pure.

Documented: properties are named one a parameter; contacts give all values of what is asked for in one call by
`propertyMode`, companies and deals those of single properties by a parameter of their own, which gives the present one
as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from worker.export.interfaces import PageQuery
from worker.hubspot.dated.records import LEGACY_NEEDS
from worker.hubspot.list_question import HISTORY_OF_ALL, PROPERTY_PARAMETERS, address_pairs
from worker.hubspot.splitting import Pairs
from worker.records.registry import OBJECT_TYPES

_ASSOCIATED = ("includeAssociations", "true")


def legacy_address(query: PageQuery, address: str) -> tuple[str, Pairs]:
    """Return where a list is and what of its address is sent beside: all of it, or what names no properties."""
    if query.properties is None:
        return address, []
    return urlunsplit(urlsplit(address)._replace(query="")), address_pairs(query, address)


def chosen_pairs(query: PageQuery, address: str) -> Pairs:
    """Return the parameters for the properties, history and associations that a request names by themselves."""
    sent = [*parse_qsl(urlsplit(address).query, keep_blank_values=True), *query.params]
    return [*_property_pairs(query, sent), *_association_pairs(query, sent)]


def further_associations(query: PageQuery) -> tuple[str, ...]:
    """Return the types among those asked for by name that the list gives no associations with."""
    places = OBJECT_TYPES[query.export_type].dated.associations
    return tuple(each for each in query.associations if each not in places)


def _property_pairs(query: PageQuery, sent: Pairs) -> Iterator[tuple[str, str]]:
    known = OBJECT_TYPES[query.export_type]
    legacy, names = known.legacy_list, list(query.properties or ())
    if legacy.properties_parameter is None:  # it knows no selection
        return
    if legacy.history_parameter is None and query.history:
        is_by_default = query.properties is None and not _is_sent(PROPERTY_PARAMETERS, sent)
        names = [*(LEGACY_NEEDS[known.dated.shape].unasked if is_by_default else names), *query.history]
    for name in dict.fromkeys(names):
        if legacy.history_parameter is None or name not in query.history:
            yield legacy.properties_parameter, name
    if legacy.history_parameter is not None:
        yield from ((legacy.history_parameter, name) for name in query.history)
    elif query.history:
        yield HISTORY_OF_ALL


def _association_pairs(query: PageQuery, sent: Pairs) -> Pairs:
    dated = OBJECT_TYPES[query.export_type].dated
    is_wanted = not dated.associates and any(each in dated.associations for each in query.associations)
    return [_ASSOCIATED] if is_wanted and _ASSOCIATED not in sent else []


def _is_sent(names: Iterable[str], sent: Pairs) -> bool:
    return any(name in names for name, _ in sent)
