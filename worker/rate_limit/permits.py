"""Permit: one call to HubSpot that the rate limit allows, from before it leaves until its answer has come."""

from __future__ import annotations

from typing import Protocol

PERMIT_S = 5.0
"""How long a permit lets its call leave after Redis has last confirmed that it counts the call."""

DELIVERY_S = 10.0
"""A request that has left reaches its host within this time, or the kernel drops it (TCP_USER_TIMEOUT)."""

PRESUMED_OVER_S = 25.0
"""The calls of a process that no longer reports count as ended so long after its last report.

A call leaves within PERMIT_S and is delivered within DELIVERY_S. The rest is a margin for a process that is suspended
between the check of its permit and the write to the socket, and for the time that HubSpot takes to count the call.
"""


class Permit(Protocol):
    """What a call needs to leave. The call counts until `settle` or `close`; a second one of either does nothing."""

    def leave(self) -> None:
        """Note that the call leaves now. Raises PermitExpiredError where it is too late.

        Called by the thread that writes the request, right before it does.
        """

    def settle(self) -> None:
        """End the call: HubSpot has answered, or the request can no longer reach it."""

    def close(self) -> None:
        """Give the permit up. A call that has not left was never made; one that has may still arrive."""


class FreePermit:
    """A Permit where there is no limit."""

    def leave(self) -> None:
        """Do nothing: the call may leave."""

    def settle(self) -> None:
        """Do nothing: no call is counted."""

    def close(self) -> None:
        """Do nothing: no call is counted."""


FREE_PERMIT = FreePermit()


def free_permit() -> Permit:
    """Return the permit of a call that nothing limits."""
    return FREE_PERMIT
