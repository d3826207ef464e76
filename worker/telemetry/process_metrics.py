"""The metrics of several worker processes on one port: counters are summed, resources are labelled by process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

_PROCESS = "process"


def merged_registry(folder: str, pids: Callable[[], Mapping[int, int]]) -> CollectorRegistry:
    """Return a registry of what the processes write into `folder` (`PROMETHEUS_MULTIPROC_DIR`).

    The counts of a process that has ended stay, so that counters never fall. `pids` are those of running processes by
    number.
    """
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
    registry.register(_Processes(pids))
    return registry


class _Processes(Collector):
    def __init__(self, pids: Callable[[], Mapping[int, int]]) -> None:
        self._pids = pids

    def collect(self) -> Iterable[Metric]:
        """Return memory, CPU time and open files of each running process, labelled with its number."""
        merged: dict[str, Metric] = {}
        for number, pid in self._pids().items():
            for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                shown = merged.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                for sample in metric.samples:
                    shown.add_sample(sample.name, {_PROCESS: str(number)}, sample.value)
        return merged.values()
