"""Operators that a file writes as several: GELU, x (1 + erf(x / sqrt 2)) / 2 (arXiv 1606.08415)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from edgenas.int8.importer.source import Operation, Source

_CLOSE = 1e-5


def fused(source: Source) -> Source:
    """Return the file with each GELU by the error function as one operator."""
    pattern = _Pattern(source)
    gone: set[str] = set()
    whole: dict[str, Operation] = {}
    for one in source.operations:
        found = pattern.gelu(one) if one.kind == "Erf" else None
        if found is not None:
            tensor, parts = found
            gone.update(part.name for part in parts)
            last = parts[-1]
            whole[last.name] = Operation("Gelu", last.name, (tensor,), last.outputs, {}, 0)
    operations = [
        whole.get(one.name, one)
        for one in source.operations
        if one.name in whole or one.name not in gone
    ]
    return replace(source, operations=tuple(operations))


@dataclass
class _Pattern:
    source: Source

    def __post_init__(self) -> None:
        self.maker = {name: one for one in self.source.operations for name in one.outputs}
        self.reader: dict[str, list[Operation]] = {}
        for one in self.source.operations:
            for name in one.inputs:
                self.reader.setdefault(name, []).append(one)

    def gelu(self, erf: Operation) -> tuple[str, list[Operation]] | None:
        """Return the tensor that it is of, and the operators that make it, the last one last."""
        tensor, gain, before = self._times(erf.inputs[0])
        after = self._only_reader(erf)
        if not before or abs(gain - math.sqrt(0.5)) > _CLOSE or after is None:
            return None
        parts, last = [*before, erf], after
        if last.kind != "Add" or self._number(last, erf.outputs[0]) != 1.0:
            return None
        factor, read = 1.0, False
        while not (read and abs(factor - 0.5) < _CLOSE):
            parts.append(last)
            following = self._only_reader(last)
            if following is None or following.kind != "Mul":
                return None
            number = self._number(following, last.outputs[0])
            if number is None:
                other = next(name for name in following.inputs if name != last.outputs[0])
                root, gain, own = (other, 1.0, []) if other == tensor else self._times(other)
                if root != tensor or read:
                    return None
                read, number = True, gain
                parts += own
            factor, last = factor * number, following
        return tensor, [*parts, last]

    def _times(self, name: str) -> tuple[str, float, list[Operation]]:
        """Return the tensor of which `name` is a multiple, by which, and the operator if so."""
        one = self.maker.get(name)
        if one is not None and one.kind in ("Mul", "Div") and len(self.reader[name]) == 1:
            for at, tensor in enumerate(one.inputs):
                number = self._number(one, tensor)
                if number is not None and (one.kind == "Mul" or at == 0):
                    return tensor, number if one.kind == "Mul" else 1 / number, [one]
        return name, 1.0, []

    def _number(self, one: Operation, beside: str) -> float | None:
        """Return the number that an operator of two has beside a tensor; None for another."""
        others = [name for name in one.inputs if name != beside]
        if len(others) != 1 or others[0] not in self.source.constants:
            return None
        constant = np.asarray(self.source.constants[others[0]])
        return float(constant.ravel()[0]) if constant.size == 1 and constant.any() else None

    def _only_reader(self, one: Operation) -> Operation | None:
        (name,) = one.outputs
        found = self.reader.get(name, [])
        return found[0] if len(found) == 1 and name != self.source.output else None
