"""What is known of an operator, and what it needs of the writers of files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch

    from edgenas.int8.graph.ir import Node


class OnnxWriter(Protocol):
    def operator(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add an operator; return the name of what it makes."""
        ...

    def constant(self, name: str, value: np.ndarray | np.generic) -> str:
        """Add a constant, once a name; return its name."""
        ...


class TfliteWriter(Protocol):
    def operator(
        self,
        kind: str,
        inputs: Sequence[int],
        output: int,
        options: str,
        versions: tuple[int, int],
        **attributes: Any,
    ) -> None:
        """Add an operator; versions : in float and in int8."""
        ...

    def constant(self, name: str, values: list) -> int:
        """Add int32 numbers, once; return their tensor."""
        ...

    def padded(self, node: Node, source: int, pads: Sequence[int], *, lowest: bool = False) -> int:
        """Return a tensor with pixels around `source`: zeros, or the lowest number there is."""
        ...

    def enum(self, name: str, member: str) -> int:
        """Return the number of a member of one of the schema's enumerations."""
        ...


@dataclass(frozen=True)
class Operator:
    """A kind of node without weights. The activation is not its business: writers see to it.

    compute : returns what a node makes of its inputs, float32 [n, …].
    onnx : writes a node (writer, node, names of its inputs, name of its output, their shapes).
    tflite : the same with tensors; the layout is channels last there.
    onnx_names, tflite_names : operators of files that are read back as this kind.
    same_scale : what it reads and makes is stored with one scale, as engines want it.
    bounds : least and greatest that it can make, which are then what is stored, whatever was seen.
    tflite_activation : its options have a fused activation.
    """

    kind: str
    compute: Callable[[Node, list[torch.Tensor]], torch.Tensor]
    onnx: Callable[[OnnxWriter, Node, list[str], str, list[tuple[int, ...]]], None]
    tflite: Callable[[TfliteWriter, Node, list[int], int, list[tuple[int, ...]]], None]
    onnx_names: tuple[str, ...]
    tflite_names: tuple[str, ...]
    same_scale: bool = False
    bounds: tuple[float, float] | None = None
