"""Rules about connections: each person has their own, and sees and removes no other."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.unit.api_shim.isolation.world import NO_TOKEN, PEOPLE, TYPES, Person, World
from tests.unit.api_shim.shim import problem
from worker.records.types import ExportType


class ConnectionRules(World):
    """Who is connected, and which legacy lists are gone for whom: those of an account are its users' alike."""

    def __init__(self) -> None:
        super().__init__()
        self.lost: defaultdict[int, set[str]] = defaultdict(set)

    @rule(person=PEOPLE)
    def show_connection(self, person: Person) -> None:
        answer = self.ask(person, "GET", "/connection")
        if person in self.connected:
            assert answer.status_code == 200
        else:
            assert problem(answer) == NO_TOKEN

    @rule(person=PEOPLE, export_type=TYPES)
    def lose_a_list(self, person: Person, export_type: str) -> None:
        words = f"gone for {self.account_id(person)} in its run"
        self.is_secret_of(person, words)
        for _ in range(2):
            self.shim.gone_lists.sight(self.account_id(person), ExportType(export_type), status=404, message=words)
            self.shim.clock.advance(60)
        self.lost[person.account].add(export_type)

    @rule(person=PEOPLE)
    def show_lists(self, person: Person) -> None:
        if person in self.connected:
            shown = self.asked(person, "GET", "/connection")["data"]["lists_gone"]
            assert {each["type"] for each in shown} == self.lost[person.account]

    @rule(person=PEOPLE)
    def recheck(self, person: Person) -> None:
        answer = self.ask(person, "POST", "/connection/recheck")
        if person in self.connected:
            assert answer.json()["data"]["lists_gone"] == []
            self.lost[person.account].clear()
        else:
            assert problem(answer) == NO_TOKEN

    @rule(person=PEOPLE, hub_id=st.integers(0, 3))
    def remove_portal(self, person: Person, hub_id: int) -> None:
        """Nobody here was ever connected to a portal that HubSpot has named."""
        assert self.ask(person, "DELETE", f"/connection/portals/{hub_id}").status_code == 404

    @rule(person=PEOPLE)
    def disconnect(self, person: Person) -> None:
        answer = self.ask(person, "DELETE", "/connection")
        assert answer.status_code == (204 if person in self.connected else 404)
        self.connected.discard(person)
        self.lost[person.account].clear()

    @rule(person=PEOPLE)
    def connect_again(self, person: Person) -> None:
        self.connect(person)
