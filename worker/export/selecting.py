"""PropertySelector: decides which properties a job asks HubSpot for, and refuses names that HubSpot does not define."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from worker.accounts.interfaces import ScopeSource
from worker.definitions.definition import PropertyDefinition, Sensitivity
from worker.definitions.definitions import FoundProperties
from worker.definitions.lists import Listed
from worker.definitions.names import ALL, MOST_PROPERTIES, nearest
from worker.errors import ExportError, InvalidRequestError, MissingScopesError, UnknownPropertiesError
from worker.jobs.job import Job
from worker.jobs.selection import Selection
from worker.records.crm_api import CrmApi
from worker.records.registry import OBJECT_TYPES, is_custom_name, is_type
from worker.records.types import ExportType

_LEVELS = {Sensitivity.SENSITIVE: "sensitive", Sensitivity.HIGH: "highly_sensitive"}


class JobDefinitions(Protocol):
    """HubSpot's definitions, for jobs.

    Every method raises a HubSpotError, NoPermitError, TokenNotFoundError, UnavailableError.
    """

    def find(self, account_id: str, owner: str, export_type: ExportType, names: Sequence[str]) -> FoundProperties:
        """Look names up; with `*`, also all properties that are not sensitive, as they are now."""

    def custom_types(self, account_id: str, owner: str) -> Listed:
        """Return the portal's custom objects, or why HubSpot does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """What was decided; None: the request names no properties. `calls` is what it took."""

    selection: Selection | None
    calls: int


class PropertySelector:
    """Decides once, before the first page.

    A name that HubSpot does not define ends a job that a caller has started. A scheduled run goes on without it: it may
    have been removed since the schedule was stored.
    """

    def __init__(self, definitions: JobDefinitions, scopes: ScopeSource) -> None:
        self._definitions = definitions
        self._scopes = scopes

    @staticmethod
    def is_needed(job: Job) -> bool:
        """Whether the job names anything that has not been checked; that is checked again as long as it has no page."""
        request = job.request
        is_open = request.properties is not None and job.selection is None
        return is_open or (job.progress.pages == 0 and bool(request.history or request.associations))

    def select(self, job: Job, *, is_scheduled: bool) -> Selected:
        """Decide for a job as it was requested.

        Raises UnknownPropertiesError, InvalidRequestError, MissingScopesError, and what JobDefinitions raises.
        """
        self._check_associations(job)
        history_calls = self._check_history(job)
        names = job.request.properties
        if names is None or job.selection is not None:
            return Selected(selection=job.selection, calls=history_calls)
        _require_choice(job, field="properties")
        found = self._find(job, names)
        if found.unknown and not is_scheduled:
            raise _unknown(job, found, field="properties")
        selected = _selected(names, found)
        if len(selected) > MOST_PROPERTIES:
            raise InvalidRequestError(
                f"properties: HubSpot defines {len(selected)} for {job.records_type}, and one job can have at most "
                f"{MOST_PROPERTIES}: name those that are wanted"
            )
        self._require_scopes(job, selected)
        selection = Selection.of(selected, is_all=ALL in names, missing=found.unknown)
        return Selected(selection=selection, calls=found.calls + history_calls)

    def _check_history(self, job: Job) -> int:
        if not job.request.history or job.progress.pages > 0:
            return 0
        _require_choice(job, field="history")
        found = self._find(job, job.request.history)
        if found.unknown:
            raise _unknown(job, found, field="history")
        return found.calls

    def _check_associations(self, job: Job) -> None:
        names = job.request.associations if job.progress.pages == 0 else ()
        unknown = [each for each in names if not is_type(each)]
        if any(is_custom_name(each) for each in names):
            listed = self._definitions.custom_types(job.account_id, job.owner)
            defined = {each.name for each in listed.custom_types}
            if listed.refused is None:
                unknown += [each for each in names if is_custom_name(each) and each not in defined]
        if unknown:
            raise InvalidRequestError(f"associations: HubSpot has no type {', '.join(unknown)} in this account")

    def _find(self, job: Job, names: Sequence[str]) -> FoundProperties:
        return self._definitions.find(job.account_id, job.owner, job.records_type, names)

    def _require_scopes(self, job: Job, selected: Sequence[PropertyDefinition]) -> None:
        """Refuse sensitive properties that the connection may not read: HubSpot would leave their values out."""
        levels = {each.sensitivity for each in selected} & set(_LEVELS)
        if not levels:
            return
        granted = self._scopes.granted(job.account_id, job.owner)
        for level in sorted(levels):
            enough = _scopes_of(job.records_type, Sensitivity(level))
            if granted is not None and set(enough).isdisjoint(granted):
                named = ", ".join(each.name for each in selected if each.sensitivity == level)
                raise MissingScopesError(
                    f"properties: the connection lacks the scope that HubSpot wants for {named}",
                    details=f"One of these scopes is needed: {', '.join(enough)}",
                )


def _require_choice(job: Job, *, field: str) -> None:
    """Raise InvalidRequestError where HubSpot's list gives what it gives, whatever is asked for."""
    found = OBJECT_TYPES[job.records_type]
    if not found.dated.has_properties:
        raise InvalidRequestError(f"{field}: {found.name} have no properties")
    is_legacy = job.api is CrmApi.LEGACY and found.has_legacy(archived=job.request.archived)
    if is_legacy and found.legacy_list.properties_parameter is None:
        raise InvalidRequestError(
            f"{field}: HubSpot's legacy list of {found.name} takes no choice; its dated API does (HUBSPOT_API=dated)"
        )


def _selected(names: Sequence[str], found: FoundProperties) -> list[PropertyDefinition]:
    """Return what is asked for: HubSpot's order for all, behind them and otherwise that of the request."""
    known = {each.name: each for each in (*found.sensitive, *found.plain)}
    selected = {each.name: each for each in found.plain} if ALL in names else {}
    return list((selected | {name: known[name] for name in names if name in known}).values())


def _unknown(job: Job, found: FoundProperties, *, field: str) -> ExportError:
    return UnknownPropertiesError(nearest(found.unknown, found.names), of=job.records_type, field=field)


def _scopes_of(export_type: ExportType, level: Sensitivity) -> tuple[str, ...]:
    """Return the scopes for sensitive values, by HubSpot's documentation: `crm.objects.contacts.sensitive.read`.

    The published specification has each with `.v2` at the end as well.
    """
    first, *_ = OBJECT_TYPES[export_type].scopes
    name = first.removesuffix(".read")
    scope = f"{name}.{_LEVELS[level]}" + (".read" if name != first else "")
    return (scope, f"{scope}.v2")
