"""The columns of an export whose request named properties: they follow from what it asked for, not from records."""

from __future__ import annotations

from collections.abc import Sequence

from api_shim.downloads.layouts import link_path
from api_shim.downloads.tables import Columns
from worker.definitions.names import ALL
from worker.jobs.job import Job
from worker.records.registry import OBJECT_TYPES


def columns_asked_for(job: Job) -> Columns | None:
    """Return the columns of a job by its request; None where it named no properties: its records tell the columns."""
    asked = job.request.properties
    if asked is None:
        return None
    # What was decided when the job began; one that never did has no records either.
    names = job.selection.properties if job.selection is not None else [name for name in asked if name != ALL]
    return useful_columns(job.records_type, names, associations=job.request.associations)


def useful_columns(export_type: str, properties: Sequence[str], *, associations: Sequence[str] = ()) -> Columns:
    """Return the columns that are of use beside properties, which stay in their order: the id comes before them.

    Behind them is what records are associated with, where the type's shape has it or it was asked for, and when they
    were created and updated, where their shape says so.
    """
    known = OBJECT_TYPES[export_type]
    legacy_names = known.dated.associations
    links = [*legacy_names.values(), *(legacy_names.get(name, name) for name in associations)]
    times = [path for path in (known.created_path, known.updated_path) if path is not None]
    return Columns(properties=list(dict.fromkeys(properties)), paths=[*map(link_path, dict.fromkeys(links)), *times])
