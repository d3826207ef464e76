"""No process' clock decides what is due: who reads one is in a short list, with the reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Module -> why it may read the machine's own clock.
MAY_READ_IT = {
    "worker/broker/message_time.py": "where Redis may not be asked for its time, kombu does what it always did",
    "api_shim/auth/jwt.py": "how long a verified JWT stays good is told by the clock that PyJWT reads",
    "api_shim/commands/operations/doctor.py": "it compares the clock of the machine with MongoDB's",
}

# What reads it, by the names that the standard library has for it.
READS = {
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime", "asctime", "strftime"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}


def sources() -> list[Path]:
    found = [ROOT / "celeryconfig.py", *(ROOT / "worker").rglob("*.py"), *(ROOT / "api_shim").rglob("*.py")]
    return sorted(found)


def reads_of(tree: ast.AST) -> Iterator[str]:
    """Find what a module reads the clock by: `time.time`, `datetime.now`, or `from time import time`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if node.attr in READS.get(owner, ()) or node.attr == "CLOCK_REALTIME":
                yield f"{owner}.{node.attr}"
        if isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (f"time.{name.name}" for name in node.names if name.name in READS["time"])


def test_only_these_modules_read_the_machines_clock() -> None:
    found = {
        str(path.relative_to(ROOT)): sorted(set(reads))
        for path in sources()
        if (reads := list(reads_of(ast.parse(path.read_text()))))
    }
    assert found.keys() == MAY_READ_IT.keys(), found


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "import time\nclock = time.time",
        "from time import time_ns",
        "from datetime import datetime, UTC\ndatetime.now(UTC)",
        "import datetime\ndatetime.datetime.utcnow()",
        "from datetime import date\ndate.today()",
        "import time\ntime.clock_gettime(time.CLOCK_REALTIME)",
    ],
)
def test_every_way_of_reading_it_is_noticed(source: str) -> None:
    assert list(reads_of(ast.parse(source)))


@pytest.mark.parametrize(
    "source", ["import time\ntime.monotonic()", "import time\ntime.perf_counter()", "clock.now", "job.time"]
)
def test_other_clocks_are_none_of_it(source: str) -> None:
    assert not list(reads_of(ast.parse(source)))
