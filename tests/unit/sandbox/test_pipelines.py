"""Pipelines: the stages that records are in."""

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.messages import Answer

Page = Callable[..., dict[str, Any]]
BASE = "/crm/pipelines/2026-09"


@pytest.mark.parametrize(
    ("type_", "pipeline", "stage"),
    [
        ("deals", "pipeline", "dealstage"),
        ("tickets", "hs_pipeline", "hs_pipeline_stage"),
        ("leads", "hs_pipeline", "hs_pipeline_stage"),
    ],
)
def test_every_stage_that_a_record_is_in_is_one_of_its_pipeline(
    type_: str, pipeline: str, stage: str, hubspot: HubSpot, page: Page
) -> None:
    hubspot.add_account(8, records={type_: 100})
    stages = {
        each["id"]: {one["id"] for one in each["stages"]} for each in page(f"{BASE}/{type_}", hub_id=8)["results"]
    }

    records = page(f"/crm/objects/2026-09/{type_}?limit=100&properties={pipeline},{stage}", hub_id=8)["results"]

    assert len(records) == 100
    assert all(each["properties"][stage] in stages[each["properties"][pipeline]] for each in records)


def test_a_stage_of_deals_tells_in_texts_how_likely_and_whether_it_is_the_end(page: Page) -> None:
    [sales] = page(f"{BASE}/0-3")["results"]
    metadata = {each["id"]: each["metadata"] for each in sales["stages"]}

    assert metadata["closedwon"] == {"isClosed": "true", "probability": "1.0"}
    assert metadata["qualifiedtobuy"] == {"isClosed": "false", "probability": "0.4"}
    assert [each["displayOrder"] for each in sales["stages"]] == [*range(7)]


def test_a_type_without_pipelines_has_an_empty_list(page: Page) -> None:
    assert page(f"{BASE}/notes") == {"results": []}


def test_pipelines_need_the_scope_of_their_type(hubspot: HubSpot, get: Callable[..., Answer]) -> None:
    assert (get(f"{BASE}/tickets").status, get(f"{BASE}/unicorns").status) == (403, 400)
