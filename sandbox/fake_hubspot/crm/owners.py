"""The owners of an account, /crm/owners/2026-09: its users, whom records name in `hubspot_owner_id`."""

from base64 import b64decode, b64encode
from collections.abc import Iterator
from itertools import islice

from sandbox.fake_hubspot import errors
from sandbox.fake_hubspot.call import Call
from sandbox.fake_hubspot.messages import Answer
from sandbox.fake_hubspot.parameters import integer, is_true
from sandbox.fake_hubspot.records import words
from sandbox.fake_hubspot.records.record_counts import RecordFacts
from sandbox.fake_hubspot.records.renderer import iso

PATHS = ("/crm/owners/2026-03", "/crm/owners/2026-09", "/crm/v3/owners")
_DEFAULT_LIMIT = 100
_LARGEST_LIMIT = 500
_TEAM_ID = "368389"


def answer(call: Call) -> Answer:
    """Return one page; `after` is opaque, and the last page has no `paging`. Raises InvalidIntegerError."""
    limit = integer(call.request, "limit", default=_DEFAULT_LIMIT)
    if not 1 <= limit <= _LARGEST_LIMIT:
        return errors.limit_too_large(call, limit, _LARGEST_LIMIT)
    try:
        after = _read_cursor(call.request.first("after"))
    except ValueError:
        return errors.validation(call, "Invalid input: after is not a cursor of this list")
    found = list(islice(_owners(call, after), limit + 1))
    body: dict[str, object] = {"results": found[:limit]}
    if len(found) > limit:
        cursor = _cursor(str(found[limit - 1]["id"]))
        body["paging"] = {"next": {"after": cursor, "link": f"?after={cursor}"}}
    return Answer.json(200, body)


def _owners(call: Call, after: int) -> Iterator[dict[str, object]]:
    """Yield the wanted owners with greater ids; deleted ones are what HubSpot calls archived."""
    record_set, email = call.owner.records["owners"], call.request.first("email")
    archived = is_true(call.request.first("archived"))
    for index in record_set.archived(after=after) if archived else record_set.after(after):
        facts = record_set.facts(index)
        owner = _view(index, facts, archived=archived)
        if email in {None, "", owner["email"]}:
            yield owner


def _view(index: int, facts: RecordFacts, *, archived: bool) -> dict[str, object]:
    user_id = 7 + index
    active = {} if archived else {"userId": user_id}
    teams = [{"id": _TEAM_ID, "name": "Sales Team", "primary": True}]
    return {
        "id": str(facts.id),
        "email": f"owner{facts.id}@example.test",
        "type": "PERSON",
        "firstName": words.pick(words.FIRST_NAMES, index, salt=81),
        "lastName": words.pick(words.LAST_NAMES, index, salt=82),
        **active,
        "userIdIncludingInactive": user_id,
        "createdAt": iso(facts.created_ms),
        "updatedAt": iso(facts.modified_ms),
        "archived": archived,
        **({} if index % 3 else {"teams": teams}),
    }


def _cursor(owner_id: str) -> str:
    return b64encode(owner_id.encode()).decode()


def _read_cursor(cursor: str | None) -> int:
    return int(b64decode(cursor, validate=True)) if cursor else 0
