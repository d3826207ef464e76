"""The commands of `python -m sandbox`: each error becomes one message and one exit status."""

from __future__ import annotations

import argparse
import sys
from io import TextIOWrapper

from sandbox.commands.interruptions import Interruptions

_FAILED = 1
_UNUSABLE = 2


def main() -> int:
    """Run a command and return its exit status: 0, 1 (failed), 2 (cannot start on this machine), 130 (Ctrl-C)."""
    with Interruptions() as interruptions:
        arguments = _parser().parse_args()
        status = _run(arguments.command, interruptions)
        return interruptions.exit_status or status


def _run(command: str, interruptions: Interruptions) -> int:
    # Imported late: this takes a while, and the signal handlers have to be installed before.
    from rich.console import Console  # noqa: PLC0415

    from sandbox.commands.demo import run as run_demo  # noqa: PLC0415
    from sandbox.commands.demo_setup import DemoError  # noqa: PLC0415
    from sandbox.commands.interruptions import StopRequestedError  # noqa: PLC0415
    from sandbox.commands.up import run as run_up  # noqa: PLC0415
    from sandbox.processes import ProcessFailedError  # noqa: PLC0415
    from sandbox.servers.binaries import UnusableBinaryError  # noqa: PLC0415

    commands = {"demo": run_demo, "up": run_up}
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # record names use many scripts, not every terminal can show them
    try:
        interruptions.check()
        commands[command](interruptions, console=Console())
    except StopRequestedError:
        sys.stderr.write("\nStopped.\n")
    except UnusableBinaryError as error:
        sys.stderr.write(f"{error}\n")
        return _UNUSABLE
    except ProcessFailedError as error:
        sys.stderr.write(f"{error}. The last lines of its log:\n{error.log_tail}\n")
        return _FAILED
    except DemoError as error:
        sys.stderr.write(f"{error}\n")
        return _FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="The whole product on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="export all four types of a made-up account, check the result, stop")
    commands.add_parser("up", help="keep running for hand use until Ctrl-C")
    return parser
