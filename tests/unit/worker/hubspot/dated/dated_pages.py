"""Bodies of the dated API in the shape of their type, read without a call."""

from __future__ import annotations

from worker.hubspot.dated.format import to_page
from worker.hubspot.dated.lists import DatedListPage
from worker.hubspot.dated.objects import read_list
from worker.hubspot.dated.writing import Writing
from worker.records.page import Page
from worker.records.registry import OBJECT_TYPES


def read_dated_page(export_type: str, body: bytes) -> Page:
    """Raise PageUnreadableError where it is no such page."""
    writing = Writing(dated=OBJECT_TYPES[export_type].dated)
    return to_page(export_type, DatedListPage.of(read_list(body)), writing)


def to_documented_body(export_type: str, body: bytes) -> bytes:
    """Raise as `read_dated_page` does."""
    return read_dated_page(export_type, body).body
