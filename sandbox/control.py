"""The client of the fake HubSpot's control API, for the demo, tests and benchmarks."""

from typing import Any, Unpack

import requests

from sandbox.fake_hubspot.accounts import AccountOptions
from sandbox.fake_hubspot.faults.plan import FaultOptions, RecipeName

Json = dict[str, Any]


class ControlError(Exception):
    """A control call was refused; the text names the invalid field or the missing object."""


class HubSpotControl:
    """Sets up a running fake HubSpot and reads what it recorded.

    Every method raises ControlError when the call is refused, and requests' exceptions when HubSpot is unreachable.
    """

    def __init__(self, base_url: str, *, session: requests.Session | None = None, timeout_s: float = 30.0) -> None:
        self.base_url = base_url.rstrip("/")
        self._session = session or requests.Session()
        self._timeout_s = timeout_s

    def add_account(self, hub_id: int, **options: Unpack[AccountOptions]) -> Json:
        """Create or replace an account; return its settings, including `refresh_token`."""
        return self._send("POST", "accounts", {"hub_id": hub_id, **options})

    def accounts(self) -> list[Json]:
        """List the settings of all accounts, with their current record counts."""
        return list(self._send("GET", "accounts")["accounts"])

    def account(self, hub_id: int) -> Json:
        """Return the settings of one account, with its current record counts."""
        return self._send("GET", f"accounts/{hub_id}")

    def change_account(self, hub_id: int, **changes: Unpack[AccountOptions]) -> Json:
        """Change settings of an account; its record counts and seed cannot be changed."""
        return self._send("PATCH", f"accounts/{hub_id}", dict(changes))

    def remove_account(self, hub_id: int) -> None:
        self._send("DELETE", f"accounts/{hub_id}")

    def issue_access_token(self, hub_id: int) -> str:
        """Issue an access token without an OAuth call."""
        return str(self._send("POST", f"accounts/{hub_id}/access-tokens")["access_token"])

    def expire_access_tokens(self, hub_id: int | None = None) -> int:
        """Expire the access tokens of one account or of all; return how many there were."""
        path = "access-tokens" if hub_id is None else f"accounts/{hub_id}/access-tokens"
        return int(self._send("DELETE", path)["expired"])

    def revoke(self, hub_id: int) -> None:
        """Revoke the account's refresh token, as uninstalling the app does."""
        self._send("DELETE", f"accounts/{hub_id}/refresh-token")

    def issue_code(self, hub_id: int, *, redirect_uri: str | None = None) -> str:
        """Issue an authorisation code; it can be used once, within ten minutes."""
        return str(self._send("POST", f"accounts/{hub_id}/codes", {"redirect_uri": redirect_uri})["code"])

    def record_ids(self, hub_id: int, type_: str) -> list[int]:
        """Return all ids of a type in ascending order; `notes`, `calls`, … select engagements of that kind."""
        return list(self._send("GET", f"accounts/{hub_id}/records/{type_}")["ids"])

    def record(self, hub_id: int, type_: str, record_id: int, **query: str | list[str]) -> Json:
        """Return one record as the list of its type shows it for this query; `api="dated"` for the dated list."""
        return self._send("GET", f"accounts/{hub_id}/records/{type_}/{record_id}", query=query)

    def add_records(self, hub_id: int, type_: str, count: int) -> list[int]:
        """Create records, with higher ids than all existing ones; return the ids."""
        return list(self._send("POST", f"accounts/{hub_id}/records/{type_}", {"add": count})["added"])

    def delete_records(self, hub_id: int, type_: str, record_ids: list[int]) -> list[int]:
        """Delete records; return the ids that existed."""
        changes = {"delete": record_ids}
        return list(self._send("POST", f"accounts/{hub_id}/records/{type_}", changes)["deleted"])

    def touch_records(self, hub_id: int, type_: str, record_ids: list[int]) -> list[int]:
        """Set the modification time of records to now; return the ids that exist."""
        changes = {"touch": record_ids}
        return list(self._send("POST", f"accounts/{hub_id}/records/{type_}", changes)["touched"])

    def restore_records(self, hub_id: int, type_: str, record_ids: list[int]) -> list[int]:
        """Bring deleted records back, modified now; return the ids that were deleted."""
        changes = {"restore": record_ids}
        return list(self._send("POST", f"accounts/{hub_id}/records/{type_}", changes)["restored"])

    def archived_ids(self, hub_id: int, type_: str) -> list[int]:
        """Return the ids of the records of a type that were deleted within the last 90 days, ascending."""
        return list(self._send("GET", f"accounts/{hub_id}/records/{type_}", query={"archived": "true"})["ids"])

    def associations(self, hub_id: int, type_: str, target: str) -> dict[int, list[int]]:
        """Return the ids of all records of another type that each record of a type is associated with."""
        found = self._send("GET", f"accounts/{hub_id}/records/{type_}/associations/{target}")["associations"]
        return {int(record_id): ids for record_id, ids in found.items()}

    def fail_next(self, recipe: RecipeName | None = None, **options: Unpack[FaultOptions]) -> int:
        """Script a fault, for the next call unless the options say otherwise; return its id."""
        return int(self._send("POST", "faults", {"recipe": recipe, **options})["id"])

    def faults(self) -> list[Json]:
        """List all scripted faults with `seen`, `fired` and `remaining`."""
        return list(self._send("GET", "faults")["faults"])

    def clear_faults(self) -> None:
        self._send("DELETE", "faults")

    def calls(self, **wanted: str | int) -> list[Json]:
        """List the last calls, oldest first; filters: `account`, `type`, `status`, `path` (prefix), `limit`."""
        return list(self._send("GET", "calls", query={name: str(value) for name, value in wanted.items()})["calls"])

    def clear_calls(self) -> None:
        """Delete the recorded calls and reset counters and peaks."""
        self._send("DELETE", "calls")

    def stats(self, hub_id: int | None = None) -> Json:
        """Return the counters of one account, or `{"totals": …, "accounts": {hub_id as text: …}}`."""
        stats = self._send("GET", "stats")
        return stats if hub_id is None else dict(stats["accounts"][str(hub_id)])

    def set_latency(self, latency_s: float) -> None:
        """Delay every answer by `latency_s`, on top of the latency of its account."""
        self._send("PUT", "latency", {"latency_s": latency_s})

    def reset(self) -> None:
        """Delete all accounts, tokens, faults and calls."""
        self._send("POST", "reset")

    def _send(self, method: str, path: str, body: object = None, *, query: dict[str, Any] | None = None) -> Json:
        url = f"{self.base_url}/__sandbox/{path}"
        answer = self._session.request(method, url, json=body, params=query, timeout=self._timeout_s)
        if not answer.ok:
            raise ControlError(f"{method} {path}: {answer.text}")
        return dict(answer.json())
