"""Earlier values of a property, the same in both APIs."""

from dataclasses import dataclass

from sandbox.fake_hubspot.records.more_properties import dated_value
from sandbox.fake_hubspot.records.shape import Shape


@dataclass(frozen=True)
class Version:
    """One value of a property; `at` is the slot of its time: created, between or modified."""

    value: str
    at: str
    source: str = "API"
    source_id: str | None = None
    label: str | None = None
    user_id: int | None = None

    @property
    def at_ms(self) -> str:
        """The slot of the time in milliseconds, as a number."""
        return f"{{{{#{self.at}}}}}"


def versions(value: str, shape: Shape) -> list[Version]:
    """Return the values of a property, latest first: two, or three from different sources."""
    if not shape.long_history:
        return [Version(value, "modified"), Version("", "created")]
    return [
        Version(value, "modified", "CRM_UI", "userId:7", "Zoë O'Brien", 7),
        Version(value, "between"),
        Version("", "created", "IMPORT", "import-12"),
    ]


def dated_versions(name: str, value: str, shape: Shape) -> list[dict[str, object]]:
    """Return a history as the dated API shows it: fields without a value are omitted."""
    return [_dated(name, each) for each in versions(value, shape)]


def _dated(name: str, version: Version) -> dict[str, object]:
    known = {"sourceId": version.source_id, "sourceLabel": version.label, "updatedByUserId": version.user_id}
    return {
        "value": dated_value(name, version.value),
        "timestamp": f"{{{{{version.at}_iso}}}}",
        "sourceType": version.source,
        **{key: each for key, each in known.items() if each is not None},
    }
