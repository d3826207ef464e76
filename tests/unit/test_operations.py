"""docs/operations: alerts, dashboard and runbook speak of metrics and labels that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from api_shim.operations.http_connections import Connections
from api_shim.operations.metrics import (
    ConnectionCounts,
    RequestMetrics,
    StoredState,
    read_connections,
    read_gone_lists,
    read_jobs,
)
from tests.fakes.clock import ManualClock
from tests.fakes.connections import InMemoryConnectionStore
from tests.fakes.gone_lists import InMemoryGoneListStore
from tests.fakes.stores import InMemoryJobStore
from tests.fakes.tokens import InMemoryTokenStore
from worker.accounts.health import TokenHealth
from worker.telemetry.metrics import NAMESPACE, ExportMetrics, JobMetrics, new_registry

DOCS = Path(__file__).resolve().parents[2] / "docs"
RUNBOOK = (DOCS / "operations.md").read_text()
ALERTS: list[dict[str, Any]] = yaml.safe_load((DOCS / "operations" / "alerts.yml").read_text())["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((DOCS / "operations" / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

_METRIC = re.compile(rf"\b(?:{NAMESPACE}|process)_[a-z_]+")
_SELECTED = re.compile(rf"\b({NAMESPACE}_[a-z_]+)\{{([^}}]*)\}}")
_GROUPED = re.compile(rf"by \(([^)]*)\) \(+(?:rate\()?({NAMESPACE}_[a-z_]+)")
_SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}


def known() -> dict[str, tuple[str, set[str]]]:
    """Return every sample's name, with the metric that it belongs to and the labels that it has."""
    registry = new_registry()
    kinds = (ExportMetrics(registry), JobMetrics(registry), RequestMetrics(registry, waiting=lambda: 0))
    ours = [metric for kind in kinds for metric in vars(kind).values()]
    clock = ManualClock()
    health = TokenHealth(connections=InMemoryConnectionStore(), tokens=InMemoryTokenStore())
    readings = (
        partial(read_jobs, InMemoryJobStore(clock)),
        partial(read_connections, health),
        partial(read_gone_lists, InMemoryGoneListStore(clock)),
    )
    registry.register(StoredState(readings))
    registry.register(ConnectionCounts(Connections(most=100)))
    labels = {metric._name: metric._labelnames for metric in ours}  # noqa: SLF001 - nothing else tells of labels
    return {
        f"{family.name}{suffix}": (
            f"{family.name}_total" if family.type == "counter" else family.name,
            {*labels.get(family.name, getattr(family, "_labelnames", ())), "le"},
        )
        for family in registry.collect()
        for suffix in _SUFFIXES[family.type]
    }


KNOWN = known()
NOT_OURS = {"instance", "job"}


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in ALERTS)
    yield from (target["expr"] for panel in PANELS for target in panel["targets"])


@pytest.mark.parametrize("expression", list(expressions()))
def test_every_metric_and_label_of_an_expression_exists(expression: str) -> None:
    named = _METRIC.findall(expression)
    selected = [
        (name, label) for name, labels in _SELECTED.findall(expression) for label in re.findall(r"(\w+)\s*[=!]", labels)
    ]
    grouped = [(name, label) for labels, name in _GROUPED.findall(expression) for label in labels.split(", ")]

    assert named
    assert set(named) <= KNOWN.keys()
    for name, label in selected + grouped:
        assert label in KNOWN[name][1] | NOT_OURS, (name, label)


def test_the_runbook_names_every_metric_of_ours_and_no_other() -> None:
    ours = {metric.removeprefix(f"{NAMESPACE}_") for metric, _ in KNOWN.values() if metric.startswith(NAMESPACE)}
    named = set(re.findall(r"`([a-z_]+)`", RUNBOOK.partition("## Questions")[2].partition("## Logs")[0]))

    assert ours <= named
    assert {name for name in named if name.endswith(("_total", "_seconds"))} <= ours


def test_an_alert_says_how_bad_it_is_and_what_has_happened() -> None:
    assert len({rule["alert"] for rule in ALERTS}) == len(ALERTS)
    for rule in ALERTS:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert re.match(r"[A-Z].*\w$", rule["annotations"]["summary"])


def test_a_panel_says_what_it_shows_and_takes_the_chosen_prometheus() -> None:
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert all(target["legendFormat"] for target in panel["targets"])


def test_panels_do_not_cover_each_other() -> None:
    def cells(place: Mapping[str, int]) -> set[tuple[int, int]]:
        columns, rows = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        return {(x, y) for x in columns for y in rows}

    all_cells = [cell for panel in DASHBOARD["panels"] for cell in cells(panel["gridPos"])]

    assert len(all_cells) == len(set(all_cells))
    assert max(x for x, _ in all_cells) < 24
