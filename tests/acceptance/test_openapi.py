"""The served OpenAPI document against the running shim: whatever is sent, the answer is one that it declares."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.configuration import python_environment
from sandbox.stack import Stack
from tests.acceptance.conftest import connect
from tests.patience import PATIENCE_S

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
)


@pytest.mark.parametrize(
    "operations",
    [("--exclude-path-regex", "/connect"), ("--include-path-regex", "/connect")],
    ids=["all but connections", "connections"],  # which may be removed, and then there is nothing to export
)
def test_every_answer_is_one_that_the_document_declares(
    stack: Stack, further_settings: dict[str, str], tmp_path: Path, operations: tuple[str, str]
) -> None:
    most = "10" if further_settings else "25"  # the second time it is about the words that enumerate types
    client = connect(stack, contacts=30, companies=5, deals=30, engagements=5)

    tried = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION)),
            *("run", f"{stack.shim_url}/openapi.json", *operations),
            *("--header", f"Authorization: Bearer {client.token}"),
            *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing", "--continue-on-failure"),
            *("--max-examples", most, "--generation-deterministic", "--no-color"),
        ],
        cwd=tmp_path,
        env=python_environment(),
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE_S,
        check=False,
    )

    assert tried.returncode == 0, tried.stdout + tried.stderr
