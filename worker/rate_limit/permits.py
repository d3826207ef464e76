"""Permit: one call to HubSpot that the rate limit allows, from before it leaves until its answer has come."""

from __future__ import annotations

from typing import Protocol

PERMIT_S = 5.0
"""How long a permit lets its call leave after Redis has last confirmed that it counts the call."""

DELIVERY_S = 10.0
"""Within so long a request that has left reaches its host, or the kernel gives it up (TCP_USER_TIMEOUT)."""

PRESUMED_OVER_S = 25.0
"""The calls of a process that has fallen silent count as over so long after its last report.

It left within PERMIT_S and was delivered within DELIVERY_S. The rest is for a process that is stopped between the last
look at its permit and the write to the socket, and for the time that HubSpot takes until it counts the call.
"""


class Permit(Protocol):
    """What a call needs to leave. The call counts until it is told to be over; both ends may be told twice."""

    def leave(self) -> None:
        """Note that the call leaves now. Raises PermitExpiredError where it is too late for that.

        To be called by the thread that writes the request, right before it does.
        """

    def settle(self) -> None:
        """Note that the call is over: HubSpot has answered, or the request can no longer reach it."""

    def close(self) -> None:
        """Give the permit up. A call that has not left was not made; one that has may still arrive."""


class FreePermit:
    """A Permit where there is no limit."""

    def leave(self) -> None:
        """Do nothing: the call may leave."""

    def settle(self) -> None:
        """Nothing is counted."""

    def close(self) -> None:
        """Nothing is counted."""


FREE_PERMIT = FreePermit()
