"""edgenas completion: what makes a shell complete commands, options and their values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

from edgenas.cli.terminal import emit_script

VARIABLE = "_EDGENAS_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands, options and their values.

    \b
    Examples:
      eval "$(edgenas completion bash)"                            # in ~/.bashrc
      eval "$(edgenas completion zsh)"                             # in ~/.zshrc
      edgenas completion fish > ~/.config/fish/completions/edgenas.fish
    """
    of_shell = get_completion_class(shell)
    assert of_shell is not None
    emit_script(of_shell(ctx.find_root().command, {}, "edgenas", VARIABLE).source())


class RunPath(click.Path):
    """The folder of a run; those in runs/ are completed, and any other folder."""

    def __init__(self, path_type: type[Any] = Path, *, or_file: bool = False) -> None:
        super().__init__(path_type=path_type, file_okay=or_file)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        paths = (file.parent for name in ("run", "boards") for file in Path().glob(_runs(name)))
        runs = sorted(path.as_posix() for path in paths)
        items = [CompletionItem(run) for run in runs if run.startswith(incomplete)]
        return items or super().shell_complete(ctx, param, incomplete)


def _runs(name: str) -> str:
    return f"runs/*/{name}.json"


def complete_target(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the targets that come with edgenas, hosts of the SSH configuration, target files."""
    from edgenas.runs import commands

    folder = incomplete.rpartition("/")[0]
    files = [path.as_posix() for path in Path(folder or ".").glob("*.toml")]
    return _starting(incomplete, {*commands.known_targets(), *files} - {"edgenas.toml"})


def complete_engine(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the engines that something is known about."""
    from edgenas.runs import commands

    return _starting(incomplete, commands.known_engines())


def complete_data(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the kinds of data; behind "imagefolder:" the folders."""
    from edgenas.core import plugins

    kind, colon, folder = incomplete.partition(":")
    if colon and kind == "imagefolder":
        parent = folder.rpartition("/")[0]
        below = [path.as_posix() for path in Path(parent or ".").glob("*") if path.is_dir()]
        return _starting(incomplete, [f"imagefolder:{path}" for path in below])
    return _starting(incomplete, [n if n == "digits" else f"{n}:" for n in plugins.names("data")])


def complete_supernet(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the supernets that come with edgenas, and files of supernets."""
    from edgenas.runs import commands

    folder = incomplete.rpartition("/")[0]
    files = [path.as_posix() for path in Path(folder or ".").glob("*.safetensors")]
    return _starting(incomplete, [*commands.known_supernets(), *files])


def _starting(incomplete: str, values: Any) -> list[CompletionItem]:
    return [CompletionItem(value) for value in sorted(values) if value.startswith(incomplete)]
