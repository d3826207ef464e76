"""The routing table of HubSpot's API."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import product

from sandbox.fake_hubspot import errors, scopes
from sandbox.fake_hubspot.call import Call, Route
from sandbox.fake_hubspot.crm import associations, batch_read, owners, pipelines, properties, schemas, search
from sandbox.fake_hubspot.crm.dated_lists import DATED_LISTS, VERSIONS, DatedList
from sandbox.fake_hubspot.crm.feeds import LEGACY_FEEDS
from sandbox.fake_hubspot.crm.legacy_lists import LEGACY_LISTS
from sandbox.fake_hubspot.messages import Answer
from sandbox.fake_hubspot.oauth.grants import (
    AUTHORIZE_PATH,
    INFO_PREFIX,
    REFRESH_PREFIX,
    TOKEN_PATHS,
    V1_TOKEN_PATH,
    OAuth,
)
from sandbox.fake_hubspot.oauth.introspection import Introspection

Routes = Mapping[str, Mapping[str, Route]]
"""Routes by path and method.

A path that ends with a slash matches everything one level below it, and `*` every type of record.
"""
_TYPE_AT = 4
"""Where a type stands among the parts of a path such as `/crm/objects/2026-09/{type}/search`; of associations, two."""


def build_routes(oauth: OAuth, introspection: Introspection) -> Routes:
    tokens = {path: {"POST": Route("token", oauth.token)} for path in TOKEN_PATHS}
    later = [path for path in TOKEN_PATHS if path != V1_TOKEN_PATH]
    information = {
        INFO_PREFIX: {"GET": Route("token-info", introspection.info)},
        REFRESH_PREFIX: {
            "GET": Route("token-info", introspection.refresh_info),
            "DELETE": Route("token-revoke", introspection.delete_refresh_token),
        },
        **{f"{path}/introspect": {"POST": Route("token-info", introspection.introspect)} for path in later},
        **{f"{path}/revoke": {"POST": Route("token-revoke", introspection.revoke)} for path in later},
    }
    consent = {AUTHORIZE_PATH: {"GET": Route("authorize", oauth.authorize)}}
    lists = (*LEGACY_LISTS, *LEGACY_FEEDS)
    legacy = {each.path: {"GET": Route(each.type, each.answer, each.scopes)} for each in lists}
    return {
        **tokens,
        **information,
        **consent,
        **legacy,
        **object_routes(DATED_LISTS),
        **_unknown_types(),
        **_associations(),
        **_account_routes(),
    }


def object_routes(lists: Iterable[DatedList]) -> Routes:
    """Return the routes of these types in every version: those that all accounts have, or one's custom objects."""
    return {path: methods for each in lists for path, methods in _routes_of(each)}


def find_route(routes: Routes, path: str) -> Mapping[str, Route]:
    """Return the routes of a path by method; empty for an unknown path."""
    path = path.rstrip("/") if path.count("/") > 1 else path
    parts = path.split("/")
    count = 2 if "associations" in parts[:_TYPE_AT] else 1
    any_type = "/".join((*parts[:_TYPE_AT], *("*",) * count, *parts[_TYPE_AT + count :]))
    return routes.get(path) or routes.get(f"{path.rpartition('/')[0]}/") or routes.get(any_type, {})


def _routes_of(listed: DatedList) -> Iterator[tuple[str, Mapping[str, Route]]]:
    record_type, reading = listed.record_type, scopes.definitions_of(listed.record_type)
    searching = listed.route(partial(search.answer, record_type), name="search", is_search=True)
    reading_batches = listed.route(partial(batch_read.answer, listed), name="batch_read")
    for version, alias in product(VERSIONS, listed.aliases):
        yield f"{version}/{alias}", {"GET": listed.route(listed.answer)}
        yield f"{version}/{alias}/search", {"POST": searching}
        yield f"{version}/{alias}/batch/read", {"POST": reading_batches}
    for name, answer, versions in (
        ("properties", properties.answer, properties.VERSIONS),
        ("pipelines", pipelines.answer, pipelines.VERSIONS),
    ):
        route = Route(name, partial(answer, listed.name), reading)
        yield from ((f"{version}/{alias}", {"GET": route}) for version, alias in product(versions, listed.aliases))


def _associations() -> Routes:
    reading = Route("associations", associations.answer, associations.SCOPES)
    return {f"{version}/*/*/batch/read": {"POST": reading} for version in associations.VERSIONS}


def _account_routes() -> Routes:
    """Return the routes of what an account has once: its owners, and the schemas of its custom objects."""
    everyone = Route("owners", owners.answer, scopes.OWNERS)
    every, one = (Route("schemas", each, scopes.SCHEMAS) for each in (schemas.answer, schemas.answer_one))
    # Connectors of others ask this address before anything else; it has never wanted more than a token here.
    legacy = Route("schemas", schemas.answer, (*scopes.SCHEMAS, "oauth"))
    return {
        **{path: {"GET": everyone} for path in owners.PATHS},
        **{path: {"GET": every} for path in schemas.DATED_PATHS},
        **{f"{path}/": {"GET": one} for path in schemas.DATED_PATHS},
        schemas.LEGACY_PATH: {"GET": legacy},
    }


def _unknown_types() -> Routes:
    unknown = Route("objects", _unknown_objects, ("oauth",))
    gets = {f"{version}/*": {"GET": unknown} for version in (*VERSIONS, *properties.VERSIONS, *pipelines.VERSIONS)}
    posts = {f"{version}/*/{action}": {"POST": unknown} for version in VERSIONS for action in ("search", "batch/read")}
    return {**gets, **posts}


def _unknown_objects(call: Call) -> Answer:
    return errors.unknown_object_type(call, call.request.path.split("/")[_TYPE_AT])
