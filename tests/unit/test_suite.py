"""The suite itself: no test depends on how long the others took before its turn came."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
FOLDERS = ("tests", "sandbox")
CLOCKS = {
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"},
}

Function = tuple[str, str]  # the module it is defined in, and its name


class Module:
    """What one file defines, imports and calls."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self._tree = ast.parse(source)
        self._imported = {
            alias.asname or alias.name: (statement.module or "", alias.name)
            for statement in ast.walk(self._tree)
            if isinstance(statement, ast.ImportFrom)
            for alias in statement.names
        }

    def functions(self) -> Iterator[tuple[Function, set[Function]]]:
        """Yield the functions at the top of the file, each with what it calls."""
        for statement in self._tree.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                calls = [each for part in statement.body for each in ast.walk(part) if isinstance(each, ast.Call)]
                yield (self.name, statement.name), set(map(self._called, calls))

    def called_at_import(self) -> Iterator[tuple[Function, int]]:
        """Yield what is called when the file is imported, for parameters and default values too, and in which line."""
        return ((self._called(call), call.lineno) for call in _calls_now(self._tree))

    def _called(self, call: ast.Call) -> Function:
        match call.func:
            case ast.Name(id=name):
                return self._imported.get(name, (self.name, name))
            case ast.Attribute(value=ast.Name(id=owner), attr=name):
                return owner, name
        return "", ""


def _calls_now(node: ast.AST) -> Iterator[ast.Call]:
    for child in _evaluated(node):
        if isinstance(child, ast.Call):
            yield child
        yield from _calls_now(child)


def _evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the parts of a statement or expression that run as soon as it does: not the bodies of functions."""
    if isinstance(node, ast.Lambda):
        yield node.args
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from (*node.decorator_list, node.args)
    else:
        yield from ast.iter_child_nodes(node)


def clock_reads_at_import(sources: Mapping[str, str]) -> list[str]:
    """Name each place, `module:line`, that reads a clock when its module is imported."""
    modules = [Module(name, source) for name, source in sources.items()]
    functions = [found for module in modules for found in module.functions()]
    reading = {(owner, name) for owner, names in CLOCKS.items() for name in names}
    while found := {name for name, called in functions if name not in reading and called & reading}:
        reading |= found
    return [
        f"{module.name}:{line}" for module in modules for called, line in module.called_at_import() if called in reading
    ]


def test_no_instant_is_taken_when_tests_are_collected() -> None:
    """An instant of the collection is as old as the tests before it took, which nobody knows."""
    files = [file for folder in FOLDERS for file in (PROJECT / folder).rglob("*.py")]
    names = {".".join(file.relative_to(PROJECT).with_suffix("").parts): file for file in files}

    assert clock_reads_at_import({name: file.read_text() for name, file in names.items()}) == []


@pytest.mark.parametrize(
    "source",
    [
        "NOW = datetime.now(UTC)",
        "BEGAN = time.monotonic()",
        "from time import time\nBEGAN = time()",
        "LATER = [each + datetime.now(UTC) for each in HOURS]",
        "def f(at=datetime.now(UTC)): ...",
        "@parametrize('at', [date.today()])\ndef f(at): ...",
        "class World:\n    began = time.time()",
        "def now(): return datetime.now(UTC)\nNOW = now()",
        "from tests.clocks import present as now\nNOW = [now()]",
        "from tests.clocks import present\ndef new(): return Job(present())\nJOB = new()",
    ],
)
def test_an_instant_of_the_collection_is_noticed(source: str) -> None:
    clocks = "def present(): return datetime.now(UTC)"

    assert len(clock_reads_at_import({"tests.clocks": clocks, "tests.test_a": source})) == 1


@pytest.mark.parametrize(
    "source",
    [
        "def test(): assert datetime.now(UTC)",
        "NOW = lambda: datetime.now(UTC)",
        "def f(clock=time.monotonic): ...",
        "NOW = datetime(2026, 11, 23, tzinfo=UTC)",
        "from elsewhere import present\nNOW = present()",
    ],
)
def test_an_instant_of_a_tests_own_is_let_be(source: str) -> None:
    clocks = "def present(): return datetime.now(UTC)"

    assert clock_reads_at_import({"tests.clocks": clocks, "tests.test_a": source}) == []
