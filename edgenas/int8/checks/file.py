"""Whether an int8 file holds what was lowered: scales, zero points, weights and biases."""

from __future__ import annotations

import numpy as np

from edgenas.core import plugins
from edgenas.core.errors import ExportError
from edgenas.int8.checks.stored import differences, lowered
from edgenas.int8.graph.ir import Graph
from edgenas.int8.graph.quantize import find_scheme, quantize, stored_scheme
from edgenas.int8.graph.ranges import Ranges

_MOST_SAID = 3


def unlike_lowered(
    content: bytes, graph: Graph, ranges: Ranges, *, exporter: str, scheme: str
) -> str:
    """Return in a sentence what the file stores otherwise than it was lowered; "" for nothing.

    Raises
    ------
    ExportError : unknown scheme, or the package that reads such files is absent.
    """
    inside = stored_scheme(scheme, exporter)
    ends = None if inside.by_sign else np.dtype(find_scheme(scheme).activation)
    expected = lowered(graph, quantize(graph, ranges, inside), ends)
    module = plugins.load("exporters", exporter)
    try:
        found = module.read(content)
    except ExportError as problem:
        said: tuple[str, ...] = (problem.message,)
    else:
        said = differences(graph, expected, found)
    if not said:
        return ""
    more = f" {len(said) - _MOST_SAID} more." if len(said) > _MOST_SAID else ""
    return f"The file does not hold what was lowered: {' '.join(said[:_MOST_SAID])}{more}"
