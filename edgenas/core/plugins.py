"""Plug-ins: members of families by name, from edgenas and from any other distribution.

A member is a module that an entry point of the family's group names ("edgenas.spaces" for spaces);
the entry point's name is its name on the command line. Members that ship with edgenas come the same
way. Listing names imports nothing.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from edgenas import __version__
from edgenas.core.contracts import CONTRACTS
from edgenas.core.errors import PluginError, nearest
from edgenas.core.files.toml import read_toml

if TYPE_CHECKING:
    from edgenas.core.contracts import TaskMember

OWN = "edgenas"  # the distribution whose members are built in
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_LISTING = "edgenas plugins lists what is installed."


@dataclass(frozen=True)
class Member:
    """One member: the module that it is, and the distribution that it comes with."""

    family: str
    name: str
    module: str
    distribution: str
    version: str

    @property
    def built_in(self) -> bool:
        return self.distribution == OWN

    @property
    def origin(self) -> str:
        """The distribution and its version, in words."""
        return f"{self.distribution} {self.version}".strip()


def group(family: str) -> str:
    """Return the entry-point group of a family."""
    return f"{OWN}.{family.replace(' ', '_')}"


def members(family: str) -> tuple[Member, ...]:
    """Return every member of `family` by name, built-in ones first, without importing them."""
    own = (
        Member(family, name, module, OWN, __version__)
        for name, module in _own_entry_points(group(family)).items()
    )
    return tuple(sorted((*own, *_outside(family)), key=lambda one: (one.name, not one.built_in)))


def names(family: str) -> list[str]:
    """Return the command-line names of the members of `family`, sorted, without importing them."""
    return sorted({member.name for member in members(family) if _NAME.fullmatch(member.name)})


def load(family: str, name: str) -> ModuleType:
    """Import the member of `family` that is called `name` on the command line.

    Raises
    ------
    PluginError : no such member (the message names the nearest one), or it cannot be used: two
        distributions have one of that name, it cannot be imported, or it lacks what its family
        calls. The message says which distribution it is of.
    """
    of_name = [member for member in members(family) if member.name == name]
    if not of_name or not _NAME.fullmatch(name):
        raise PluginError(f"There is no '{name}' among the {family}.", nearest(name, names(family)))
    chosen = of_name[0]
    if clash := _clash(chosen, of_name):
        raise PluginError(clash, f"Uninstall one of them. {_LISTING}")
    return _loaded(chosen)


def load_task(name: str) -> TaskMember:
    """Import the task that is called `name` on the command line; raises as `load` does."""
    return cast("TaskMember", load("tasks", name))


def fault(member: Member) -> str:
    """Import a member; return why it cannot be used in one line, "" if it can."""
    clash = _clash(member, [one for one in members(member.family) if one.name == member.name])
    if clash:
        return clash
    try:
        _loaded(member)
    except PluginError as problem:
        return problem.message
    return ""


def lacks(contract: type, member: Any) -> list[str]:
    """Return what `member` lacks of what the protocol `contract` names, one text each."""
    missing = [
        f"it has no {name}"
        for name in inspect.get_annotations(contract)
        if not hasattr(member, name)
    ]
    for name, function in vars(contract).items():
        if name.startswith("_") or not inspect.isfunction(function):
            continue
        expected = inspect.signature(function)
        expected = expected.replace(parameters=list(expected.parameters.values())[1:])
        if not callable(getattr(member, name, None)):
            missing.append(f"it has no function {name}{_call(expected.parameters.values())}")
        elif problem := _uncallable(getattr(member, name), expected):
            call = f"{name}{_call(expected.parameters.values())}"
            missing.append(f"it cannot be called as {call}: {problem}")
    return missing


@cache
def _loaded(member: Member) -> ModuleType:
    what = f"'{member.name}' among the {member.family}, of {member.origin}, cannot be used"
    if member.built_in:
        module = importlib.import_module(member.module)
    elif not _NAME.fullmatch(member.name) or not _MODULE.fullmatch(member.module):
        raise PluginError(f"{what}: its entry point is not NAME = 'package.module'.", _LISTING)
    else:
        try:
            module = importlib.import_module(member.module)
        except (Exception, SystemExit) as problem:  # others' code: anything
            why = f"{type(problem).__name__}: {problem}".splitlines()[0]
            raise PluginError(
                f"{what}: importing {member.module} failed with {why}.",
                f"Mend or uninstall {member.distribution}. {_LISTING}",
            ) from problem
    missing = lacks(CONTRACTS[member.family], module)
    if missing:
        raise PluginError(f"{what}: {'; '.join(missing)}.", _LISTING)
    return module


def _clash(member: Member, of_name: list[Member]) -> str:
    """Return what makes `member` ambiguous, "" if nothing does; a built-in one keeps its name."""
    others = [one for one in of_name if one != member]
    if member.built_in or not others:
        return ""
    if any(one.built_in for one in others):
        return f"edgenas has '{member.name}' among its own {member.family}; give it another name."
    both = " and ".join(sorted(one.origin for one in of_name))
    return f"Two distributions have '{member.name}' among the {member.family}: {both}."


@cache
def _outside(family: str) -> tuple[Member, ...]:
    """Return the members that other distributions than edgenas bring."""
    found = []
    for point in metadata.entry_points(group=group(family)):
        distribution = point.dist.name if point.dist is not None else "unknown"
        if distribution != OWN:
            version = point.dist.version if point.dist is not None else ""
            found.append(Member(family, point.name, point.value, distribution, version))
    return tuple(dict.fromkeys(found))


@cache
def _own_entry_points(name: str) -> dict[str, str]:
    """Return the entry points of a group of edgenas, module by name.

    In a source checkout they are read where they are written, in pyproject.toml: what was installed
    from it in development mode is as old as the installation.
    """
    written = _checkout()
    if written is not None:
        return dict(written.get(name, {}))
    points = metadata.entry_points(group=name)
    return {one.name: one.value for one in points if one.dist is not None and one.dist.name == OWN}


@cache
def _checkout() -> dict[str, dict[str, str]] | None:
    path = Path(__file__).parents[2] / "pyproject.toml"
    if not path.is_file():
        return None
    project = read_toml(path).get("project", {})
    if project.get("name") != OWN:
        return None
    entry_points: dict[str, dict[str, str]] = project.get("entry-points", {})
    return entry_points


def _call(parameters: Iterable[inspect.Parameter]) -> str:
    """Return how a function is called: "(problem, *, seed, budget)"."""
    texts = []
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in texts:
            texts.append("*")
        texts.append(parameter.name)
    return f"({', '.join(texts)})"


def _uncallable(function: Any, expected: inspect.Signature) -> str:
    """Return why `function` cannot be called with all that `expected` names, "" if it can."""
    positional: list[None] = []
    named: dict[str, None] = {}
    for parameter in expected.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            named[parameter.name] = None
        else:
            positional.append(None)
    try:
        inspect.signature(function).bind(*positional, **named)
    except TypeError as problem:
        return str(problem)
    return ""
