"""Quantize networks of other makes, and time them in float and int8; print a table.

    OMP_NUM_THREADS=1 python benchmarks/own_models.py [MODEL.onnx ...]

Without files: networks like those of MLPerf Tiny, a U-Net and two of series, built here, and, where
torchvision is installed, some of its architectures at 96 px. Weights are seeded, so that only
structure, noise of the scores and time mean something. All files of a format are timed in one job
(`edgenas bench`).
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import itertools
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgenas.core.errors import EdgeNasError
from edgenas.core.progress import Silent
from edgenas.int8.checks.sensitivity import snr_db
from edgenas.int8.engines.host import logits
from edgenas.int8.exporters import onnx as onnx_exporter
from edgenas.int8.exporters import tflite as tflite_exporter
from edgenas.int8.graph.calibrated import calibrated
from edgenas.int8.graph.quantize import SCHEMES
from edgenas.int8.importer.read import Imported, import_onnx
from edgenas.runs.own_models.bench import bench
from edgenas.runs.own_models.quantize import this_scheme
from edgenas.targets.base import MeasureSettings
from edgenas.targets.config import Access

ARCHITECTURES = (
    "mobilenet_v2",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "resnet18",
    "regnet_y_400mf",
    "shufflenet_v2_x1_0",
)
KINDS = ("float.onnx", "int8.onnx", "int8.tflite")
COLUMNS = (
    *("network", "M params", "M MACs", "MACs in int8", "scores, dB: ONNX, TFLite"),
    *("float ONNX, ms", "int8 ONNX, ms", "int8 TFLite, ms"),
)
SIZE = 96
CALIBRATION_IMAGES, TEST_IMAGES = 32, 32
SETTINGS = MeasureSettings(max_passes=10, energy_s=0.0)


@dataclass(frozen=True, eq=False)
class Row:
    """A network and its files, by the suffix of what was written; see the table's head."""

    name: str
    model: Imported
    scores_db: dict[str, float | None]
    files: dict[str, bytes]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", type=Path)
    options = parser.parse_args()
    files = {path.stem: path.read_bytes() for path in options.models}
    named = files.items() if files else built()
    rows = [row for name, content in named if (row := quantized(name, content)) is not None]
    times = timed(rows)
    print(f"| {' | '.join(COLUMNS)} |")
    print("|" + "---|" * len(COLUMNS))
    for row in rows:
        share = 1 - sum(layer.share for layer in row.model.kept)
        noise = ", ".join("exact" if db is None else f"{db:.1f}" for db in row.scores_db.values())
        ms = " | ".join(times[row.name, what] for what in KINDS)
        size = f"{row.model.graph.params / 1e6:.3g} | {row.model.macs / 1e6:.4g}"
        print(f"| {row.name} | {size} | {share:.0%} | {noise} | {ms} |")


def quantized(name: str, content: bytes) -> Row | None:
    """Return a network's files in float and int8; None, and the reason printed, if it has none."""
    try:
        model = import_onnx(content, name, keep_float=True)
        rng = np.random.default_rng(0)
        shape = model.graph.takes
        calibration = rng.standard_normal((CALIBRATION_IMAGES, *shape), np.float32)
        test = rng.standard_normal((TEST_IMAGES, *shape), np.float32)
        exact = logits(model.content, test).reshape(TEST_IMAGES, -1)
        files, noise = {"float.onnx": model.content}, {}
        for suffix, scheme, emit, engine in _formats():
            if suffix == "int8.tflite" and model.kept:
                continue
            best = calibrated(model.graph, calibration, SCHEMES[scheme])
            files[suffix] = emit(best.graph, best.ranges, scheme=scheme)
            seen = logits(files[suffix], test, engine)
            if suffix == "int8.tflite" and len(model.graph.nodes[-1].shape) == 4:
                _, channels, height, width = model.graph.nodes[-1].shape
                seen = np.moveaxis(seen.reshape(-1, height, width, channels), 3, 1)
            lost = np.square(seen.reshape(exact.shape) - exact.astype(np.float64)).sum()
            noise[suffix] = snr_db(float(np.square(exact.astype(np.float64)).sum()), float(lost))
    except EdgeNasError as problem:
        print(f"<!-- {name}: {problem.message} -->")
        return None
    return Row(name, model, noise, files)


def _formats() -> tuple[tuple[str, str, Callable[..., bytes], str], ...]:
    return (
        ("int8.onnx", this_scheme(), onnx_exporter.emit, "onnxruntime"),
        ("int8.tflite", "s8s8", tflite_exporter.emit, "litert"),
    )


def timed(rows: list[Row]) -> dict[tuple[str, str], str]:
    """Return the median with its 95 % interval of every file, by network and kind of file."""
    with tempfile.TemporaryDirectory() as scratch:
        paths = {}
        for row in rows:
            for what, content in row.files.items():
                path = Path(scratch) / f"{row.name}.{what}"
                path.write_bytes(content)
                paths[path.name] = path
        found = bench(
            list(paths.values()),
            ("local",),
            (),
            Access(),
            Silent(),
            shapes={},
            settings=SETTINGS,
        )
    known: dict[str, str] = {}
    for one in found.rows:
        interval = "" if one.ci95_ms is None else f" [{one.ci95_ms[0]:.3g}, {one.ci95_ms[1]:.3g}]"
        known[one.model] = "none" if one.median_ms is None else f"{one.median_ms:.3g}{interval}"
    return {
        (row.name, what): known.get(f"{row.name}.{what}", "not written")
        for row in rows
        for what in KINDS
    }


def built() -> Iterator[tuple[str, bytes]]:
    """Yield networks as ONNX files, by name."""
    for name, (module, shape) in tiny().items():
        yield name, exported(module, shape)
    if importlib.util.find_spec("torchvision") is None:
        print("<!-- torchvision is not installed: without its architectures -->")
        return
    from torchvision import models

    for name in ARCHITECTURES:
        torch.manual_seed(0)
        yield name, exported(settled(getattr(models, name)(weights=None)), (3, SIZE, SIZE))


def settled(module: nn.Module) -> nn.Module:
    """Return the module with the batch norms' statistics on noise, else values would vanish."""
    for one in module.modules():
        if isinstance(one, nn.BatchNorm2d):
            one.reset_running_stats()
            one.momentum = None  # the mean of what was seen
    with torch.no_grad():
        module.train()(torch.randn(8, 3, SIZE, SIZE))
    return module.eval()


def exported(module: nn.Module, shape: tuple[int, ...]) -> bytes:
    """Return the module as an ONNX file of one input of `shape`, which is without the batch."""
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = (torch.zeros(1, *shape),)
        torch.onnx.export(module.eval(), image, stream, dynamo=False, opset_version=17)
    return stream.getvalue()


def tiny() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """Return networks like MLPerf Tiny's (arXiv 2106.07597), a U-Net, and two of series: M5 of
    sound (arXiv 1610.00087) and one of sensors; and the shapes of their inputs."""
    torch.manual_seed(0)
    ds_cnn = nn.Sequential(*_unit(1, 64, (10, 4), 2), *_separable(4, 64, 64), *_head(64, 12))
    widths = ((8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2))
    deep = (*widths, *((128, 128, 1),) * 5, (128, 256, 2), (256, 256, 1))
    blocks = [layer for i, o, stride in deep for layer in _separable(1, i, o, stride)]
    return {
        "resnet-8, 32 px": (_ResNet8(), (3, 32, 32)),
        "ds-cnn, 49 x 10": (ds_cnn, (1, 49, 10)),
        "mobilenet-v1 0.25, 96 px": (
            nn.Sequential(*_unit(3, 8, 3, 2), *blocks, *_head(256, 2)),
            (3, SIZE, SIZE),
        ),
        "u-net, 96 px": (_UNet(), (3, SIZE, SIZE)),
        "autoencoder, 640": (_autoencoder(), (640,)),
        "M5, 1 x 16000": (_m5(), (1, 16000)),
        "sensors, 9 x 128": (
            nn.Sequential(
                *_series(9, 32, 5, 1),
                nn.MaxPool1d(2),
                *_series(32, 64, 5, 1),
                nn.AdaptiveAvgPool1d(1),
                nn.Flatten(),
                nn.Linear(64, 6),
            ),
            (9, 128),
        ),
    }


def _autoencoder() -> nn.Module:
    """MLPerf Tiny's detector of anomalies: dense layers with batch norms."""
    widths = (640, *(128,) * 4, 8, *(128,) * 4)
    layers = [
        layer
        for inputs, outputs in itertools.pairwise(widths)
        for layer in (nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU())
    ]
    return nn.Sequential(*layers, nn.Linear(128, 640))


def _m5() -> nn.Module:
    widths = ((1, 32, 80, 16), (32, 32, 3, 1), (32, 64, 3, 1), (64, 64, 3, 1))
    layers = [layer for one in widths for layer in (*_series(*one), nn.MaxPool1d(4))]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(64, 35))


def _series(inputs: int, outputs: int, k: int, stride: int) -> list[nn.Module]:
    layer = nn.Conv1d(inputs, outputs, k, stride, k // 2, bias=False)
    return [layer, nn.BatchNorm1d(outputs), nn.ReLU()]


def _unit(inputs: int, outputs: int, k: Any, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    pad = (k[0] // 2, k[1] // 2) if isinstance(k, tuple) else k // 2
    layer = nn.Conv2d(inputs, outputs, k, stride, pad, groups=groups, bias=False)
    return [layer, nn.BatchNorm2d(outputs), nn.ReLU()]


def _separable(times: int, inputs: int, outputs: int, stride: int = 1) -> list[nn.Module]:
    one = [*_unit(inputs, inputs, 3, stride, inputs), *_unit(inputs, outputs, 1)]
    return one if times == 1 else [*one, *_separable(times - 1, inputs, outputs, stride)]


def _head(channels: int, classes: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_unit(inputs, outputs, 3, stride), *_unit(outputs, outputs, 3)[:2]
        )
        self.short = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.short(x))


class _ResNet8(nn.Sequential):
    def __init__(self) -> None:
        stages = (_Residual(16, 16, 1), _Residual(16, 32, 2), _Residual(32, 64, 2))
        super().__init__(*_unit(3, 16, 3), *stages, *_head(64, 10))


class _UNet(nn.Module):
    """Two levels down and up, by transposed convolutions, with what was before beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            nn.Sequential(*_unit(i, o, 3), *_unit(o, o, 3))
            for i, o in ((3, 16), (16, 32), (32, 64))
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, i // 2, 2, 2) for i in (64, 32))
        self.join = nn.ModuleList(nn.Sequential(*_unit(i, i // 2, 3)) for i in (64, 32))
        self.last = nn.Conv2d(16, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.down[0](x)
        second = self.down[1](nn.functional.max_pool2d(first, 2))
        x = self.down[2](nn.functional.max_pool2d(second, 2))
        for up, join, beside in zip(self.up, self.join, (second, first), strict=True):
            x = join(torch.cat((up(x), beside), 1))
        return self.last(x)


if __name__ == "__main__":
    main()
