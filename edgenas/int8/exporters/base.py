"""Exporters: one file a model format; a member writes a lowered graph down as a model file.

A member defines `emit` and `read` below, FILE_SUFFIX and LAYOUT. The model takes images, "input"
[batch, channels, height, width], and returns "logits" [batch, classes]; the same arguments give the
same bytes. ONNX files have float ends; TFLite files have channels last, and integers at the ends of
int8 ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from edgenas.core.errors import ExportError
from edgenas.core.records import ImageInput
from edgenas.int8.checks.stored import StoredFile
from edgenas.int8.graph.ir import Graph, WeightedNode
from edgenas.int8.graph.ranges import Ranges


def require_8_bits(graph: Graph, what: str) -> None:
    """Raise `ExportError` for a graph with numbers of other bits, which `what` cannot store."""
    for node in graph.nodes:
        bits = {node.bits, node.weight_bits if isinstance(node, WeightedNode) else 8}
        if bits != {8}:
            raise ExportError(
                f"{what} stores numbers of 8 bits alone, and '{node.output}' has some of "
                f"{min(bits)}.",
                "Export it as .onnx or QONNX.",
            )


class Exporter(Protocol):
    FILE_SUFFIX: str
    LAYOUT: Literal["nchw", "nhwc"]  # of images in the file

    def emit(
        self,
        graph: Graph,
        ranges: Ranges | None,
        *,
        scheme: str = ...,
        batch: int | None = 1,
        made: ImageInput | None = None,
        class_names: Sequence[str] = (),
    ) -> bytes:
        """Return the model file: float32 without `ranges`, else int8 in `scheme`.

        batch : images an inference, or None where the format can leave it open (for evaluation).
        made, class_names : how the input is made and the order of the scores, which the format may
            have a place for; layout and type of the input are those of `made`.

        Raises
        ------
        ExportError : unknown scheme, or the graph and the ranges do not fit together.
        """
        ...

    def read(self, content: bytes) -> StoredFile:
        """Return what an int8 file stores, layer by layer; `ExportError` if it is none."""
        ...
