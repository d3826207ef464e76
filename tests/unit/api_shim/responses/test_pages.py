"""Results of jobs in HubSpot's own shape: its keys and no others, and a text as the place where there is more."""

from __future__ import annotations

import json

import pytest

from api_shim.responses.pages import results_answer
from worker.pages.interfaces import RecordSlice
from worker.records.types import ExportType

RECORDS = [b'{"id" : "1","a":1.10}', b'{"id":"2"}']


@pytest.mark.parametrize("export_type", ["tickets", "owners", "p99_cars"])
def test_where_there_is_more_paging_tells_from_where(export_type: str) -> None:
    answer = results_answer(ExportType(export_type), RecordSlice(3, RECORDS), has_more=True)
    assert answer.body == (
        b'{"success":true,"message":"DATA Recieved","data":{"results":[{"id" : "1","a":1.10},{"id":"2"}],'
        b'"paging":{"next":{"after":"5"}}},"pagination":{"hasMore":true,"offset":5}}'
    )


def test_the_last_page_has_no_paging_and_nothing_exported_yet_has_more_to_come() -> None:
    tickets = ExportType("tickets")
    last = json.loads(bytes(results_answer(tickets, RecordSlice(3, RECORDS, erased=1), has_more=False).body))
    assert (list(last["data"]), last["pagination"]) == (["results"], {"hasMore": None, "offset": 6})
    none_yet = json.loads(bytes(results_answer(tickets, RecordSlice(0, []), has_more=True).body))
    assert none_yet["data"] == {"results": [], "paging": {"next": {"after": "0"}}}
    assert none_yet["pagination"] == {"hasMore": True, "offset": 0}
