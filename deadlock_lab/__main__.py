"""The command: ``python -m deadlock_lab run script.py``."""

import argparse
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from ._face import Run
from .engine.loop import MAX_STEPS, MAX_TIME
from .engine.recording import Outcome
from .script import STATUS, run_script

__all__ = ["main"]

_CANNOT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line.

    Args:
        arguments: the words after the command's name; by default ``sys.argv[1:]``.

    Returns:
        The exit status: 0 finished, 1 failed, 3 deadlock, 4 runaway, 2 for a command
        that could not be carried out.
    """
    options = _parser().parse_args(arguments)
    if not options.script.is_file():
        return _cannot(f"there is no file {options.script}")
    runs: list[Run] = []

    def report(run: Run) -> None:
        runs.append(run)
        print(run.explain(), flush=True)

    limits = {"max_steps": options.max_steps, "max_time": options.max_time}
    try:
        run_script(options.script, options.arguments, report, **limits)
    except SystemExit as leaving:
        return max(_worst(runs), _status(leaving))
    except Exception:  # noqa: BLE001 (whatever the script raised, shown as Python would)
        traceback.print_exc()
        return max(_worst(runs), STATUS[Outcome.FAILED])
    if not runs:
        return _cannot(f"{options.script} never called asyncio.run(), so no loop ran")
    return _worst(runs)


def _worst(runs: Sequence[Run]) -> int:
    # A script that catches its error has dealt with it; a deadlock cannot be caught.
    worst = max((STATUS[run.outcome] for run in runs), default=0)
    return 0 if worst == STATUS[Outcome.FAILED] else worst


def _status(leaving: SystemExit) -> int:
    """Turn what a script gave to ``sys.exit`` into a status, as Python does."""
    if leaving.code is None or isinstance(leaving.code, int):
        return leaving.code or 0
    print(leaving.code, file=sys.stderr)
    return 1


def _cannot(reason: str) -> int:
    print(f"deadlock_lab: {reason}", file=sys.stderr)
    return _CANNOT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deadlock_lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    command = commands.add_parser(
        "run",
        help="run an asyncio script on the lab's loop and explain how it ended",
        description="Run an unmodified script, each of its asyncio.run(…) in virtual time. "
        "Exit status: 0 finished, 1 failed, 3 deadlock, 4 runaway, 2 nothing was run.",
    )
    command.add_argument("script", type=Path)
    command.add_argument("arguments", nargs=argparse.REMAINDER, help="passed to the script")
    command.add_argument("--max-steps", type=int, default=MAX_STEPS, help="default: %(default)s")
    command.add_argument(
        "--max-time", type=float, default=MAX_TIME, help="virtual seconds; default: %(default)s"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
