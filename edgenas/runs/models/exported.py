"""The graph of an exported model: what it can be emitted from again, and what it should compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgenas.core.files.run_folder import write_bytes
from edgenas.core.records import ExportedModel
from edgenas.int8.graph import graph_file
from edgenas.int8.graph.ir import Graph
from edgenas.int8.graph.ranges import Ranges
from edgenas.supernet.deploy import deployable

if TYPE_CHECKING:
    from edgenas.runs.run import RunContext


def exported_graph(context: RunContext, model: ExportedModel) -> tuple[Graph, Ranges]:
    """Return the graph and ranges that `model` was emitted from.

    A run that was exported before there were graph files has its network cut out of the supernet
    anew; `RunFolderError` if that is not there.
    """
    architecture = model.candidate.architecture
    path = context.folder.graph(architecture.short_name)
    if not path.exists():
        layers = context.space.layers(architecture)
        supernet = context.supernet()
        network = deployable(supernet, architecture, layers, context.dataset, context.engine)
        write_bytes(path, graph_file.write(network.graph, network.ranges))
    return graph_file.read(path.read_bytes(), str(path))
