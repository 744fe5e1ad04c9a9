"""The graph of an exported model: what it can be emitted from again, and what it should compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgenas.core import plugins
from edgenas.core.errors import InputError
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


def require_one_class(context: RunContext) -> None:
    """Refuse a run whose images may have several classes, to what takes the greatest output.

    Raises
    ------
    InputError : they may.
    """
    task = context.config.task
    if plugins.load_task(task).SEVERAL_CLASSES:
        models = context.folder.models
        raise InputError(
            f"Applications and challenges answer with one class, and {context.folder.path} is of "
            f"the task {task}.",
            f"Take the int8 file, whose input its card says: {models}",
        )
