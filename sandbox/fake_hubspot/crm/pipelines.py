"""Pipelines and their stages, /crm/pipelines/2026-09/{type}: the same in every account, with its records' stages."""

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.fake_hubspot.call import Call
from sandbox.fake_hubspot.messages import Answer

VERSIONS = ("/crm/pipelines/2026-03", "/crm/pipelines/2026-09", "/crm/v3/pipelines")
_CREATED_AT = "1970-01-01T00:00:00Z"
_UPDATED_AT = "2026-01-10T00:00:00.000Z"


@dataclass(frozen=True)
class Pipeline:
    """A pipeline with its stages: id, label and metadata of each, in order."""

    id: str
    label: str
    stages: tuple[tuple[str, str, Mapping[str, str]], ...]

    def view(self) -> dict[str, object]:
        """Return the pipeline as HubSpot shows it; whatever metadata hold, they are texts."""
        return {
            "label": self.label,
            "displayOrder": 0,
            "id": self.id,
            "stages": [
                {
                    "label": label,
                    "displayOrder": order,
                    "metadata": metadata,
                    "id": stage_id,
                    "createdAt": _CREATED_AT,
                    "updatedAt": _CREATED_AT,
                    "archived": False,
                    "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
                }
                for order, (stage_id, label, metadata) in enumerate(self.stages)
            ],
            "createdAt": _CREATED_AT,
            "updatedAt": _UPDATED_AT,
            "archived": False,
        }


def _open(**metadata: str) -> dict[str, str]:
    return {"isClosed": "false", **metadata}


def _closed(**metadata: str) -> dict[str, str]:
    return {"isClosed": "true", **metadata}


_LIFECYCLE: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    ("subscriber", "Subscriber", {}),
    ("lead", "Lead", {}),
    ("opportunity", "Opportunity", {}),
    ("customer", "Customer", {}),
)
PIPELINES: Mapping[str, tuple[Pipeline, ...]] = {
    "contacts": (Pipeline("contacts-lifecycle-pipeline", "Lifecycle Stage Pipeline", _LIFECYCLE),),
    "companies": (Pipeline("companies-lifecycle-pipeline", "Lifecycle Stage Pipeline", _LIFECYCLE),),
    "deals": (
        Pipeline(
            "default",
            "Sales Pipeline",
            (
                ("appointmentscheduled", "Appointment Scheduled", _open(probability="0.2")),
                ("qualifiedtobuy", "Qualified To Buy", _open(probability="0.4")),
                ("presentationscheduled", "Presentation Scheduled", _open(probability="0.6")),
                ("decisionmakerboughtin", "Decision Maker Bought-In", _open(probability="0.8")),
                ("contractsent", "Contract Sent", _open(probability="0.9")),
                ("closedwon", "Closed Won", _closed(probability="1.0")),
                ("closedlost", "Closed Lost", _closed(probability="0.0")),
            ),
        ),
    ),
    "tickets": (
        Pipeline(
            "0",
            "Support Pipeline",
            (
                ("1", "New", _open(ticketState="OPEN")),
                ("2", "Waiting on contact", _open(ticketState="OPEN")),
                ("3", "Waiting on us", _open(ticketState="OPEN")),
                ("4", "Closed", _closed(ticketState="CLOSED")),
            ),
        ),
    ),
    "leads": (
        Pipeline(
            "lead-pipeline-id",
            "Lead pipeline",
            (
                ("new-stage-id", "New", _open(leadState="NEW")),
                ("attempting-stage-id", "Attempting", _open(leadState="IN_PROGRESS")),
                ("connected-stage-id", "Connected", _open(leadState="IN_PROGRESS")),
                ("qualified-stage-id", "Qualified", _closed(leadState="QUALIFIED")),
                ("unqualified-stage-id", "Disqualified", _closed(leadState="UNQUALIFIED")),
            ),
        ),
    ),
}
"""By type; contacts and companies have their lifecycle stages as one. What HubSpot answers for a type without pipelines
is not known; here it is an empty list.
"""


def answer(type_: str, _: Call) -> Answer:
    return Answer.json(200, {"results": [each.view() for each in PIPELINES.get(type_, ())]})
