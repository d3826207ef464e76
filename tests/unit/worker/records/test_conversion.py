"""Conversion: many threads may need a class for the first time at once."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
ONE_THREAD = ("worker/records/conversion.py", "api_shim/commands/")

# Makes classes, and has several threads convert to each for the first time at once; ends with 0 when all could.
RACE = """
import sys, threading, types
from dataclasses import dataclass
from worker.records import conversion

SOURCE = '''
from __future__ import annotations
from dataclasses import dataclass

@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    number: int = 0
    text: str | None = None

@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    inner: Inner
    others: tuple[Inner, ...] = ()
    numbers: dict[str, int] | None = None
'''
STORED = {"inner": {"number": 1}, "others": [{"number": 2}], "numbers": {"a": 1}}

sys.setswitchinterval(1e-6)
for number in range(300):
    module = types.ModuleType(f"made_{number}")
    sys.modules[module.__name__] = module
    exec(SOURCE, module.__dict__)
    start, found = threading.Barrier(4), []

    def convert(kind=module.Outer, start=start, found=found):
        start.wait()
        found.append(conversion.convert(STORED, kind).others[0].number)

    threads = [threading.Thread(target=convert) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [2, 2, 2, 2], found
"""


def test_threads_that_need_a_class_for_the_first_time_at_once_all_get_it() -> None:
    """Without the lock the process ends by SIGSEGV."""
    run = subprocess.run([sys.executable, "-c", RACE], capture_output=True, text=True, check=False, timeout=100)

    assert run.returncode == 0, run.stderr


def test_nobody_else_converts_to_a_class_that_may_not_be_prepared() -> None:
    found = [
        f"{name}:{call.lineno}"
        for folder in ("worker", "api_shim")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not (name := str(path.relative_to(ROOT))).startswith(ONE_THREAD)
        for call in unprepared(path.read_text())
    ]
    assert found == []


def unprepared(source: str) -> list[ast.Call]:
    """Find conversions to a class, and decoders that are made elsewhere than at the top of a module."""
    tree = ast.parse(source)
    at_the_top = {id(call) for node in tree.body if isinstance(node, ast.Assign) for call in ast.walk(node)}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        call
        for call in calls
        if ast.unparse(call.func) == "msgspec.convert"
        or (ast.unparse(call.func) == "msgspec.json.decode" and any(word.arg == "type" for word in call.keywords))
        or (ast.unparse(call.func) == "msgspec.json.Decoder" and id(call) not in at_the_top)
    ]


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("msgspec.convert(value, Kind)", 1),
        ("msgspec.json.decode(text, type=Kind)", 1),
        ("msgspec.json.decode(text)", 0),
        ("_decode = msgspec.json.Decoder(Kind).decode", 0),
        ("def read():\n    return msgspec.json.Decoder(Kind).decode(text)", 1),
    ],
)
def test_what_is_not_prepared_is_noticed(source: str, count: int) -> None:
    assert len(unprepared(source)) == count
