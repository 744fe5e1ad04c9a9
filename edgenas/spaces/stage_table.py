"""A space from a stage table in TOML: one table a stage, a line of each message's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgenas.core.errors import InputError, nearest
from edgenas.core.files.toml import parse_toml
from edgenas.core.records.networks import HIDDEN_WIDTH
from edgenas.spaces.base import MobileSpace, StageSpec

MOST_STAGES, MOST_DEPTH, WIDEST, LARGEST = 12, 12, 4096, 1024
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TOP = ("name", "purpose", "resolutions", "stem", "head", "stages")
_FLAGS = ("squeeze_excite", "uniform_inner", "fused")
# key of a stage -> the greatest number that it may hold
_LISTS = {"depths": MOST_DEPTH, "kernel_sizes": 15}
_WIDTHS = {"expand_ratios": 16, "hidden_widths": WIDEST}  # a stage has one of them


@dataclass(frozen=True)
class StageTable:
    """What a stage table says. resolutions : in pixels; () for 3/4, 7/8 and all of the images'."""

    name: str
    purpose: str
    stem_width: int
    stem_stride: int
    head_width: int
    stages: tuple[StageSpec, ...]
    resolutions: tuple[int, ...]

    def create(self, num_classes: int, in_channels: int, image_size: int) -> MobileSpace:
        """Return the space for images of `image_size` pixels."""
        parts = (0.75, 0.875, 1.0)
        size = min(image_size, LARGEST)
        own = {max(8, int(size * part / 2 + 0.5) * 2) for part in parts}
        return MobileSpace(
            name=self.name,
            stem_width=self.stem_width,
            stem_stride=self.stem_stride,
            stages=self.stages,
            head_width=self.head_width,
            resolutions=self.resolutions or tuple(sorted(own)),
            num_classes=num_classes,
            in_channels=in_channels,
        )


def read_stage_table(path: Path, content: bytes) -> StageTable:
    """Return the stage table in a file's content.

    Raises
    ------
    InputError : it is none; the message names the line and what may stand there.
    """
    document = parse_toml(path, content)
    return _Reader(path, content.decode("utf-8-sig"), document).table()


class _Reader:
    """Reads one document, and finds the line of what is wrong in it."""

    def __init__(self, path: Path, text: str, document: dict[str, Any]) -> None:
        self.path = path
        self.lines = text.splitlines()
        self.document = document

    def table(self) -> StageTable:
        document = self.document
        self.known("", 0, document, _TOP)
        stages = document.get("stages")
        if not isinstance(stages, list) or not 1 <= len(stages) <= MOST_STAGES:
            raise self.error("", 0, "stages", f"write 1 to {MOST_STAGES} tables [[stages]]")
        name = document.get("name", self.path.stem)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise self.error("", 0, "name", "write small letters, digits, '-', '_' and '.'")
        purpose = document.get("purpose", "")
        if not isinstance(purpose, str):
            raise self.error("", 0, "purpose", "write a text")
        stem, head = self.part("stem", ("width", "stride")), self.part("head", ("width",))
        return StageTable(
            name=name,
            purpose=purpose,
            stem_width=self.number("stem", 0, stem, "width", WIDEST),
            stem_stride=self.number("stem", 0, stem, "stride", 4),
            head_width=self.number("head", 0, head, "width", WIDEST),
            stages=tuple(self.stage(index, of) for index, of in enumerate(stages)),
            resolutions=self.numbers("", 0, document, "resolutions", LARGEST)
            if "resolutions" in document
            else (),
        )

    def stage(self, index: int, stage: Any) -> StageSpec:
        if not isinstance(stage, dict):
            raise self.error("stages", index, "", "write a table [[stages]]")
        self.known("stages", index, stage, ("width", "stride", *_LISTS, *_WIDTHS, *_FLAGS))
        if len(_WIDTHS.keys() & stage.keys()) == 2:
            remedy = "write expand_ratios or hidden_widths, not both"
            raise self.error("stages", index, "hidden_widths", remedy)
        inside = "hidden_widths" if "hidden_widths" in stage else "expand_ratios"
        bounds = {**_LISTS, inside: _WIDTHS[inside]}
        lists = {
            key: self.numbers("stages", index, stage, key, most) for key, most in bounds.items()
        }
        if any(size % 2 == 0 for size in lists["kernel_sizes"]):
            raise self.error("stages", index, "kernel_sizes", "write odd numbers")
        flags = {key: stage.get(key, False) for key in _FLAGS}
        for key, value in flags.items():
            if not isinstance(value, bool):
                raise self.error("stages", index, key, "write true or false")
        return StageSpec(
            width=self.number("stages", index, stage, "width", WIDEST),
            stride=self.number("stages", index, stage, "stride", 4),
            depths=lists["depths"],
            kernel_sizes=lists["kernel_sizes"],
            expand_ratios=lists.get("expand_ratios", ()),
            others=tuple((HIDDEN_WIDTH, lists[key]) for key in lists if key == "hidden_widths"),
            squeeze_excite=flags["squeeze_excite"],
            uniform_inner=flags["uniform_inner"],
            fused=flags["fused"],
        )

    def part(self, name: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
        part = self.document.get(name)
        if not isinstance(part, dict):
            raise self.error("", 0, name, f"write a table [{name}] with {' and '.join(keys)}")
        self.known(name, 0, part, keys)
        return part

    def known(
        self, table: str, index: int, given: Mapping[str, Any], keys: tuple[str, ...]
    ) -> None:
        for key in given:
            if key not in keys:
                raise self.error(table, index, key, f"there is no such key; {nearest(key, keys)}")

    def number(self, table: str, index: int, given: Mapping[str, Any], key: str, most: int) -> int:
        value = given.get(key)
        if type(value) is not int or not 1 <= value <= most:
            raise self.error(table, index, key, f"write a whole number from 1 to {most}")
        return value

    def numbers(
        self, table: str, index: int, given: Mapping[str, Any], key: str, most: int
    ) -> tuple[int, ...]:
        values = given.get(key)
        rising = (
            isinstance(values, list)
            and len(values) > 0
            and all(type(value) is int and 1 <= value <= most for value in values)
            and sorted(set(values)) == values
        )
        if not rising:
            raise self.error(
                table,
                index,
                key,
                f"write rising whole numbers from 1 to {most}, as [3, 5]",
            )
        return tuple(values or ())

    def error(self, table: str, index: int, key: str, remedy: str) -> InputError:
        """Return the error that `key` of the table (of that name and index) is wrong."""
        line = self.line(table, index, key)
        what = ".".join(part for part in (table and self.titled(table, index), key) if part)
        missing = key and not self.holds(table, index, key)
        problem = f"{what} is missing" if missing else f"{what} cannot be used"
        return InputError(f"{self.path}, line {line}: {problem}: {remedy.rstrip('.')}.")

    def titled(self, table: str, index: int) -> str:
        return f"stages[{index}]" if table == "stages" else table

    def holds(self, table: str, index: int, key: str) -> bool:
        where: Any = self.document
        if table == "stages":
            where = where["stages"][index]
        elif table:
            where = where[table]
        return isinstance(where, dict) and key in where

    def line(self, table: str, index: int, key: str) -> int:
        """Return the line of a key, else of its table, else the first; lines count from 1."""
        heads = [
            (number, match["name"].strip())
            for number, line in enumerate(self.lines)
            if (match := re.match(r"\s*\[{1,2}(?P<name>[^\[\]]+)\]", line))
        ]
        own = [number for number, name in heads if name == table]
        start = own[index] if table and index < len(own) else 0
        ends = [number for number, _ in heads if number > start or not table]
        end = ends[0] if ends else len(self.lines)
        spelt = re.compile(rf"""\s*["']?{re.escape(key)}["']?\s*=""") if key else None
        for number in range(start, end):
            if spelt is not None and spelt.match(self.lines[number]):
                return number + 1
        named = [number for number, name in heads if not table and name == key]
        return (named[0] if named else start) + 1
