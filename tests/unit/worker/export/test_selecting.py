"""The properties of a job: decided before its first page, once, and refused where HubSpot does not define them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import bson
import pytest
from pydantic import SecretStr

from tests.fakes.definitions import GivenDefinitions
from tests.unit.worker.workshop import PAGES, RECORDS, Workshop
from worker.definitions.definition import CustomType, PropertyDefinition, Sensitivity
from worker.definitions.lists import SCHEMAS, DefinitionList, Listed, ListKind
from worker.errors import FatalHubSpotError, NoPermitError, RetryableHubSpotError, TokenRefusedError
from worker.export.context import SliceLimits
from worker.export.interfaces import CrmSource, FetchedPage, PageQuery
from worker.jobs.job import Job
from worker.jobs.mongo.documents import state_of
from worker.jobs.selection import Selection
from worker.jobs.status import JobStatus
from worker.records.page import read_page
from worker.records.types import CONTACTS, NOTES, ExportType

TICKETS, OWNERS = ExportType("tickets"), ExportType("owners")
CONTACT_PROPERTIES = DefinitionList(kind=ListKind.PROPERTIES, path="contacts")


@dataclass
class Watched:
    """A CrmSource that remembers what it was asked."""

    source: CrmSource
    queries: list[PageQuery] = field(default_factory=list)

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        self.queries.append(query)
        return self.source.fetch_page(query, access_token)


class OneEmptyPage:
    """A CrmSource with nothing in it."""

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:  # noqa: ARG002 - the seam's
        return FetchedPage(page=read_page(query.export_type, b'{"results": [], "hasMore": false}'), api="dated")


@pytest.fixture
def given(shop: Workshop) -> GivenDefinitions:
    shop.definitions.define("contacts", "email", "phone", "firstname")
    return shop.definitions


def run(shop: Workshop, **request: Any) -> Job:  # noqa: ANN401 - ExportRequest's fields
    job_id = shop.add_job(**request)
    shop.exporter().run_slice(job_id)
    return shop.job(job_id)


def checkpoint_size(job: Job) -> int:
    """Return the bytes that are written for a page of the job."""
    return len(bson.encode(state_of(replace(job, receipt=None))))


def outcome(job: Job) -> tuple[str, str, str]:
    """Return the state of a job that failed, and why."""
    assert job.error is not None, job
    return job.status.value, job.error.code, job.error.message


def test_all_properties_are_those_that_hubspot_defines_as_the_job_begins(
    shop: Workshop, given: GivenDefinitions
) -> None:
    times = [("createdate", "datetime"), ("birthday", "date"), ("email", "string"), ("hidden", "enumeration")]
    given.lists[CONTACT_PROPERTIES] = Listed(
        properties=tuple(PropertyDefinition(name=name, type=type_, field_type="x") for name, type_ in times)
    )
    watched = Watched(shop.source)

    shop.exporter(source=watched).run_slice(shop.add_job(properties=("*",)))

    names = ("createdate", "birthday", "email", "hidden")
    assert {query.properties for query in watched.queries} == {names}
    assert {query.time_properties for query in watched.queries} == {frozenset({"createdate", "birthday"})}
    assert shop.job().selection == Selection(
        properties=names, types=("datetime/x", "date/x", "string/x", "enumeration/x"), is_all=True
    )
    assert (shop.job().status, shop.job().progress.records) == (JobStatus.SUCCEEDED, RECORDS)


def test_names_stay_in_the_order_in_which_they_were_asked_for(shop: Workshop, given: GivenDefinitions) -> None:
    job = run(shop, properties=("phone", "email", "phone"))

    assert job.selection is not None
    assert (job.selection.properties, job.selection.is_all) == (("phone", "email"), False)
    assert given.asked == [CONTACT_PROPERTIES]


def test_what_the_decision_cost_is_in_the_receipt(shop: Workshop, given: GivenDefinitions) -> None:
    job = run(shop, properties=("email",))

    assert job.receipt is not None
    assert job.receipt.calls_by_kind == {"definitions": 1, "list": PAGES}
    assert (job.receipt.calls, job.pages_fetched) == ({"200": PAGES + 1}, PAGES)


def test_the_receipt_names_what_was_asked_for(shop: Workshop, given: GivenDefinitions) -> None:
    given.define("contacts", "email", "phone", "city")
    named = run(shop, properties=("phone", "email"), history=("city",)).receipt
    everything = run(shop, job_id="j2", properties=("*", "email"), history=("city",)).receipt

    assert named is not None
    assert named.properties == ("phone", "email", "city")
    assert everything is not None
    assert everything.properties == ("*", "city")


def test_what_a_checkpoint_writes_does_not_grow_with_the_selection(shop: Workshop, given: GivenDefinitions) -> None:
    names = tuple(f"property_{number}" for number in range(100))
    given.define("contacts", *names)
    run(shop, job_id="j0", properties=names)  # from then on the definitions are known

    few = run(shop, properties=names[:1], history=names[:1])
    many = run(shop, job_id="j2", properties=names, history=names)

    assert many.receipt is not None
    assert len(many.receipt.properties) == len(names)
    assert checkpoint_size(few) == checkpoint_size(many)


def test_without_properties_nothing_is_asked_or_decided(shop: Workshop, given: GivenDefinitions) -> None:
    job = run(shop)

    assert (job.selection, given.asked) == (None, [])
    assert job.receipt is not None
    assert job.receipt.calls_by_kind == {"list": PAGES}


def test_an_unknown_name_fails_the_job_before_its_first_page(shop: Workshop, given: GivenDefinitions) -> None:
    job = run(shop, properties=("emial", "phone"))

    assert outcome(job) == (
        "failed",
        "unknown_properties",
        "properties: HubSpot does not define for contacts: emial (nearest: email)",
    )
    assert (shop.calls(), job.selection, job.progress.pages) == (0, None, 0)


def test_a_job_that_failed_for_a_name_can_be_retried_when_it_is_defined(
    shop: Workshop, given: GivenDefinitions
) -> None:
    run(shop, properties=("new",))
    given.define("contacts", "email", "new")
    shop.clock.advance(20)
    shop.jobs.put(shop.job().retry(at=shop.clock()))

    shop.exporter().run_slice("j1")

    assert shop.job().status is JobStatus.SUCCEEDED


def test_a_sync_that_a_caller_started_fails_for_an_unknown_name(shop: Workshop, given: GivenDefinitions) -> None:
    child = shop.add_sync(properties={CONTACTS: ("gone",)})

    shop.exporter().run_slice(child)

    assert outcome(shop.job(child))[:2] == ("failed", "unknown_properties")


def test_a_scheduled_sync_goes_on_without_what_is_gone_and_says_so(shop: Workshop, given: GivenDefinitions) -> None:
    child = shop.add_sync(properties={CONTACTS: ("gone", "email")}, schedule_id="s")

    shop.exporter().run_slice(child)

    job = shop.job(child)
    assert job.status is JobStatus.SUCCEEDED
    assert job.selection is not None
    assert (job.selection.properties, job.selection.missing) == (("email",), ("gone",))
    assert job.receipt is not None
    assert (job.receipt.properties_missing, job.receipt.complete) == (("gone",), True)


def test_it_is_decided_once_however_often_the_job_goes_on(shop: Workshop, given: GivenDefinitions) -> None:
    watched, limits = Watched(shop.source), SliceLimits(pages=1)
    shop.add_job(properties=("*",))
    shop.exporter(source=watched, limits=limits).run_slice("j1")
    given.define("contacts", "quite", "different")

    while not shop.job().status.is_terminal:
        shop.exporter(source=watched, limits=limits).run_slice("j1")

    assert {query.properties for query in watched.queries} == {("email", "phone", "firstname")}
    assert len(given.asked) == 1


class PowerCutError(BaseException):
    """The process is gone at this very moment."""


class Cut:
    """A CrmSource that ends the process."""

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:  # noqa: ARG002 - the seam's
        raise PowerCutError


def test_a_worker_that_dies_after_the_decision_leaves_it_to_its_successor(
    shop: Workshop, given: GivenDefinitions
) -> None:
    shop.add_job(properties=("*",))
    with pytest.raises(PowerCutError):
        shop.exporter(source=Cut()).run_slice("j1")
    given.define("contacts", "different")
    shop.clock.advance(60)

    shop.exporter(worker="w2").run_slice("j1")

    job = shop.job()
    assert job.selection is not None
    assert (job.selection.properties, job.status) == (("email", "phone", "firstname"), JobStatus.SUCCEEDED)
    assert job.receipt is not None
    assert job.receipt.calls_by_kind["definitions"] == 1


def test_a_job_that_starts_over_keeps_its_selection(shop: Workshop, given: GivenDefinitions) -> None:
    job = run(shop, properties=("email",))

    assert job.start_over(because="a reason").selection == job.selection is not None


# Sensitive properties


def test_all_are_without_the_sensitive_ones_which_can_be_named(shop: Workshop, given: GivenDefinitions) -> None:
    given.define("contacts", "passport", "blood_type", sensitivity=Sensitivity.SENSITIVE)
    shop.scopes.told = ("crm.objects.contacts.read", "crm.objects.contacts.sensitive.read")

    job = run(shop, properties=("*", "passport"))

    assert job.selection is not None
    assert job.selection.properties == ("email", "phone", "firstname", "passport")
    assert job.selection.is_all


@pytest.mark.parametrize(
    ("level", "scope"),
    [
        (Sensitivity.SENSITIVE, "crm.objects.contacts.sensitive.read"),
        (Sensitivity.HIGH, "crm.objects.contacts.highly_sensitive.read"),
    ],
)
def test_a_sensitive_property_needs_its_scope(
    shop: Workshop, given: GivenDefinitions, level: Sensitivity, scope: str
) -> None:
    given.define("contacts", "passport", sensitivity=level)

    job = run(shop, properties=("passport",))

    assert outcome(job)[1] == "missing_scopes"
    assert job.error is not None
    assert job.error.details == f"One of these scopes is needed: {scope}, {scope}.v2"
    assert shop.calls() == 0


@pytest.mark.parametrize("told", [("crm.objects.contacts.sensitive.read.v2",), None])
def test_with_the_newer_scope_or_where_hubspot_tells_none_it_is_read(
    shop: Workshop, given: GivenDefinitions, told: tuple[str, ...] | None
) -> None:
    given.define("contacts", "passport", sensitivity=Sensitivity.SENSITIVE)
    shop.scopes.told = told

    assert run(shop, properties=("passport",)).status is JobStatus.SUCCEEDED


def test_tickets_have_a_scope_of_another_form(shop: Workshop, given: GivenDefinitions) -> None:
    given.define("tickets", "case", sensitivity=Sensitivity.SENSITIVE)

    job = run(shop, export_type=TICKETS, properties=("case",))

    assert job.error is not None
    assert job.error.details == "One of these scopes is needed: tickets.sensitive, tickets.sensitive.v2"


# What cannot be


def test_more_than_two_thousand_properties_are_too_many(shop: Workshop, given: GivenDefinitions) -> None:
    given.define("contacts", *(f"p{n}" for n in range(2001)))

    assert outcome(run(shop, properties=("*",))) == (
        "failed",
        "invalid_request",
        "properties: HubSpot defines 2001 for contacts, and one job can have at most 2000: name those that are wanted",
    )


def test_two_thousand_are_not(shop: Workshop, given: GivenDefinitions) -> None:
    given.define("contacts", *(f"p{n}" for n in range(2000)))
    shop.add_job(properties=("*",), limit=1)

    shop.exporter(source=OneContact(shop.source)).run_slice("j1")

    job = shop.job()
    assert job.selection is not None
    assert (job.status, len(job.selection.properties)) == (JobStatus.SUCCEEDED, 2000)


@dataclass
class OneContact:
    """A CrmSource that asks without properties: this test is not about the length of addresses."""

    source: CrmSource

    def fetch_page(self, query: PageQuery, access_token: SecretStr) -> FetchedPage:
        return self.source.fetch_page(replace(query, properties=None), access_token)


@pytest.mark.parametrize("name", ["properties", "history"])
def test_a_list_without_a_choice_takes_none(shop: Workshop, given: GivenDefinitions, name: str) -> None:
    given.define("notes", "hs_note_body")

    status, code, message = outcome(run(shop, export_type=NOTES, **{name: ("hs_note_body",)}))

    assert (status, code) == ("failed", "invalid_request")
    assert message.startswith(f"{name}: HubSpot's legacy list of notes takes no choice")


def test_the_dated_list_of_the_same_type_does(shop: Workshop, given: GivenDefinitions) -> None:
    given.define("notes", "hs_note_body")
    given.define("calls", "hs_call_title")
    shop.add_job(export_type=NOTES, properties=("hs_call_title",))

    shop.exporter(api="dated", source=OneEmptyPage()).run_slice("j1")

    job = shop.job()
    assert job.selection is not None
    assert (job.status, job.selection.properties) == (JobStatus.SUCCEEDED, ("hs_call_title",))


def test_what_has_no_properties_takes_none(shop: Workshop, given: GivenDefinitions) -> None:
    assert outcome(run(shop, export_type=OWNERS, properties=("email",)))[1:] == (
        "invalid_request",
        "properties: owners have no properties",
    )


def test_history_is_of_known_properties(shop: Workshop, given: GivenDefinitions) -> None:
    assert outcome(run(shop, history=("emial",)))[1:] == (
        "unknown_properties",
        "history: HubSpot does not define for contacts: emial (nearest: email)",
    )
    assert given.asked != []


def test_history_is_checked_before_the_first_page_only(shop: Workshop, given: GivenDefinitions) -> None:
    shop.add_job(history=("email",))
    shop.exporter(limits=SliceLimits(pages=1)).run_slice("j1")
    given.define("contacts", "phone")
    shop.clock.advance(1000)

    shop.run_until_finished("j1")

    assert (shop.job().status, shop.job().selection, len(given.asked)) == (JobStatus.SUCCEEDED, None, 1)


@pytest.mark.parametrize(
    ("name", "is_there"), [("companies", True), ("p62515_cars", True), ("p62515_bikes", False), ("unicorns", False)]
)
def test_associations_are_to_types_that_there_are(
    shop: Workshop, given: GivenDefinitions, name: str, *, is_there: bool
) -> None:
    given.lists[SCHEMAS] = Listed(custom_types=(CustomType(name="p62515_cars", type_id="2-1", short_name="cars"),))

    job = run(shop, associations=(name,))

    if is_there:
        assert job.status is JobStatus.SUCCEEDED
    else:
        assert outcome(job)[1:] == ("invalid_request", f"associations: HubSpot has no type {name} in this account")


def test_where_hubspot_does_not_list_custom_objects_it_decides_itself(shop: Workshop, given: GivenDefinitions) -> None:
    given.lists[SCHEMAS] = FatalHubSpotError("no", status=403)

    assert run(shop, associations=("p62515_bikes",)).status is JobStatus.SUCCEEDED


# Errors


def test_an_error_that_may_pass_makes_the_job_wait(shop: Workshop, given: GivenDefinitions) -> None:
    given.fails_once = [RetryableHubSpotError("broken", status=502)] * 2
    shop.add_job(properties=("email",))

    shop.run_until_finished("j1")

    job = shop.job()
    assert job.receipt is not None
    assert (job.status, job.receipt.retries) == (JobStatus.SUCCEEDED, {"502": 2})


def test_a_token_that_is_refused_twice_is_tried_again_later(shop: Workshop, given: GivenDefinitions) -> None:
    given.fails_once = [TokenRefusedError("expired", status=401)] * 2
    shop.add_job(properties=("email",))

    shop.run_until_finished("j1")

    assert shop.job().status is JobStatus.SUCCEEDED


def test_an_exhausted_limit_makes_the_job_wait(shop: Workshop, given: GivenDefinitions) -> None:
    given.exhausted_once = [NoPermitError(wait_s=9.0)]
    shop.exporter().run_slice(shop.add_job(properties=("email",)))
    assert (shop.job().reason, shop.calls()) == ("rate_limit", 0)

    shop.run_until_finished("j1")

    assert shop.job().status is JobStatus.SUCCEEDED


def test_a_refusal_fails_the_job_with_hubspots_words(shop: Workshop, given: GivenDefinitions) -> None:
    given.lists[CONTACT_PROPERTIES] = FatalHubSpotError("One of these scopes is required", status=403, body={})

    assert outcome(run(shop, properties=("email",))) == ("failed", "hubspot_error", "One of these scopes is required")


def test_a_job_is_estimated_with_the_properties_that_it_asks_for(shop: Workshop, given: GivenDefinitions) -> None:
    assert given.lists
    run(shop, properties=("*",))

    [asked] = shop.forecasts.asked
    assert asked.selection is not None
    assert asked.selection.properties == ("email", "phone", "firstname")


def test_a_job_that_names_what_there_is_not_is_not_estimated(shop: Workshop, given: GivenDefinitions) -> None:
    assert given.lists
    run(shop, properties=("emial",))

    assert shop.forecasts.asked == []
