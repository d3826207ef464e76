"""The routing table of HubSpot's API."""

from collections.abc import Iterable, Mapping
from itertools import product

from sandbox.fake_hubspot import errors
from sandbox.fake_hubspot.call import Call, Route
from sandbox.fake_hubspot.crm.dated_lists import DATED_LISTS, VERSIONS, DatedList
from sandbox.fake_hubspot.crm.feeds import LEGACY_FEEDS
from sandbox.fake_hubspot.crm.legacy_lists import LEGACY_LISTS
from sandbox.fake_hubspot.crm.metadata import metadata_routes
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
"""Routes by path and method; a path that ends with a slash matches everything one level below it."""


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
    below = {f"{version}/": {"GET": Route("objects", _unknown_objects, ("oauth",))} for version in VERSIONS}
    return {**tokens, **information, **consent, **legacy, **object_routes(DATED_LISTS), **below, **metadata_routes()}


def object_routes(lists: Iterable[DatedList]) -> Routes:
    """Return the routes of these types in every version: those that all accounts have, or one's custom objects."""
    routes: dict[str, Mapping[str, Route]] = {}
    for version, each in product(VERSIONS, lists):
        for path in (f"{version}/{alias}" for alias in each.aliases):
            routes[path] = {"GET": each.route(each.answer)}
            routes[f"{path}/search"] = {"POST": each.route(each.search, name="search", is_search=True)}
    return routes


def find_route(routes: Routes, path: str) -> Mapping[str, Route]:
    """Return the routes of a path by method; empty for an unknown path."""
    exact = routes.get(path.rstrip("/") if path.count("/") > 1 else path)
    return exact or routes.get(f"{path.rpartition('/')[0]}/", {})


def _unknown_objects(call: Call) -> Answer:
    return errors.unknown_object_type(call, call.request.path.rpartition("/")[2])
