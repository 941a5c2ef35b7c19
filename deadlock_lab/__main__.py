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
from .script_live import PATIENCE, LiveScript

__all__ = ["main"]

_CANNOT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line.

    Args:
        arguments: the words after the command's name; by default ``sys.argv[1:]``.

    Returns:
        The exit status: 0 finished, 1 failed, 3 deadlock, 4 runaway, 130 Ctrl-C, 2 for a
        command that could not be carried out.
    """
    options = _parser().parse_args(arguments)
    if not options.script.is_file():
        return _cannot(f"there is no file {options.script}")
    return _on_real_loops(options) if options.live else _on_ours(options)


def _on_real_loops(options: argparse.Namespace) -> int:
    live = LiveScript(options.patience, lambda text: print(text, flush=True))
    try:
        status = live.run(options.script, options.arguments)
    except Exception:  # noqa: BLE001 (whatever the script raised, shown as Python would)
        traceback.print_exc()
        return STATUS[Outcome.FAILED]
    except SystemExit as leaving:
        return _status(leaving)
    return status if live.loops else _cannot(f"{options.script} never ran an event loop")


def _on_ours(options: argparse.Namespace) -> int:
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


def _seconds(text: str) -> float:
    seconds = float(text)
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"must be above 0, but is {text}")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deadlock_lab", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    command = commands.add_parser(
        "run",
        help="run an asyncio script on the lab's loop and explain how it ended",
        description="Run an unmodified script, each of its asyncio.run(…) in virtual time. "
        "Exit status: 0 finished, 1 failed, 3 deadlock, 4 runaway, 2 nothing was run.",
    )
    command.add_argument(
        "--live",
        action="store_true",
        help="run it on its own real loop, with real sockets and threads, under watch. A sure "
        "deadlock of main is explained and ends it (status 3); one beside main is explained; "
        "Ctrl-C explains where everyone stands (status 130)",
    )
    command.add_argument(
        "--patience",
        type=_seconds,
        default=PATIENCE,
        metavar="SECONDS",
        help="with --live: after so many seconds without any task moving, say once where "
        "everyone stands, and go on; default: %(default)g",
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
