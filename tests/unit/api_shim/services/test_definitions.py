"""DefinitionService: names are checked by what is kept, else by a worker, else by nobody."""

from __future__ import annotations

from functools import partial

import pytest

from tests.unit.api_shim.conftest import Running
from tests.unit.api_shim.kept_definitions import CALLER, HUB, connect, keep, keep_properties, list_of
from tests.unit.api_shim.shim import Parts, Shim
from worker.definitions.definition import CustomType, PropertyDefinition, Sensitivity
from worker.definitions.lists import SCHEMAS, Listed
from worker.definitions.questions import CheckedProperties, CheckProperties
from worker.errors import FatalHubSpotError, InvalidRequestError, StoreUnavailableError, UnknownPropertiesError
from worker.jobs.status import JobError
from worker.records.types import CONTACTS


def check(shim: Shim, *names: str, field: str = "properties") -> None:
    shim.portal.call(partial(shim.app.state.definitions.check_properties, CALLER, CONTACTS, names, field=field))


def test_names_that_are_kept_need_no_worker(shim: Shim) -> None:
    connect(shim)
    keep_properties(shim, "contacts", "email")

    check(shim, "*", "email")

    assert shim.rpc_requests.all == []


@pytest.mark.parametrize("names", [(), ("*",)])
def test_without_names_there_is_nothing_to_check(shim: Shim, names: tuple[str, ...]) -> None:
    check(shim, *names)

    assert shim.rpc_requests.all == []


def test_a_name_that_is_not_kept_is_checked_by_a_worker(shim: Shim) -> None:
    connect(shim)
    keep_properties(shim, "contacts", "email")

    with shim.answering(CheckedProperties()) as taken:
        check(shim, "new", "email", "new", "*")

    assert taken.result().question == CheckProperties(export_type=CONTACTS, names=("new", "email"))


def test_a_sensitive_property_may_be_named(shim: Shim) -> None:
    connect(shim)
    keep_properties(shim, "contacts", "email")
    keep(shim, list_of("contacts", Sensitivity.HIGH), Listed(properties=(PropertyDefinition(name="passport"),)))

    check(shim, "passport")

    assert shim.rpc_requests.all == []


def test_unknown_names_are_refused_with_the_field_and_the_nearest(shim: Shim) -> None:
    with (
        shim.answering(CheckedProperties(unknown={"emial": ("email",)})),
        pytest.raises(UnknownPropertiesError, match=r"^history: .* contacts: emial \(nearest: email\)$"),
    ):
        check(shim, "emial", field="history")


def test_without_a_worker_the_job_checks(running: Running) -> None:
    with running(export_wait_seconds=0.05) as shim:
        check(shim, "emial")


def test_without_a_broker_the_job_checks(shim: Shim) -> None:
    shim.rpc_request_queue.is_away = True

    check(shim, "emial")


def test_where_hubspot_cannot_be_asked_the_job_checks(shim: Shim) -> None:
    with shim.answering(JobError.of(FatalHubSpotError("no", status=403))):
        check(shim, "emial")


def test_the_patience_is_short(running: Running, parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api_shim.services.definitions._CHECK_WITHIN_S", 0.05)
    with running(export_wait_seconds=20) as shim:
        check(shim, "emial")

    assert parts.rpc_requests.all == []  # nobody has taken it, and nobody will


def test_without_the_database_nothing_is_known(shim: Shim) -> None:
    shim.connections.is_away = True

    with pytest.raises(StoreUnavailableError):
        check(shim, "email")


# Associations


def associations(shim: Shim, *names: str) -> list[str]:
    found: list[str] = shim.portal.call(shim.app.state.definitions.check_associations, CALLER, names)
    return found


def test_associations_get_their_canonical_names_each_once(shim: Shim) -> None:
    connect(shim)
    cars = CustomType(name=f"p{HUB}_cars", type_id="2-1", short_name="cars")
    keep(shim, SCHEMAS, Listed(custom_types=(cars,)))

    assert associations(shim, "companies", "0-2", "p_cars", "2-1") == ["companies", f"p{HUB}_cars"]


def test_an_unknown_association_is_refused_by_name(shim: Shim) -> None:
    with pytest.raises(InvalidRequestError, match=r"^associations: unicorns is no type of this account$"):
        associations(shim, "companies", "unicorns")


def test_owners_which_are_no_objects_are_no_association(shim: Shim) -> None:
    with pytest.raises(InvalidRequestError, match=r"^associations: HubSpot associates nothing with owners$"):
        associations(shim, "companies", "owners")
