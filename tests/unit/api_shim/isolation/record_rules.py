"""Rules about the current copy: synced for one account, read, listed and erased by people of all."""

from __future__ import annotations

import json
from collections import defaultdict

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.unit.api_shim.hubspot_pages import record
from tests.unit.api_shim.isolation.world import PEOPLE, TYPES, Person, World
from worker.current_copy.record import Record
from worker.records.types import CopyId, ExportType


class RecordRules(World):
    """The ids that each account's copy holds, by type."""

    def __init__(self) -> None:
        super().__init__()
        self.copied: defaultdict[tuple[int, str], list[int]] = defaultdict(list)

    @rule(person=PEOPLE, export_type=TYPES, number=st.integers(1, 3))
    def sync(self, person: Person, export_type: str, number: int) -> None:
        ids = self.new_record_ids(person, number)
        copy = CopyId(account_id=self.account_id(person), export_type=ExportType(export_type))
        brought = [Record.of(each, json.dumps(record(export_type, each)).encode()) for each in ids]
        at = self.shim.records.begin_change(copy).at
        self.shim.records.insert(copy, brought, at=at, sync_id=f"sync-{self.account_id(person)}")
        self.is_secret_of(person, f"sync-{self.account_id(person)}")
        self.copied[person.account, export_type] += ids

    @rule(person=PEOPLE, export_type=TYPES)
    def list_records(self, person: Person, export_type: str) -> None:
        found = self.asked(person, "GET", f"/records/{export_type}?limit=1000")["data"]
        assert sorted(each["id"] for each in found) == sorted(self.copied[person.account, export_type])

    @rule(person=PEOPLE, owner=PEOPLE, export_type=TYPES, data=st.data())
    def show_record(self, person: Person, owner: Person, export_type: str, data: st.DataObject) -> None:
        for record_id in self._some_id(owner, export_type, data):
            answer = self.ask(person, "GET", f"/records/{export_type}/{record_id}")
            assert answer.status_code == (200 if person.account == owner.account else 404)

    @rule(person=PEOPLE, owner=PEOPLE, export_type=TYPES, data=st.data())
    def erase(self, person: Person, owner: Person, export_type: str, data: st.DataObject) -> None:
        for record_id in self._some_id(owner, export_type, data):
            answer = self.ask(person, "DELETE", f"/records/{export_type}/{record_id}")
            assert answer.status_code == 204
            if person.account == owner.account:
                self.copied[owner.account, export_type].remove(record_id)

    def _some_id(self, owner: Person, export_type: str, data: st.DataObject) -> list[int]:
        ids = self.copied[owner.account, export_type]
        return [data.draw(st.sampled_from(ids))] if ids else []
