"""A call in progress: the request, its time, its route and its account."""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.fake_hubspot.account import Account
from sandbox.fake_hubspot.messages import Answer, Request
from sandbox.fake_hubspot.oauth.tokens import AccessToken


@dataclass(frozen=True)
class Call:
    """A request with its context; `at` is in epoch seconds."""

    request: Request
    at: float
    correlation_id: str
    request_id: str
    route: "Route | None" = None
    token: AccessToken | None = None
    """The access token of the request, live or expired; None if unknown or missing."""
    account: Account | None = None

    @property
    def hub_id(self) -> int | None:
        return self.account.hub_id if self.account else None

    @property
    def type(self) -> str | None:
        """Name of the route: a record type, `notes` (dated API), `search`, `token`, …; None for an unknown path."""
        return self.route.name if self.route else None

    @property
    def owner(self) -> Account:
        """The account. Raises LookupError without one, which routes with scopes rule out."""
        if self.account is None:
            raise LookupError(f"no account is known for {self.request.path}")
        return self.account


@dataclass(frozen=True)
class Route:
    """The handler of one method and path; with `scopes`, the access token needs any one of them."""

    name: str
    answer: Callable[[Call], Answer]
    scopes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    """Scopes that the access token needs besides, all of them."""
    is_search: bool = False
    """Searches have their own rate limit and do not count towards the other."""
