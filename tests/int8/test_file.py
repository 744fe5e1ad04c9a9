"""A graph written and read back emits the same bytes; anything else is one clear line."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.core.errors import ExportError
from edgenas.int8.graph import graph_file
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import random_ranges
from edgenas.spaces import foxnas_cpu


def test_a_graph_read_back_emits_the_same_bytes() -> None:
    space = foxnas_cpu.create(10, 3, 32)  # has squeeze-excite and residual additions
    layers = space.layers(space.sample(np.random.default_rng(1)))
    graph = lower(layers, random_state(layers, 0))
    ranges = random_ranges(graph, 0)
    again, ranges_again = graph_file.read(graph_file.write(graph, ranges), "graph")
    emit = plugins.load("exporters", "onnx").emit
    assert ranges_again == ranges
    assert emit(again, ranges_again) == emit(graph, ranges)
    assert emit(again, None) == emit(graph, None)


@pytest.mark.parametrize("content", [b"", b"garbage" * 9, b"\x02\0\0\0\0\0\0\0{}"])
def test_something_else_is_one_clear_line(content: bytes) -> None:
    with pytest.raises(ExportError, match=r"a\.safetensors is no graph file"):
        graph_file.read(content, "a.safetensors")
