"""What onnxruntime really computes in float in an int8 model, from the graph that it optimized."""

from __future__ import annotations

import tempfile
from pathlib import Path

# Operators that do the work of a layer; the engine has an integer form of each.
_COMPUTES = {
    *("Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul"),
    *("Add", "Mul", "GlobalAveragePool"),
}


def float_islands(model: bytes) -> tuple[str, ...]:
    """Return the tensors of an ONNX int8 model that this computer's onnxruntime computes in float.

    The session's options are the engine's own, as an application would load the file, but for the
    last level, which gives float layers another layout and other names: on another kind of CPU the
    engine may decide otherwise. A float model is one island.
    """
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    with tempfile.TemporaryDirectory(prefix="edgenas-optimized-") as folder:
        path = Path(folder) / "optimized.onnx"
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        nodes = onnx.load(path).graph.node
    return tuple(node.output[0] for node in nodes if node.op_type in _COMPUTES)
