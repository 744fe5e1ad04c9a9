"""The command line: parse, one call, render. Only this package prints or exits."""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import traceback
from types import FrameType

import click

from edgenas import __version__
from edgenas.errors import EdgeNasError, nearest

# command -> the module of this package that defines it (imported when it is called or listed)
COMMANDS = {
    "search": "search",
    "train": "train",
    "package": "package",
    "space": "space",
    "probe": "target",
    "measure": "steps",
    "evaluate": "steps",
    "fit": "tables",
    "predict": "tables",
    "optimize": "optimize",
    "pick": "pick",
    "export": "steps",
    "verify": "verify",
    "profile": "profile",
    "explain": "explain",
    "report": "steps",
    "submit": "submit",
    "target": "target",
}
INTERRUPTED = 130
INTERNAL_ERROR = 70


class _Commands(click.Group):
    """Commands by name, in the order of the flow; an unknown one names the nearest."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"edgenas.cli.{COMMANDS[cmd_name]}")
        command = getattr(module, cmd_name)
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"No command '{args[0]}'. {nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgenas")
def edgenas() -> None:
    """Find the most accurate int8 network that runs within a latency budget on your board.

    \b
    Start here:
      edgenas search                          digits, on this machine, a few minutes
      edgenas search --data imagefolder:DIR --max-latency 5ms

    Each step of a search is a command of its own that works on the same run folder. All take
    --json (one document on stdout) and --debug (tracebacks).
    """


def run() -> None:
    """Run the command line: the entry point of `edgenas`."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    signal.signal(signal.SIGTERM, _terminated)
    try:
        # returns the code of an Exit that a command raised, else what the command returned: None
        code = edgenas.main(arguments, prog_name="edgenas", standalone_mode=False) or 0
    except click.ClickException as problem:
        context = getattr(problem, "ctx", None)
        hint = f"Try: {context.command_path} --help" if context else "Try: edgenas --help"
        code = _fail(problem.format_message(), hint, 2, arguments)
    except EdgeNasError as problem:
        if debug:
            traceback.print_exc()
        code = _fail(problem.message, problem.hint, problem.exit_code, arguments)
    except (KeyboardInterrupt, click.Abort):
        hint = "Finished work is kept: run the same command with --resume to go on."
        code = _fail("Interrupted.", hint, INTERRUPTED, arguments)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as problem:  # the user's files and disks: no bug of edgenas
        if debug:
            traceback.print_exc()
        what = problem.filename or "a file"
        hint = "See that it is there, that you may read and write it, and that its disk has room."
        code = _fail(f"Cannot use {what}: {problem.strerror or problem}.", hint, 2, arguments)
    except Exception as problem:  # noqa: BLE001 - the last line of defence: no traceback for users
        if debug:
            traceback.print_exc()
        summary = f"Internal error: {type(problem).__name__}: {problem}"
        hint = "This is a bug in edgenas. Run again with --debug for the traceback."
        code = _fail(summary, hint, INTERNAL_ERROR, arguments)
    sys.exit(code)


def _fail(message: str, hint: str, code: int, arguments: list[str]) -> int:
    print(f"edgenas: {message}", file=sys.stderr)
    if hint:
        print(f"  {hint}", file=sys.stderr)
    if "--json" in arguments:
        print(json.dumps({"status": "error", "error": message, "hint": hint}))
    return code


def _terminated(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
