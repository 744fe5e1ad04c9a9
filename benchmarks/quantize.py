"""Quantize float ONNX files, and hold the result against other quantizers on the same images.

    python benchmarks/quantize.py --data imagefolder:groceries --size 96 --lite0
    python benchmarks/quantize.py --data imagefolder:groceries --size 96 model.onnx other.onnx

The oracles are onnxruntime's quantize_static, per tensor as it comes and per channel, and Google's
ai-edge-quantizer on the float .tflite file. All calibrate on the same images and are judged on the
same test images. Seconds are of the processor, without reading images; accuracy needs a model whose
classes are those of the images, else only the noise of the scores is told.

--lite0 adds EfficientNet-Lite0 from its public package, with a linear classifier fitted to the
training images (`edgenas.supernet.imagenet`), as a network that was trained for them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.core.progress import Silent
from edgenas.core.records import Answers
from edgenas.data.base import Dataset, load
from edgenas.int8.checks.sensitivity import snr_db
from edgenas.int8.engines.host import fed_logits, logits
from edgenas.int8.exporters import onnx as onnx_exporter
from edgenas.int8.exporters import tflite as tflite_exporter
from edgenas.int8.graph.calibrated import calibrated
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.quantize import SCHEMES
from edgenas.int8.importer.read import Imported, import_onnx

CALIBRATION_IMAGES = 128
Scores = np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--size", type=int, required=True, help="pixels a side of the models")
    parser.add_argument("--mean", type=float, default=127 / 255, help="of pixels from 0 to 1")
    parser.add_argument("--std", type=float, default=128 / 255)
    parser.add_argument("--lite0", action="store_true")
    parser.add_argument("--results", type=Path, help="write the rows as JSON lines")
    options = parser.parse_args()
    dataset = load(options.data, seed=0, progress=Silent(), image_size=options.size)
    mean, std = (options.mean,) * 3, (options.std,) * 3
    dataset = replace(dataset, mean=mean, std=std)
    files = [(path.stem, path.read_bytes()) for path in options.models]
    if options.lite0:
        files.append(("EfficientNet-Lite0", lite0(dataset, options.size)))
    calibration = dataset.calibration(CALIBRATION_IMAGES).resized(options.size)
    test = dataset.test.resized(options.size)
    print("| network | quantizer | accuracy % | change, points | scores, dB | CPU s |")
    print("|---|---|---|---|---|---|")
    for name, content in files:
        inputs = dataset.normalize(calibration.images), dataset.normalize(test.images)
        for row in rows(name, content, *inputs, test.labels):
            print(shown(row), flush=True)
            if options.results:
                with options.results.open("a") as stream:
                    stream.write(json.dumps(row) + "\n")


def rows(
    name: str, content: bytes, calibration: np.ndarray, test: np.ndarray, labels: np.ndarray
) -> Iterator[dict[str, Any]]:
    """Yield a row for the float file and for each quantizer."""
    exact = logits(content, test)
    classes = int(labels.max()) + 1
    known = labels if exact.shape[1] == classes else None
    yield _row((name, "float"), exact, exact, known, None)
    model = import_onnx(content, name)
    quantizers: dict[str, Callable[[], Callable[[], Scores]]] = {
        "edgenas, ONNX": lambda: _edgenas_onnx(content, calibration, test),
        "edgenas, TFLite": lambda: _edgenas_tflite(content, calibration, test),
        "quantize_static": lambda: _static(content, calibration, test, per_channel=False),
        "quantize_static, per channel": lambda: _static(
            content, calibration, test, per_channel=True
        ),
        "ai-edge-quantizer": lambda: _ai_edge(model, calibration, test),
    }
    for quantizer, quantize in quantizers.items():
        began = time.process_time()
        try:
            run = quantize()
        except (ImportError, ValueError) as problem:  # not installed, or it does not take it
            print(f"<!-- {quantizer}: {problem} -->")
            continue
        seconds = time.process_time() - began
        yield _row((name, quantizer), exact, run(), known, seconds)


def _edgenas_onnx(
    content: bytes, calibration: np.ndarray, test: np.ndarray
) -> Callable[[], Scores]:
    """The whole of it, importing included."""
    found = calibrated(import_onnx(content, "model").graph, calibration, SCHEMES["u8s8"])
    file = onnx_exporter.emit(found.graph, found.ranges, scheme="u8s8")
    return lambda: logits(file, test)


def _edgenas_tflite(
    content: bytes, calibration: np.ndarray, test: np.ndarray
) -> Callable[[], Scores]:
    found = calibrated(import_onnx(content, "model").graph, calibration, SCHEMES["s8s8"])
    file = tflite_exporter.emit(found.graph, found.ranges)
    return lambda: logits(file, test, "litert")


def _static(
    content: bytes, calibration: np.ndarray, test: np.ndarray, *, per_channel: bool
) -> Callable[[], Scores]:
    import onnx
    from onnxruntime import quantization as ort

    entry = onnx.load_model_from_string(content).graph.input[0].name

    class Reader(ort.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rows = iter(calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            row = next(self.rows, None)
            return None if row is None else {entry: row[None]}

    with tempfile.TemporaryDirectory() as scratch:
        paths = [Path(scratch) / name for name in ("float.onnx", "prepared.onnx", "int8.onnx")]
        paths[0].write_bytes(content)
        ort.quant_pre_process(paths[0], paths[1], skip_symbolic_shape=True)
        ort.quantize_static(
            paths[1],
            paths[2],
            Reader(),
            per_channel=per_channel,
            activation_type=ort.QuantType.QUInt8,
            weight_type=ort.QuantType.QInt8,
        )
        file = paths[2].read_bytes()
    return lambda: logits(file, test)


def _ai_edge(model: Imported, calibration: np.ndarray, test: np.ndarray) -> Callable[[], Scores]:
    from ai_edge_quantizer import quantizer, recipe

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "float.tflite"
        path.write_bytes(tflite_exporter.emit(model.graph, None))
        began = quantizer.Quantizer(str(path))
        began.load_quantization_recipe(recipe.static_wi8_ai8())
        images = [{"input": np.moveaxis(row, 0, -1)[None]} for row in calibration]
        file = bytes(began.quantize(began.calibrate({"serving_default": images})).quantized_model)
    return lambda: fed_logits(file, np.moveaxis(test, 1, -1))


def _row(
    who: tuple[str, str],
    exact: Scores,
    seen: Scores,
    labels: np.ndarray | None,
    seconds: float | None,
) -> dict[str, Any]:
    signal = exact.astype(np.float64)
    noise = float(((_dequantized(seen, exact) - signal) ** 2).sum())
    row: dict[str, Any] = {
        "network": who[0],
        "quantizer": who[1],
        "scores_db": snr_db(float((signal**2).sum()), noise),
        "cpu_s": seconds,
    }
    if labels is not None:
        before, after = (
            Answers.of((scores.argmax(1) == labels).tolist()) for scores in (exact, seen)
        )
        change = after.ahead_of(before)
        row |= {"accuracy": after.accuracy, "change": (change.mean, change.lower, change.upper)}
    return row


def _dequantized(seen: Scores, exact: Scores) -> np.ndarray:
    """Return scores in the float file's scale: integers of a .tflite file are fitted to it."""
    values = seen.astype(np.float64)
    if np.all(values == np.rint(values)):
        slope, base = np.polyfit(values.ravel(), exact.ravel(), 1)
        return np.asarray(slope * values + base)
    return values


def shown(row: dict[str, Any]) -> str:
    accuracy = f"{100 * row['accuracy']:.2f}" if "accuracy" in row else ""
    change = ""
    if "change" in row and row["quantizer"] != "float":
        mean, lower, upper = (100 * value for value in row["change"])
        change = f"{mean:+.2f} [{lower:+.2f}, {upper:+.2f}]"
    decibels = "" if row["scores_db"] is None else f"{row['scores_db']:.1f}"
    seconds = "" if row["cpu_s"] is None else f"{row['cpu_s']:.1f}"
    cells = (row["network"], row["quantizer"], accuracy, change, decibels, seconds)
    return f"| {' | '.join(cells)} |"


def lite0(dataset: Dataset, size: int) -> bytes:
    """Return EfficientNet-Lite0 with a linear classifier of the images' classes, as float ONNX."""
    from edgenas.spaces import lite
    from edgenas.supernet.imagenet import start, weights

    space = lite.create(len(dataset.class_names), 3, size)
    supernet, _ = start.begin(weights.converted("imagenet"), space, dataset, Silent())
    state = {name: value.numpy() for name, value in supernet.state_dict().items()}
    largest = space.largest()
    layers = space.layers(largest)
    return onnx_exporter.emit(lower(layers, state), None, batch=None)


if __name__ == "__main__":
    main()
