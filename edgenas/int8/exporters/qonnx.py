"""QONNX: ONNX in which `Quant` nodes say how many bits a tensor has; FINN and hls4ml read it.

A `Quant` rounds x / scale, cuts it off at its bits and multiplies again (Pappalardo et al. 2022,
arXiv 2206.07527). The numbers are those of the ONNX file of the scheme "dataflow", bit by bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper

from edgenas.core.errors import ExportError
from edgenas.core.records import Activation
from edgenas.int8.exporters.onnx import Writer, model_of
from edgenas.int8.graph.ir import OUTPUT, Graph, Node, WeightedNode
from edgenas.int8.graph.quantize import DATAFLOW, WeightQuant, find_scheme, implied, quantize
from edgenas.int8.graph.ranges import Ranges

DOMAIN = "qonnx.custom_op.general"
FILE_SUFFIX = ".qonnx.onnx"
LEAST_BITS, MOST_BITS = 2, 8
_KINDS = ("conv", "depthwise", "linear", "add", "global_pool")


def emit(graph: Graph, ranges: Ranges) -> bytes:
    """Return the QONNX file of `graph`, one image an inference.

    Raises
    ------
    ExportError : a layer or a number of bits has no place in a pipeline, an addition reads two
        scales, or a tensor has no calibrated range.
    """
    _check(graph)
    quantization = quantize(graph, ranges, find_scheme(DATAFLOW))
    for node in graph.nodes:
        scales = {float(quantization.tensors[name].scale) for name in node.inputs}
        if node.kind == "add" and len(scales) > 1:
            raise ExportError(
                f"The addition '{node.output}' reads two scales, "
                f"{' and '.join(f'{one:.4g}' for one in sorted(scales))}: a pipeline adds integers."
            )
    writer = _Writer(graph, quantization)
    writer.begin(None)
    for node in graph.nodes:
        writer.add(node)
    model = model_of(graph, writer, 1, None)
    model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return bytes(model.SerializeToString(deterministic=True))


def _check(graph: Graph) -> None:
    for node in graph.nodes:
        if node.kind not in _KINDS or node.in_float:
            raise ExportError(
                f"A pipeline has no unit for '{node.output}' ({node.kind}).",
                "Choose a space of convolutions, additions and global pools: --space mbv3-tiny.",
            )
        for bits in (node.bits, node.weight_bits if isinstance(node, WeightedNode) else 8):
            if not LEAST_BITS <= bits <= MOST_BITS:
                raise ExportError(
                    f"'{node.output}' has numbers of {bits} bits; QONNX files of edgenas have "
                    f"{LEAST_BITS} to {MOST_BITS}."
                )


class _Writer(Writer):
    """Writes `Quant` where an ONNX file stores integers and reads them back."""

    def _stored_and_read(self, computed: str, name: str, prefix: str) -> str:
        assert self.quantization is not None
        quant, bits = self.quantization.tensors[name], self.graph.bits[name]
        read = OUTPUT if name == OUTPUT else f"{prefix}_read"
        return self._quant(computed, read, quant.scale, bits, signed=quant.least < 0)

    def _flat(self, name: str, *, stored: bool) -> str:
        return self.operator("Flatten", [self.read_as[name]], f"{name}_flat")

    def _parameters(self, node: WeightedNode) -> list[str]:
        assert self.quantization is not None
        stored: WeightQuant = self.quantization.weights[node.output]
        scale = stored.scale.reshape((-1,) + (1,) * (stored.weight.ndim - 1))
        weight = self.constant(f"{node.output}_weight", stored.weight.astype(np.float32) * scale)
        bias = stored.bias.astype(np.float32) * stored.bias_scale
        read = self._quant(
            weight, f"{weight}_read", scale, node.weight_bits, signed=True, narrow=True
        )
        return [read, self.constant(f"{node.output}_bias", bias.astype(np.float32))]

    def _activation(self, node: Node) -> Activation:
        """Return the activation to compute: a threshold unit needs to see it, implied or not."""
        assert self.quantization is not None
        if node.activation == "none":
            return "none"
        return "relu" if implied(node, self.quantization) else node.activation

    def _quant(
        self,
        source: str,
        output: str,
        scale: Any,
        bits: int,
        *,
        signed: bool,
        narrow: bool = False,
    ) -> str:
        """Add a Quant node; narrow : the integers reach as far below 0 as above."""
        inputs = [
            source,
            self.constant(f"{output}_scale", scale),
            self.constant("no_zero_point", np.float32(0)),
            self.constant(f"bits_{bits}", np.float32(bits)),
        ]
        how = {"signed": int(signed), "narrow": int(narrow), "rounding_mode": "ROUND"}
        return self.operator("Quant", inputs, output, domain=DOMAIN, **how)
