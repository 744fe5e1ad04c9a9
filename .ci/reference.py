"""Write the pages of docs/reference that follow from the code; `tests/docs` compares them.

Run: python .ci/reference.py
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

import edgenas
from edgenas.cli.main import COMMANDS, SUMMARIES
from edgenas.cli.main import edgenas as root
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.metrics import REGISTRY
from edgenas.targets import config
from edgenas.targets.table import target_file

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
MADE = "<!-- Written by .ci/reference.py: change the code, then run it. -->"


def cli() -> str:
    """Return the page of the command line."""
    lines = ["# Command line", "", MADE, ""]
    lines += ["| command | does |", "|---|---|"]
    lines += [f"| [`{name}`](#{name}) | {SUMMARIES[name]} |" for name in COMMANDS]
    lines += [
        "",
        "Every command takes `--quiet`, `--verbose` and `--debug`, at any place. A step takes all "
        "options of",
        "`edgenas search`, where it says so.",
    ]
    with click.Context(root, info_name="edgenas", **root.context_settings) as top:
        for name in COMMANDS:
            command = root.get_command(top, name)
            assert command is not None
            lines += ["", f"## {name}", "", *_help(command, top)]
            if isinstance(command, click.Group):
                with click.Context(command, info_name=name, parent=top) as context:
                    for part in command.list_commands(context):
                        inner = command.get_command(context, part)
                        assert inner is not None
                        lines += ["", f"### {name} {part}", "", *_help(inner, context)]
    return "\n".join(lines) + "\n"


def _help(command: click.Command, parent: click.Context) -> list[str]:
    with click.Context(
        command, info_name=command.name, parent=parent, terminal_width=98, max_content_width=98
    ) as context:
        command._help_option = None  # click keeps that of whoever called the command first
        text = command.get_help(context)
    return ["```text", *(line.rstrip() for line in text.splitlines()), "```"]


def python() -> str:
    """Return the page of the Python API."""
    lines = ["# Python", "", MADE, ""]
    assert edgenas.__doc__ is not None
    lines += ["```text", edgenas.__doc__.strip(), "```", ""]
    for name in edgenas.__all__:
        member = getattr(edgenas, name)
        lines += ["", f"## {name.strip('_')}", ""]
        if name == "__version__":
            lines += ["The version, a text."]
            continue
        if inspect.isclass(member) and issubclass(member, Exception):
            base = member.__mro__[1].__name__
            lines += [f"`{name}({base})`: exit code {member.exit_code} of the command line.", ""]
        elif inspect.isclass(member):
            lines += [f"`class {name}`", ""]
        else:
            lines += ["```python", _signature(name, member), "```", ""]
        lines += ["```text", inspect.getdoc(member) or "", "```"]
        if inspect.isclass(member) and not issubclass(member, Exception):
            lines += _members(member)
    return "\n".join(lines) + "\n"


def _signature(name: str, function: Callable[..., Any]) -> str:
    signature = inspect.signature(function)
    parts, has_star = [], False
    for one in signature.parameters.values():
        if one.kind is one.KEYWORD_ONLY and not has_star:
            parts.append("*")
            has_star = True
        parts.append(str(one).replace("'", ""))
    returns = str(signature.return_annotation).replace("'", "")
    inner = "".join(f"    {part},\n" for part in parts)
    return f"{name}(\n{inner}) -> {returns}" if parts else f"{name}() -> {returns}"


def _members(kind: type) -> list[str]:
    lines: list[str] = []
    for name, value in vars(kind).items():
        if name.startswith("_"):
            continue
        text = inspect.getdoc(value)
        member = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
        if inspect.isfunction(member):
            head = _signature(name, member)
            lines += ["", f"### {kind.__name__}.{name}", "", "```python", head, "```"]
        elif isinstance(member, property) or hasattr(member, "func"):
            lines += ["", f"### {kind.__name__}.{name}"]
        else:
            continue
        lines += ["", "```text", text, "```"] if text else []
    return lines


def metrics() -> str:
    """Return the page of the metrics."""
    lines = ["# Metrics", "", MADE, ""]
    lines += [
        "Objectives and constraints name one of these, or one of its other names. A constraint "
        "says a unit:",
        '`--constraint "peak_rss<=64MB"`.',
        "",
        "| metric | is | unit | better | other names | units that are read |",
        "|---|---|---|---|---|---|",
    ]
    for kind in REGISTRY.values():
        better = {"max": "more", "min": "less", None: "as asked"}[kind.goal]
        names, units = (", ".join(f"`{x}`" for x in group) for group in (kind.aliases, kind.units))
        row = (f"`{kind.name}`", kind.label, kind.unit or "count", better, names, units)
        lines.append(f"| {' | '.join(row)} |")
    lines += [
        "",
        "A measured table has the metrics that its target file names. One that is not in this list "
        "says which way",
        "is better with `:max` or `:min`, as in `--objective score:max`.",
    ]
    return "\n".join(lines) + "\n"


def run_folder() -> str:
    """Return the page of the files of a run."""
    lines = ["# Run folder", "", MADE, ""]
    lines += [
        "A file is written whole or not at all. Nothing in the folder is executed. A link that "
        "leads out of it",
        "is refused.",
        "",
        "| path | holds |",
        "|---|---|",
    ]
    lines += [f"| `{one.name}` | {one.holds} |" for one in RunFolder.files().values()]
    lines += ["", "NAME is that of a network (a short hash), of a metric, or a SHA-256."]
    return "\n".join(lines) + "\n"


def targets() -> str:
    """Return the page of the target files."""
    lines = ["# Target file", "", MADE, ""]
    lines += [
        "A target file is TOML. A key that is not in these tables is refused, with the nearest one."
    ]
    lines += ["Copy one with `edgenas target show NAME > FILE.toml`.", "", "## A machine"]
    kinds = {"": config.TargetConfig, **config._TABLES}
    for table, kind in kinds.items():
        lines += ["", *([f"### [{table}]", ""] if table else []), *_fields(kind, config._NOT_KEYS)]
    lines += ["", "## A measured table", "", *_fields(target_file.TableTarget, ("source",))]
    lines += [
        "",
        "### [responses]",
        "",
        "A column for each metric: a name, or a table of these.",
        "",
    ]
    lines += _fields(target_file.Column, ())
    return "\n".join(lines) + "\n"


def _fields(kind: Any, left_out: tuple[str, ...]) -> list[str]:
    text = inspect.getdoc(kind) or ""
    lines = ["```text", text, "```", "", "| key | type | default |", "|---|---|---|"]
    for one in dataclasses.fields(kind):
        if one.name in left_out or one.name in config._TABLES:
            continue
        default = one.default
        shown = "needed" if default is dataclasses.MISSING else f"`{default!r}`"
        if one.default_factory is not dataclasses.MISSING:
            shown = "empty"
        type_ = re.sub(r"\s*\|\s*", " or ", str(one.type)).replace("'", "")
        lines.append(f"| `{one.name}` | {type_} | {shown} |")
    return lines


PAGES = {
    "cli.md": cli,
    "python.md": python,
    "metrics.md": metrics,
    "run-folder.md": run_folder,
    "target-file.md": targets,
}


def main() -> None:
    for name, page in PAGES.items():
        text = page()
        if not (FOLDER / name).exists() or (FOLDER / name).read_text("utf-8") != text:
            (FOLDER / name).write_text(text, "utf-8")
            sys.stdout.write(f"{name} is new\n")


if __name__ == "__main__":
    main()
