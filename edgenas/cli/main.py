"""The command line: parse, one call, render. Only this package prints or exits."""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib
import sys
import traceback
from typing import Any

import click

from edgenas import __version__
from edgenas.cli import interrupts, terminal
from edgenas.cli.terminal import emit_json, say
from edgenas.core.errors import ON_WINDOWS, EdgeNasError, InputError, nearest

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
    "bench": "bench",
    "quantize": "quantize",
    "shrink": "shrink",
    "roofline": "roofline",
    "grow": "grow",
    "explain": "explain",
    "report": "steps",
    "compare": "compare",
    "dashboard": "dashboard",
    "deploy": "deploy",
    "submit": "submit",
    "target": "target",
    "plugins": "plugins",
    "completion": "completion",
}
# what `edgenas --help` says of each, in one line of 80 columns; imports no command
SUMMARIES = {
    "search": "Find a network: all steps from training to the report.",
    "train": "Train the supernet of a space on images.",
    "package": "Make a trained supernet ready for searches without its images.",
    "space": "Say what a search space is: its size, layers and obstacles.",
    "probe": "Look at a target: machine, engines, sensors, what disturbs.",
    "measure": "Time sampled subnets as int8 on the target.",
    "evaluate": "Evaluate sampled subnets with inherited weights.",
    "fit": "Fit predictors of a run, or of a column of a table.",
    "predict": "Predict the rows of a table, with intervals.",
    "optimize": "Search for the best networks under the limit, by predictions.",
    "pick": "Pick the network of a run's frontier for another limit.",
    "export": "Export the candidates of the search as int8 models.",
    "verify": "Run the exported models on the target, or replay evidence.",
    "profile": "Time each operator of a model, and name what falls back.",
    "bench": "Time any model file on the target, as networks are timed.",
    "quantize": "Quantize your own float ONNX model to int8, and compare it.",
    "shrink": "Search for a smaller network within one that you trained.",
    "roofline": "Say how far each layer is from the machine's limits.",
    "grow": "Grow a network towards its limit by splitting channels.",
    "explain": "Say what each choice costs, and where the time goes.",
    "report": "Write the report, one self-contained page.",
    "compare": "Write a page that compares finished runs.",
    "dashboard": "Serve a page that shows runs live, on this computer alone.",
    "deploy": "Write the winner as an application without edgenas.",
    "submit": "Build, check and score a challenge submission.",
    "target": "Show target files, and clean what edgenas keeps on a board.",
    "plugins": "List the plug-ins, and why any cannot be used.",
    "completion": "Print what makes a shell complete commands and options.",
}
ANYWHERE = ("--debug", "--quiet", "--verbose")  # options of every command, at any place
INTERRUPTED = 130
OUTPUT_UNREAD = 1  # who read stdout has gone
INTERNAL_ERROR = 70


class _OtherPipeError(Exception):
    """A pipe broke; its cause says which error it was."""


class _Commands(click.Group):
    """Commands by name, in the order of the flow; an unknown one names the nearest."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"edgenas.cli.{COMMANDS[cmd_name]}")
        command = getattr(module, cmd_name)
        return _with_defaults(command) if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES[name]) for name in COMMANDS])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"No command '{args[0]}'. {nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as problem:  # click would take any for that of stdout, and exit
            raise _OtherPipeError from problem


_with_defaults_already: set[click.Command] = set()


def _with_defaults(command: click.Command) -> click.Command:
    """Return the command, which takes the defaults of `edgenas.toml` where it is called."""
    if isinstance(command, click.Group) or command.callback is None:
        return command
    called = command.callback

    @functools.wraps(called)
    def with_defaults(*arguments: Any, **options: Any) -> Any:
        from edgenas.cli import defaults

        defaults.apply(command.name or "", command.params, options)
        return called(*arguments, **options)

    if command not in _with_defaults_already:
        _with_defaults_already.add(command)
        command.callback = with_defaults
    return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgenas")
def edgenas() -> None:
    """Find the most accurate int8 network that runs within a latency budget on your board.

    \b
    Start here:
      edgenas search                       digits, on this machine, a few minutes
      edgenas search --data imagefolder:DIR --max-latency 5ms

    Each step of a search is a command of its own that works on the same run folder. All take
    --json (one document on stdout), --quiet (warnings and the result only), --verbose (a bar for
    each task) and --debug (tracebacks). Defaults of options may stand in edgenas.toml.
    """


def run() -> None:
    """Run the command line: the entry point of `edgenas`."""
    if sys.platform == "win32":
        say(ON_WINDOWS, err=True)
        sys.exit(InputError.exit_code)
    arguments = [argument for argument in sys.argv[1:] if argument not in ANYWHERE]
    debug = "--debug" in sys.argv[1:]
    level = [argument for argument in sys.argv[1:] if argument in ("--quiet", "--verbose")][-1:]
    terminal.set_verbosity({"--quiet": 0, "--verbose": 2}.get("".join(level), 1))
    stdout = terminal.prepare()
    interrupts.listen()
    code = 0
    failure: BaseException | None = None
    try:
        # returns the code of an Exit that a command raised, else what the command returned: None
        code = edgenas.main(arguments, prog_name="edgenas", standalone_mode=False) or 0
    except _OtherPipeError as problem:
        failure = problem.__cause__
    except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001 - no traceback for users
        failure = problem
    interrupts.end()
    if failure is not None and failure is not stdout.problem:
        code = _fail(failure, arguments, debug)
    terminal.finish()
    if stdout.problem is not None:
        code = code or _unwritten(stdout.problem)
    sys.exit(code)


def _unwritten(problem: OSError) -> int:
    """Say why the result could not be printed; return the exit code."""
    if problem.errno == errno.EPIPE:  # who read it has seen enough
        return OUTPUT_UNREAD
    say(f"edgenas: Cannot write the output: {problem.strerror or problem}.", err=True)
    say("  See that its disk has room, then run the same command again.", err=True)
    return InputError.exit_code


def _fail(failure: BaseException, arguments: list[str], debug: bool) -> int:
    """Say what went wrong and what to do about it; return the exit code."""
    if debug:
        for line in "".join(traceback.format_exception(failure)).splitlines():
            say(line, err=True)
    message, hint, code = _told(failure)
    say(f"edgenas: {message}", err=True)
    if hint:
        say(f"  {hint}", err=True)
    if "--json" in arguments:
        with contextlib.suppress(OSError):
            emit_json({"status": "error", "error": message, "hint": hint})
    return code


def _told(failure: BaseException) -> tuple[str, str, int]:
    """Return what went wrong, what to do about it, and the exit code."""
    if isinstance(failure, EdgeNasError):
        return failure.message, failure.hint, failure.exit_code
    if isinstance(failure, (KeyboardInterrupt, click.Abort)):
        hint = "Finished work is kept: run the same command with --resume to go on."
        return "Interrupted.", hint, INTERRUPTED
    if isinstance(failure, click.ClickException):
        context = getattr(failure, "ctx", None)
        hint = f"Try: {context.command_path} --help" if context else "Try: edgenas --help"
        return failure.format_message(), hint, InputError.exit_code
    if isinstance(failure, OSError):  # the user's files and disks: no bug of edgenas
        what = failure.filename or "a file"
        hint = "See that it is there, that you may read and write it, and that its disk has room."
        return f"Cannot use {what}: {failure.strerror or failure}.", hint, InputError.exit_code
    hint = "This is a bug in edgenas. Run again with --debug for the traceback."
    return f"Internal error: {type(failure).__name__}: {failure}", hint, INTERNAL_ERROR
