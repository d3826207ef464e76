"""What was asked for <-> its part of a job's document; fields that few requests have are stored only there."""

from __future__ import annotations

from dataclasses import asdict

from worker.jobs.copy_progress import SyncMode
from worker.jobs.request import ExportRequest, SyncRequest
from worker.mongo.database import Document
from worker.records.crm_api import CrmApi
from worker.records.types import ExportType

_LISTS_OF_NAMES = ("properties", "associations", "history")
_RARELY_REQUESTED = (*_LISTS_OF_NAMES, "archived", "api")
_RARE_IN_SYNCS = frozenset({"properties", "full_every"})
_PLAIN_REQUEST = ExportRequest(page_size=0)


def request_to_document(request: ExportRequest) -> Document:
    """Query parameters are stored as pairs: they repeat, and names may hold dots."""
    document = {**asdict(request), "params": [list(pair) for pair in request.params]}
    rare = {name for name in _RARELY_REQUESTED if getattr(request, name) == getattr(_PLAIN_REQUEST, name)}
    document["api"] = request.api.value if request.api is not None else None
    return {name: value for name, value in document.items() if name not in rare}


def request_from_document(document: Document) -> ExportRequest:
    lists = {name: tuple(document[name]) for name in _LISTS_OF_NAMES if document.get(name) is not None}
    params = tuple((name, value) for name, value in document["params"])
    api = {"api": CrmApi(document["api"])} if document.get("api") is not None else {}
    return ExportRequest(**document | lists | api | {"params": params})


def sync_to_document(sync: SyncRequest) -> Document:
    stored = asdict(sync) | {"types": list(sync.types), "mode": sync.mode.value}
    return {name: value for name, value in stored.items() if value or name not in _RARE_IN_SYNCS}


def sync_from_document(document: Document) -> SyncRequest:
    mode = SyncMode(document.get("mode", SyncMode.FULL))
    properties = {ExportType(name): tuple(names) for name, names in document.get("properties", {}).items()}
    types = tuple(map(ExportType, document["types"]))
    return SyncRequest(**document | {"types": types, "mode": mode, "properties": properties})
