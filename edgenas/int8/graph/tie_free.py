"""Scales with which no sum and no product of stored integers lies half-way between two steps.

Engines round such sums in ways of their own: onnxruntime in float32 and half to even on x86, in
fixed point of 22 bits and half upwards on Arm. Where the ratio of two scales is a fraction with an
odd denominator q, a sum is at least 1 / 2q away from half-way, farther than either rounding errs.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgenas.int8.graph.ir import Graph

# 1 / 2046 of a step: on Arm the error is under 255 / 2**21, in float32 under 2**-12, where neither
# ratio is above 2.
DENOMINATOR = 1023


def tie_free(
    graph: Graph, scales: dict[str, np.float32], groups: Mapping[str, set[str]] | None = None
) -> dict[str, np.float32]:
    """Return the scales, by tensor, raised so that additions have no ties; none becomes less.

    What an `add` reads takes a multiple of 1 / 1023 of its output's scale. Where one tensor is read
    by two additions, the later one is fitted. groups : tensors that share a scale, by each of them;
    they are raised together.
    """
    fitted = dict(scales)
    done: set[str] = set()
    for node in reversed(graph.nodes):
        if node.kind != "add" or node.in_float:
            continue
        together = groups or {}
        unit = float(fitted[node.output]) / DENOMINATOR
        done |= together.get(node.output, set())
        for name in set(node.inputs):
            if name in done:
                continue
            group = together.get(name, {name})
            raised = np.float32(np.ceil(float(fitted[name]) / unit) * unit)
            fitted |= dict.fromkeys(group, raised)
            done |= group
    return fitted
