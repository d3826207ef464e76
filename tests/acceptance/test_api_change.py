"""`HUBSPOT_API=auto` on real processes: exports, pages, syncs and lanes go over by themselves, and no other account."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from operator import itemgetter

import pytest

from api_shim.commands.differences import compare
from sandbox.stack import Stack
from tests.acceptance.client import Client, Json, ids_of
from tests.acceptance.conftest import connect
from tests.acceptance.stacks import PLAIN, Crew, SharedStacks
from tests.acceptance.test_current_copy import changes_of, counts
from tests.acceptance.test_syncs import start
from tests.both_apis import fields_in_readme, general

RECORDS, PAGE = 1_000, 20
PORTAL = {"contacts": 120, "companies": 110, "deals": 105}
CHOSEN = {"contacts": ["email", "lastname"], "companies": ["name", "domain"], "deals": ["dealname", "amount"]}
LEGACY = "/contacts/v1"


@pytest.fixture
def stack(stacks: SharedStacks) -> Iterator[Stack]:
    with stacks.lent(PLAIN, Crew(slots=16, settings={"HUBSPOT_API": "auto", "EXPORT_LANES": "6"})) as running:
        yield running


def gone(client: Client, *, after: int = 0, times: int | None = None) -> None:
    client.stack.hubspot_control.fail_next(
        "not_found", account=client.account.hub_id, path=LEGACY, after=after, times=times
    )


def require_whole(client: Client, path: str, *, apis: list[str]) -> None:
    job = client.finished(path)
    assert job["status"] == "succeeded", job["error"]
    assert job["receipt"]["complete"], job["receipt"]["incomplete_because"]
    assert (job["api"], job["receipt"]["api"]) == (apis[-1], apis)
    assert client.stored_ids(path, "contacts") == client.ids_in_hubspot("contacts")


@pytest.mark.parametrize("after", [3, 20])
def test_an_export_goes_over_page_after_page_and_in_lanes_and_moves_no_other_account(stack: Stack, after: int) -> None:
    client, other = connect(stack, contacts=RECORDS), connect(stack, contacts=RECORDS)
    gone(client, after=after)

    paths = [each.start("contacts", {"page_size": PAGE}) for each in (client, other)]

    require_whole(client, paths[0], apis=["legacy", "dated"])
    require_whole(other, paths[1], apis=["legacy"])
    (sighting,) = client.documents("lists", **{"_id.account_id": client.account.account_id})
    assert (sighting["status"], "remembered_at" in sighting) == (404, False)
    assert client.documents("lists", **{"_id.account_id": other.account.account_id}) == []
    assert client.get("/connection").json()["data"]["lists_gone"] == []


def test_a_clients_own_loop_goes_over_and_loses_nothing(stack: Stack) -> None:
    client = connect(stack, contacts=200)
    gone(client, after=3)

    bodies: list[Json] = list(client.pages("/export/contacts", limit=PAGE))

    ids = list(chain.from_iterable(ids_of("contacts", body["data"]["contacts"]) for body in bodies))
    assert sorted(set(ids)) == client.ids_in_hubspot("contacts")
    assert len(ids) <= 201
    assert [call["status"] for call in client.calls(type="contacts")].count(404) > 0


def test_a_passing_answer_costs_one_job_its_legacy_shape_and_is_taken_back_by_the_next(stack: Stack) -> None:
    client = connect(stack, contacts=200)
    gone(client, times=1)

    require_whole(client, client.start("contacts"), apis=["dated"])
    assert len(client.documents("lists", **{"_id.account_id": client.account.account_id})) == 1
    require_whole(client, client.start("contacts"), apis=["legacy"])

    assert client.documents("lists", **{"_id.account_id": client.account.account_id}) == []
    assert client.post("/connection/recheck").json() == client.get("/connection").json()


@pytest.mark.parametrize("properties", [{}, CHOSEN], ids=["usual properties", "chosen properties"])
def test_a_full_sync_after_a_change_of_api_changes_what_the_readme_names_and_nothing_else(
    stacks: SharedStacks, properties: Json
) -> None:
    with stacks.lent(PLAIN, Crew(slots=16)) as stack:
        client = connect(stack, **PORTAL)
        body = {"types": list(PORTAL), "properties": properties}
        legacy = client.finished(start(client, body))
        before = {export_type: copied(client, export_type) for export_type in PORTAL}
        stack.dismiss_workers()
        stack.start_worker("--concurrency=16", settings={"HUBSPOT_API": "dated"}).wait_ready()

        changes = client.finished(start(client, body | {"mode": "incremental"}))
        sync = client.finished(start(client, body))

        assert changes["changes"] == dict.fromkeys(PORTAL, counts())
        assert (legacy["receipt"]["api"], sync["receipt"]["api"]) == (["legacy"], ["dated"])
        for export_type, records in PORTAL.items():
            found = compare(before[export_type], copied(client, export_type))
            assert (found.both, found.equal, found.only_one, found.only_other) == (records, 0, [], [])
            assert sync["changes"][export_type] == counts(changed=records)
            assert {general(path) for path in found.fields} <= fields_in_readme(export_type)
        again = client.finished(start(client, body))
        assert again["changes"] == {name: counts(unchanged=records) for name, records in PORTAL.items()}
        stack.dismiss_workers()  # others expect the legacy API


def copied(client: Client, export_type: str) -> list[tuple[int, Json]]:
    """Return the living records of a copy with their ids, in the order of these."""
    held = chain.from_iterable(body["data"] for body in changes_of(client, export_type))
    return sorted(((each["id"], each["record"]) for each in held), key=itemgetter(0))
