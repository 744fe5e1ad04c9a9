"""Exporters: one file a model format; a member writes a lowered graph down as a model file.

A member defines `emit` and `read` below, FILE_SUFFIX and LAYOUT. The model takes images, "input"
[batch, channels, height, width], and returns "logits" [batch, classes]; the same arguments give the
same bytes. ONNX files have float ends; TFLite files have channels last, and integers at the ends of
int8 ones.
"""

from __future__ import annotations

from typing import Literal, Protocol

from edgenas.graph.ir import Graph
from edgenas.graph.ranges import Ranges
from edgenas.graph.stored import StoredFile


class Exporter(Protocol):
    FILE_SUFFIX: str
    LAYOUT: Literal["nchw", "nhwc"]  # of images in the file

    def emit(
        self, graph: Graph, ranges: Ranges | None, *, scheme: str = ..., batch: int | None = 1
    ) -> bytes:
        """Return the model file: float32 without `ranges`, else int8 in `scheme`.

        batch : images an inference, or None where the format can leave it open (for evaluation).

        Raises
        ------
        ExportError : unknown scheme, or the graph and the ranges do not fit together.
        """
        ...

    def read(self, content: bytes) -> StoredFile:
        """Return what an int8 file stores, layer by layer; `ExportError` if it is none."""
        ...
