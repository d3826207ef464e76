"""The sandbox's HubSpot knows nothing of the product: a shared mistake would hide in both."""

import subprocess
import sys

MODULES = ("sandbox.hubspot", "sandbox.control", "sandbox.fake_hubspot.hubspot", "sandbox.fake_hubspot.control.api")


def test_importing_it_loads_nothing_of_the_product_and_no_test_library() -> None:
    code = f"import sys, {', '.join(MODULES)}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert {"worker", "api_shim", "celeryconfig", "celery", "pymongo", "responses"}.isdisjoint(ended.stdout.split())
