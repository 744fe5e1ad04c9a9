"""Hold QONNX files against the ONNX files of the same networks, run by the package qonnx itself.

Run: python -m venv ENV && ENV/bin/pip install qonnx==1.0.0 onnx==1.17.0 onnxruntime==1.20.1
     python benchmarks/qonnx.py --python ENV/bin/python

qonnx needs other versions of onnx than edgenas, so it runs in an environment of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from edgenas.core import plugins
from edgenas.int8.engines.host import logits
from edgenas.int8.exporters import qonnx
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.quantize import DATAFLOW
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import calibrate
from edgenas.spaces import mbv3_tiny
from edgenas.spaces.bits import elastic_bits

BITS = (2, 3, 4, 6, 8)
THERE = """
import sys
import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes
images = np.load(sys.argv[1])
for path in sys.argv[2:]:
    model = ModelWrapper(path).transform(InferShapes())
    rows = [execute_onnx(model, {"input": image[None]})["logits"] for image in images]
    np.save(path + ".npy", np.concatenate(rows))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True)
    arguments = parser.parse_args()
    images = np.random.default_rng(1).standard_normal((8, 3, 16, 16), np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder, host = Path(name), {}
        np.save(folder / "images.npy", images)
        for bits in BITS:
            space = elastic_bits(mbv3_tiny.create(10, 3, 16), [bits], [bits])
            layers = space.layers(space.sample(np.random.default_rng(bits)).resized(16))
            graph = lower(layers, random_state(layers, 3))
            ranges = calibrate(graph, images)
            (folder / f"{bits}.onnx").write_bytes(qonnx.emit(graph, ranges))
            content = plugins.load("exporters", "onnx").emit(graph, ranges, scheme=DATAFLOW)
            host[bits] = logits(content, images, "onnxruntime")
        paths = [str(folder / f"{bits}.onnx") for bits in BITS]
        command = [arguments.python, "-c", THERE, str(folder / "images.npy"), *paths]
        subprocess.run(command, check=True)
        for bits, path in zip(BITS, paths, strict=True):
            found = np.load(f"{path}.npy")
            print(f"{bits} bits: equal {np.array_equal(found, host[bits])}, "
                  f"greatest difference {np.abs(found - host[bits]).max():.3g}")  # fmt: skip


if __name__ == "__main__":
    main()
