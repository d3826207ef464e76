"""One call in progress: the request, when it came, whose it is and what it is asking for."""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.portal.accounts import Account
from sandbox.portal.messages import Answer, Request
from sandbox.portal.tokens import AccessToken


@dataclass(frozen=True)
class Call:
    """A request with all that is known about it before it is answered; `at` is epoch seconds."""

    request: Request
    at: float
    correlation_id: str
    request_id: str
    route: "Route | None" = None
    token: AccessToken | None = None
    """The access token that was sent, live or expired; None if unknown or missing."""
    account: Account | None = None

    @property
    def hub_id(self) -> int | None:
        """Account that the credentials name."""
        return self.account.hub_id if self.account else None

    @property
    def type(self) -> str | None:
        """Name of the route: a record type, `notes` (dated), `search`, `token`, …; None for an unknown path."""
        return self.route.name if self.route else None

    @property
    def owner(self) -> Account:
        """The account, in handlers of routes that need one."""
        if self.account is None:
            raise LookupError(f"no account is known for {self.request.path}")
        return self.account


@dataclass(frozen=True)
class Route:
    """What answers one method and path; routes with scopes need an access token that has any one of them."""

    name: str
    answer: Callable[[Call], Answer]
    scopes: tuple[str, ...] = ()
    is_search: bool = False
    """Searches have a limit of their own, and count for no other."""
