"""The docs against the code: generated pages, commands as they stand, exit codes, JSON keys."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from edgenas.cli.main import edgenas as root
from edgenas.core import errors
from edgenas.targets.config import shipped_files

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")])
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def reference() -> dict[str, str]:
    """What .ci/reference.py makes of the code."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / ".ci" / "reference.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: page() for name, page in module.PAGES.items()}


def test_reference_pages_are_those_of_the_code() -> None:
    for name, page in reference().items():
        stored = (ROOT / "docs" / "reference" / name).read_text("utf-8")
        assert stored == page, f"{name} is of before: run python .ci/reference.py"


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each edgenas command in a page's blocks of shell."""
    for block in BLOCK.findall(page.read_text("utf-8")):
        typed = re.sub(r"<<'(\w+)'(.*?)^\1$", "", block, flags=re.MULTILINE | re.DOTALL)
        for line in typed.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|\|\||(?<!\S)[|](?!\S)|;", line):
                words = shlex.split(part.split(" > ")[0], comments=True)
                if words and Path(words[0]).name == "edgenas":
                    yield words[1:]


def parsed(words: list[str]) -> click.Context:
    """A command as the command line reads it, not run."""
    command: click.Command = root
    context = click.Context(root, info_name="edgenas")
    while isinstance(command, click.Group):
        name, inner, words = command.resolve_command(context, words)
        assert inner is not None and name is not None
        command = inner
        if isinstance(command, click.Group):
            context = click.Context(command, info_name=name, parent=context)
    return command.make_context(name, words, parent=context)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_a_page_shows_are_read_as_they_stand(page: Path) -> None:
    for words in commands(page):
        values = parsed([*words]).params
        targets = values.get("targets") or [values.get("target")]
        for target in filter(None, targets):
            known = target in shipped_files() or "@" in target or target.endswith(".toml")
            assert known, f"edgenas {shlex.join(words)}: there is no target '{target}'"


def test_the_pages_show_commands() -> None:
    assert sum(1 for page in PAGES for _ in commands(page)) > 60


def test_every_exit_code_of_an_error_is_explained() -> None:
    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text("utf-8")
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    kinds = [one for one in vars(errors).values() if isinstance(one, type)]
    codes = {one.exit_code for one in kinds if issubclass(one, errors.EdgeNasError)}
    assert codes <= listed


def test_the_keys_of_a_search_are_listed() -> None:
    page = (ROOT / "docs" / "reference" / "json.md").read_text("utf-8")
    listed = set(re.findall(r"`(\w+)`", page))
    for path in ROOT.glob("edgenas/runs/*document*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name in ("summary", "_verified"):
                returned = next(one for one in ast.walk(node) if isinstance(one, ast.Return))
                assert isinstance(returned.value, ast.Dict)
                names = [key.value for key in returned.value.keys if isinstance(key, ast.Constant)]
                assert set(names) <= listed, f"{path}: {set(names) - listed}"
