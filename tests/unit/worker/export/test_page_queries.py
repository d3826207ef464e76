"""What a job asks its source for: all that its request and its selection say, of the portal that the token opens."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pydantic import SecretStr

from tests.unit.worker.workshop import HUB, Workshop
from worker.export.interfaces import CrmSource, FetchedPage, PageQuery
from worker.jobs.selection import Selection
from worker.records.types import DEALS


@dataclass
class Noting:
    """A CrmSource that notes the queries."""

    source: CrmSource
    queries: list[PageQuery] = field(default_factory=list)

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        self.queries.append(query)
        return self.source.fetch_page(replace(query, history=(), associations=()), access_token)


def test_a_page_is_asked_for_with_the_request_the_selection_and_the_portal(shop: Workshop) -> None:
    shop.definitions.define("deals", "amount")
    job_id = shop.add_job(export_type=DEALS, history=("amount",), associations=("contacts",))
    noting = Noting(shop.source)
    shop.exporter(source=noting).run_slice(job_id)
    query = noting.queries[0]
    assert (query.history, query.associations, query.hub_id) == (("amount",), ("contacts",), HUB)
    assert (query.properties, query.archived) == (None, False)


def test_a_selection_is_what_is_asked_for_whether_it_is_all_or_not(shop: Workshop) -> None:
    for number, is_all in enumerate((False, True)):
        job_id = shop.add_job(job_id=f"j{number}", properties=("*",) if is_all else ("amount",))
        job = shop.jobs.get(job_id, account_id="a1")
        chosen = replace(job, job_id=f"k{number}", selection=Selection(properties=("amount", "x"), is_all=is_all))
        shop.jobs.add(chosen)
        noting = Noting(shop.source)
        shop.exporter(source=noting).run_slice(chosen.job_id)
        assert noting.queries[0].properties == ("amount", "x")
