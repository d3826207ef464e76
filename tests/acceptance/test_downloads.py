"""Downloads of the running product: every record once, in both formats, and no half file that looks whole."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing

import pytest
import requests
from pymongo import MongoClient

from sandbox.stack import Stack
from tests.acceptance.client import LIST_KEYS, TYPES, Client, Json, ids_of
from tests.acceptance.conftest import connect
from tests.patience import PATIENCE_S

PLAIN = {"Accept-Encoding": "identity"}
ID_COLUMNS = {"contacts": "vid", "companies": "companyId", "deals": "dealId", "notes": "engagement.id"}
PARAMS: dict[str, Json] = {
    "contacts": {"property": ["email", "createdate", "message", "phone"]},
    "companies": {"properties": ["createdate", "description", "phone"]},
    "deals": {"properties": ["closedate", "description"]},
    "notes": {},
}
TIMES = {"contacts": "createdate", "companies": "createdate", "deals": "closedate", "notes": "engagement.createdAt"}


@pytest.fixture(scope="module")
def client(stack: Stack) -> Client:
    return connect(stack, contacts=2000, companies=260, deals=255, engagements=130)


@pytest.fixture(scope="module")
def paths(client: Client) -> dict[str, str]:
    """Export all types, with properties that hold text to be quoted, telephone numbers and times."""
    started = {each: client.start(each, {"params": PARAMS[each]}) for each in TYPES}
    for path in started.values():
        assert client.finished(path)["status"] == "succeeded"
    return started


def download(client: Client, path: str, **query: str) -> requests.Response:
    answer = client.get(f"{path}/download", list(query.items()))
    assert answer.status_code == 200, answer.text
    return answer


def results(client: Client, path: str, export_type: str) -> list[Json]:
    return [
        each for body in client.pages(f"{path}/results", limit=1000) for each in body["data"][LIST_KEYS[export_type]]
    ]


@pytest.mark.parametrize("export_type", TYPES)
def test_ndjson_holds_what_the_results_hold(client: Client, paths: dict[str, str], export_type: str) -> None:
    answer = download(client, paths[export_type])

    assert [json.loads(line) for line in answer.content.splitlines()] == results(
        client, paths[export_type], export_type
    )
    assert answer.headers["Content-Encoding"] == "gzip"  # requests asks for it
    job_id = paths[export_type].removeprefix("/jobs/")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{export_type}-{job_id}.ndjson"'


@pytest.mark.parametrize("export_type", TYPES)
def test_csv_has_a_row_for_every_record(client: Client, paths: dict[str, str], export_type: str) -> None:
    text = download(client, paths[export_type], format="csv").content.decode()

    rows = list(csv.DictReader(io.StringIO(text, newline="")))

    assert [int(row[ID_COLUMNS[export_type]]) for row in rows] == client.ids_in_hubspot(export_type)
    assert all(None not in row and None not in row.values() for row in rows)
    for row, record in zip(rows, results(client, paths[export_type], export_type), strict=True):
        for name, value in record.get("properties", {}).items():
            assert row[name].removeprefix("'") == value["value"]
        assert row[f"{TIMES[export_type]}.iso"].startswith("202")


def test_the_links_of_a_job_lead_to_its_download(client: Client, paths: dict[str, str]) -> None:
    link = client.job(paths["deals"])["links"]["download"]

    answer = requests.get(
        f"{client.stack.shim_url}{link}", headers={"Authorization": f"Bearer {client.token}"}, timeout=PATIENCE_S
    )

    assert ids_of("deals", [json.loads(line) for line in answer.iter_lines()]) == client.ids_in_hubspot("deals")


def test_without_gzip_the_file_is_the_same(client: Client, paths: dict[str, str]) -> None:
    packed = download(client, paths["contacts"], format="csv")
    plain = client.get(f"{paths['contacts']}/download", [("format", "csv")], **PLAIN)

    assert "Content-Encoding" not in plain.headers
    assert plain.content == packed.content


def test_a_running_job_is_a_conflict_until_it_has_ended(stack: Stack) -> None:
    client = connect(stack, contacts=300)
    stack.hubspot_control.change_account(client.account.hub_id, latency_s=0.5)
    path = client.start("contacts")
    client.reached(path, pages=1)

    answer = client.get(f"{path}/download")

    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "running" in answer.json()["message"]
    client.finished(path)
    assert len(download(client, path).content.splitlines()) == 300


def test_a_page_that_is_gone_half_way_leaves_no_file_that_looks_whole(stack: Stack, client: Client) -> None:
    path = client.start("contacts")
    client.finished(path)
    job_id = path.removeprefix("/jobs/")
    with closing(MongoClient[Json](stack.settings["MONGODB_URI"])) as mongo:
        pages = mongo[stack.settings["MONGODB_DATABASE"]]["integrations.hubspot.pages"]
        somewhere = pages.find({"job_id": job_id}).sort("records_through").skip(15).next()
        pages.delete_one({"_id": somewhere["_id"]})

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.get(f"{path}/download", None, **PLAIN)
