"""The commands of `python -m sandbox`, and what becomes of their errors: one message, one exit status."""

from __future__ import annotations

import argparse
import sys
from io import TextIOWrapper

from sandbox.interruptions import Interruptions

_FAILED = 1
_UNUSABLE = 2


def main() -> int:
    """Run a command; answer its exit status: 0, 1 (something failed), 2 (cannot start here), 130 (Ctrl-C)."""
    with Interruptions() as interruptions:
        arguments = _parser().parse_args()
        status = _run(arguments.command, interruptions)
        return interruptions.exit_status or status


def _run(command: str, interruptions: Interruptions) -> int:
    # Only here: loading these takes a while, and a signal must find its handler by then.
    from rich.console import Console  # noqa: PLC0415

    from sandbox import demo, up  # noqa: PLC0415
    from sandbox.binaries import UnusableBinaryError  # noqa: PLC0415
    from sandbox.interruptions import StopRequestedError  # noqa: PLC0415
    from sandbox.processes import ProcessFailedError  # noqa: PLC0415
    from sandbox.showcase import ShowcaseError  # noqa: PLC0415

    commands = {"demo": demo.run, "up": up.run}
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # names come from all over the world, terminals do not
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
    except ShowcaseError as error:
        sys.stderr.write(f"{error}\n")
        return _FAILED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="The whole product on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="export all four types of a made-up account, check the result, stop")
    commands.add_parser("up", help="keep running for hand use until Ctrl-C")
    return parser
