"""What a run on an FPGA exports beside the ONNX file: QONNX, the folding, and how to build it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgenas.core.files.run_folder import write_bytes
from edgenas.hardware import finn
from edgenas.int8.exporters import qonnx

if TYPE_CHECKING:
    from edgenas.core.records import Architecture
    from edgenas.int8.graph.ir import Graph
    from edgenas.int8.graph.ranges import Ranges
    from edgenas.runs.run import RunContext


def write(context: RunContext, architecture: Architecture, graph: Graph, ranges: Ranges) -> None:
    """Write NAME.qonnx.onnx, NAME.folding_config.json, NAME.build.yaml and NAME.pipeline.json into
    the run's models.

    Nothing of a board. Raises `ExportError` for what no pipeline can be.
    """
    pipeline, name = context.pipeline, architecture.short_name
    if pipeline is None:
        return
    layers, models = context.space.layers(architecture), context.folder.models
    estimate = pipeline.estimate(layers)
    write_bytes(models / f"{name}{qonnx.FILE_SUFFIX}", qonnx.emit(graph, ranges))
    write_bytes(models / f"{name}.folding_config.json", finn.folding_config(layers, estimate))
    write_bytes(models / f"{name}.pipeline.json", finn.pipeline_file(layers))
    write_bytes(models / f"{name}.build.yaml", finn.build_file(name, pipeline))
