"""Which properties hold instants or days in every account: those that HubSpot itself defines as such; pure."""

from __future__ import annotations

import re
from functools import lru_cache

# What a customer has named `…date` may be anything; names that begin with `hs_` are HubSpot's alone.
_NAMES = (
    r"createdate|lastmodifieddate|closedate|hubspot_owner_assigneddate"
    r"|(?:first|recent)_(?:conversion|deal_created|deal_close)_date|first_(?:contact_createdate|outreach_date)"
    r"|notes_(?:last_contacted|last_updated|next_activity_date)|engagements_last_meeting_booked"
    r"|hs_(?:createdate|lastmodifieddate|timestamp)|hs_\w+_(?:date|timestamp)|hs_(?:v2_)?date_(?:entered|exited)_\w+"
)
_FURTHER = r"|hs_latest_meeting_activity|hs_(?:sales_)?email_(?:first|last)_(?:opened|clicked|replied)"
_has_column = re.compile(_NAMES).fullmatch
_is_known = re.compile(_NAMES + _FURTHER).fullmatch


@lru_cache(maxsize=4096)
def is_known_time(name: str) -> bool:
    return _is_known(name) is not None


def has_time_column(name: str) -> bool:
    """Whether files show the property in ISO 8601 as well: one name more would be a column more in those of today."""
    return _has_column(name) is not None
