"""People of several accounts who share one shim, and what each of them may never read."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from tests.unit.api_shim.shim import BASE_PATH, Json, Shim, mint, token_of

UNKNOWN_JOB = (404, {"success": False, "errno": 404, "message": "RESOURCE_NOT_FOUND", "code": "job_not_found"})
NO_TOKEN = (404, {"success": False, "errno": 400, "message": "Api Token Not Found", "code": "token_not_found"})

_runs = count(1)
_record_ids = count(900_000_000_001)  # numbers that nothing else in an answer is


@dataclass(frozen=True)
class Person:
    """A user of an account; two accounts have users of the same name."""

    account: int
    user: int


PEOPLE = st.sampled_from([Person(account, user) for account in range(3) for user in range(2)])
TYPES = st.sampled_from(["contacts", "deals"])


class World(RuleBasedStateMachine):
    """What all rules share. A file of rules is a subclass; `test_isolation.py` puts them together.

    A rule does something in a person's name and asserts that the answer is the one that follows from what people of the
    same account have done, and from that alone. Whatever the answer is, `ask` finds in it what was named a secret of
    another account.
    """

    shim: ClassVar[Shim]

    def __init__(self) -> None:
        super().__init__()
        self.run = next(_runs)  # the stores are kept from run to run, with all that is in them
        self.connected = {Person(account, user) for account in range(3) for user in range(2)}
        for person in self.connected:
            self.connect(person)
        self._secrets: defaultdict[int, set[str]] = defaultdict(set)

    def account_id(self, person: Person) -> str:
        return f"account-{self.run}-{person.account}"

    def uid(self, person: Person) -> str:
        return f"user-{person.user}"

    def connect(self, person: Person) -> None:
        """Store a token for a person, as a program does that connects accounts."""
        self.connected.add(person)
        self.shim.tokens.put(token_of(self.account_id(person), self.uid(person)))

    def is_secret_of(self, person: Person, *texts: object) -> None:
        """Name what nobody of another account may ever read."""
        self._secrets[person.account].update(map(str, texts))

    def new_record_ids(self, person: Person, number: int) -> list[int]:
        """Return ids of records that only the account of a person has."""
        ids = [next(_record_ids) for _ in range(number)]
        self.is_secret_of(person, *ids)
        return ids

    def ask(self, person: Person, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """Ask below the base path, and look into the answer for what is none of the person's business."""
        claims = {"account_id": self.account_id(person), "uid": self.uid(person)}
        content = json.dumps(body).encode() if body is not None else None
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        authorization = f"Bearer {mint(claims)}"
        answer = self.shim.ask(method, f"{BASE_PATH}{path}", authorization=authorization, content=content, headers=told)
        shown = answer.text + str(answer.headers)
        for account, secrets in self._secrets.items():
            leaked = [secret for secret in secrets if secret in shown] if account != person.account else []
            assert not leaked, f"{person} was shown of account {account}: {leaked}"
        return answer

    def asked(self, person: Person, method: str, path: str) -> Json:
        """Return the body of an answer that has to be a success."""
        answer = self.ask(person, method, path)
        assert answer.status_code == 200, answer.text
        body: Json = answer.json()
        return body
