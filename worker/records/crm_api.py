"""CrmApi: which of HubSpot's two generations of APIs a list is read from."""

from __future__ import annotations

from enum import StrEnum


class CrmApi(StrEnum):
    """The v1 and v2 lists, or the object lists of the dated API. Ids are shared by both."""

    LEGACY = "legacy"
    DATED = "dated"
