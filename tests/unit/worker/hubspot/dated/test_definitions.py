"""DefinitionClient: the published addresses, and answers of which an odd part costs only itself."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qsl, urlsplit

import pytest
import responses
from pydantic import SecretStr

from worker.definitions.definition import Option, Owner, Sensitivity, Stage, Team
from worker.definitions.interfaces import DefinitionPage
from worker.definitions.lists import OWNERS, SCHEMAS, DefinitionList, ListKind
from worker.errors import FatalHubSpotError, HubSpotError, RetryableHubSpotError, TokenRefusedError
from worker.hubspot.dated.definitions import DefinitionClient
from worker.hubspot.transport import Transport
from worker.rate_limit.permits import FREE_PERMIT

OBJECTS = "https://hubspot.test/crm/objects/2026-09"
TOKEN = SecretStr("the-token")
ANYWHERE = re.compile(r"https://hubspot\.test/.*")
CONTACTS = DefinitionList(kind=ListKind.PROPERTIES, path="contacts")
PIPELINES = DefinitionList(kind=ListKind.PIPELINES, path="deals")
NEVER_READ: list[object] = [None, 7, "text", [], {}]


def fetched(wanted: DefinitionList, body: object, *, status: int = 200, after: str | None = None) -> DefinitionPage:
    return asked(wanted, body, status=status, after=after)[0]


def asked(
    wanted: DefinitionList, body: object, *, status: int = 200, after: str | None = None
) -> tuple[DefinitionPage, str, list[tuple[str, str]]]:
    """Fetch a list, and return the path and the query that HubSpot was asked with as well."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    with responses.RequestsMock() as hubspot:
        hubspot.get(url=ANYWHERE, body=content, status=status)
        client = DefinitionClient(transport=Transport(), objects_url=OBJECTS)
        page = client.fetch(wanted, TOKEN, after=after, permit=FREE_PERMIT)
        request = hubspot.calls[0].request
        assert request.headers["Authorization"] == "Bearer the-token"
        address = urlsplit(request.url or "")
    return page, address.path, parse_qsl(address.query)


@pytest.mark.parametrize(
    ("wanted", "path", "query"),
    [
        (CONTACTS, "/crm/properties/2026-09/contacts", []),
        (
            DefinitionList(kind=ListKind.PROPERTIES, path="contacts", sensitivity=Sensitivity.HIGH),
            "/crm/properties/2026-09/contacts",
            [("dataSensitivity", "highly_sensitive")],
        ),
        (PIPELINES, "/crm/pipelines/2026-09/deals", []),
        (
            SCHEMAS,
            "/crm-object-schemas/2026-09/schemas",
            [
                ("includePropertyDefinitions", "false"),
                ("includeAssociationDefinitions", "false"),
                ("includeAuditMetadata", "false"),
            ],
        ),
        (OWNERS, "/crm/owners/2026-09/", [("limit", "500")]),
    ],
)
def test_each_list_has_its_published_address(wanted: DefinitionList, path: str, query: list[tuple[str, str]]) -> None:
    _, asked_path, asked_query = asked(wanted, {"results": []})

    assert (asked_path, asked_query) == (path, query)


def test_a_property_is_read_with_its_options() -> None:
    given = {
        "name": "lifecyclestage",
        "label": "Lifecycle stage",
        "type": "enumeration",
        "fieldType": "radio",
        "groupName": "contactinformation",
        "description": "How far",
        "options": [{"label": "Lead", "value": "lead", "hidden": True}, {"value": 7}, {"label": "no value"}, None],
        "calculated": True,
        "hidden": False,
        "hubspotDefined": True,
        "dataSensitivity": "sensitive",
    }

    (found,) = fetched(CONTACTS, {"results": [given]}).listed.properties

    assert (found.name, found.label, found.type, found.field_type) == (
        "lifecyclestage",
        "Lifecycle stage",
        "enumeration",
        "radio",
    )
    assert (found.group, found.description, found.sensitivity) == ("contactinformation", "How far", "sensitive")
    assert (found.calculated, found.hidden, found.hubspot_defined) == (True, False, True)
    assert found.options == (Option(value="lead", label="Lead", hidden=True), Option(value="7", label="7"))


def test_odd_properties_cost_only_themselves() -> None:
    odd = {"name": "odd", "label": 7, "type": None, "options": "none", "calculated": "yes", "hidden": {}}

    page = fetched(CONTACTS, {"results": [*NEVER_READ, {"name": None}, {"name": ""}, odd, {"name": "email"}]})

    assert [(each.name, each.label, each.type, each.options) for each in page.listed.properties] == [
        ("odd", "7", "", ()),
        ("email", "", "", ()),
    ]


def test_archived_properties_are_not_defined_any_more() -> None:
    page = fetched(CONTACTS, {"results": [{"name": "gone", "archived": True}, {"name": "there", "archived": False}]})

    assert [each.name for each in page.listed.properties] == ["there"]


def test_custom_objects_are_read_by_their_full_names() -> None:
    cars = {
        "fullyQualifiedName": "p62515_cars",
        "objectTypeId": "2-123",
        "name": "cars",
        "labels": {"singular": "Car", "plural": "Cars"},
        "primaryDisplayProperty": "plate",
    }
    odd = [{"name": "x"}, {"fullyQualifiedName": "contacts"}, {**cars, "archived": True}, *NEVER_READ]
    bare = {"fullyQualifiedName": "p62515_pets", "objectTypeId": "2-124", "labels": 7}

    found = fetched(SCHEMAS, {"results": [*odd, cars, bare]}).listed.custom_types

    assert [(each.name, each.type_id, each.short_name, each.singular) for each in found] == [
        ("p62515_cars", "2-123", "cars", "Car"),
        ("p62515_pets", "2-124", "pets", ""),
    ]


def test_pipelines_are_read_with_their_stages() -> None:
    stages = [
        {"id": "won", "label": "Won", "displayOrder": 1, "metadata": {"isClosed": "true", "probability": 1.0}},
        {"label": "no id"},
        {"id": "odd", "displayOrder": "second", "metadata": [], "archived": True},
    ]
    given = {"id": "default", "label": "Sales", "displayOrder": 0, "archived": False, "stages": stages}

    (found,) = fetched(PIPELINES, {"results": [given, {"stages": []}]}).listed.pipelines

    assert (found.id, found.label, found.order) == ("default", "Sales", 0)
    assert found.stages == (
        Stage(id="won", label="Won", order=1, metadata={"isClosed": "true", "probability": "1.0"}),
        Stage(id="odd", archived=True),
    )


def test_owners_come_in_pages() -> None:
    ada = {
        "id": "7",
        "email": "ada@example.test",
        "firstName": "Ada",
        "lastName": "Lovelace",
        "userId": 9,
        "type": "PERSON",
        "archived": False,
        "teams": [{"id": "1", "name": "Engines", "primary": True}, {"name": "no id"}],
    }
    body = {
        "results": [ada, {"id": 8}, {"email": "x"}],
        "paging": {"next": {"after": "OA==", "link": "https://x.test"}},
    }

    page, _, query = asked(OWNERS, body, after="NQ==")

    assert ("after", "NQ==") in query
    assert page.after == "OA=="
    assert page.listed.owners == (
        Owner(
            id="7",
            email="ada@example.test",
            first_name="Ada",
            last_name="Lovelace",
            user_id=9,
            type="PERSON",
            teams=(Team(id="1", name="Engines", primary=True),),
        ),
        Owner(id="8"),
    )


@pytest.mark.parametrize("paging", [None, {}, [], "x", {"next": None}, {"next": []}, {"next": {"after": None}}])
def test_without_a_next_page_the_list_ends(paging: object) -> None:
    assert fetched(OWNERS, {"results": [], "paging": paging}).after is None


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'{"results": {}}', b"", b'{"results": null}'])
def test_an_answer_that_is_no_list_is_an_error_that_may_pass(body: bytes) -> None:
    with pytest.raises(RetryableHubSpotError):
        fetched(CONTACTS, body)


def test_an_answer_is_mended_as_pages_are() -> None:
    page = fetched(CONTACTS, b'\xef\xbb\xbf{"results": [{"name": "email", "label": "E\x01\xff", "displayOrder": NaN}]}')

    assert [each.name for each in page.listed.properties] == ["email"]


@pytest.mark.parametrize(("status", "kind"), [(401, TokenRefusedError), (403, FatalHubSpotError), (502, HubSpotError)])
def test_hubspots_errors_are_those_of_all_calls(status: int, kind: type[HubSpotError]) -> None:
    with pytest.raises(kind) as raised:
        fetched(CONTACTS, {"message": "no"}, status=status)

    assert raised.value.status == status
