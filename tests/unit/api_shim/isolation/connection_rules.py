"""Rules about connections: each person has their own, and sees and removes no other."""

from __future__ import annotations

from hypothesis.stateful import rule

from tests.unit.api_shim.isolation.world import NO_TOKEN, PEOPLE, Person, World
from tests.unit.api_shim.shim import problem


class ConnectionRules(World):
    """Who is connected."""

    @rule(person=PEOPLE)
    def show_connection(self, person: Person) -> None:
        answer = self.ask(person, "GET", "/connection")
        if person in self.connected:
            assert answer.status_code == 200
        else:
            assert problem(answer) == NO_TOKEN

    @rule(person=PEOPLE)
    def disconnect(self, person: Person) -> None:
        answer = self.ask(person, "DELETE", "/connection")
        assert answer.status_code == (204 if person in self.connected else 404)
        self.connected.discard(person)

    @rule(person=PEOPLE)
    def connect_again(self, person: Person) -> None:
        self.connect(person)
