"""The addresses of the dated API: all follow from that of its objects, with the same origin and version."""

from __future__ import annotations

from urllib.parse import quote

from worker.errors import FatalHubSpotError

_OBJECTS = "/crm/objects/"
_UNKNOWN = f"HUBSPOT_OBJECTS_ENDPOINT has no {_OBJECTS} in it: where HubSpot's other lists are does not follow from it"


class DatedAddresses:
    """Addresses beside `{origin}/crm/objects/{version}`.

    Where that is of another form, only lists of objects can be had: all else raises FatalHubSpotError.
    """

    def __init__(self, objects_url: str) -> None:
        self._objects = objects_url.rstrip("/")

    def list_of(self, path: str) -> str:
        """Return a list by its path in the registry: beside the objects where that begins with a slash."""
        return self._beside(path) if path.startswith("/") else f"{self._objects}/{quote(path, safe='')}"

    def batch_read(self, path: str) -> str:
        return f"{self.list_of(path)}/batch/read"

    def search(self, path: str) -> str:
        return f"{self.list_of(path)}/search"

    def associations(self, of: str, to: str) -> str:
        return f"{self._beside('/crm/associations/')}{quote(of, safe='')}/{quote(to, safe='')}/batch/read"

    def properties(self, path: str) -> str:
        return f"{self._beside('/crm/properties/')}{quote(path, safe='')}"

    def pipelines(self, path: str) -> str:
        return f"{self._beside('/crm/pipelines/')}{quote(path, safe='')}"

    def schemas(self) -> str:
        return f"{self._beside('/crm-object-schemas/')}schemas"

    def owners(self) -> str:
        return self._beside("/crm/owners/")

    def _beside(self, path: str) -> str:
        origin, found, version = self._objects.rpartition(_OBJECTS)
        if not found:
            raise FatalHubSpotError(_UNKNOWN)
        return f"{origin}{path}{version}/"
