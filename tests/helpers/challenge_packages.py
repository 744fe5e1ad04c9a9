"""Submissions for tests: a good one for each challenge, and ways to break it."""

from __future__ import annotations

import zipapp
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from edgenas.challenges.base import Entry, Network
from edgenas.core import plugins
from edgenas.core.records import ImageInput
from edgenas.int8.graph.ir import Graph, Node, WeightedNode
from edgenas.int8.graph.pixels import with_background
from edgenas.int8.graph.ranges import Ranges, random_ranges

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's
Builder = Callable[[Path], Path]

SOLUTION = """
import argparse, os, time
import numpy as np
from PIL import Image

parser = argparse.ArgumentParser()
parser.add_argument("-i")
parser.add_argument("-o")
arguments = parser.parse_args()
start = time.time()
for name in sorted(os.listdir(arguments.i)):
    image = np.asarray(Image.open(os.path.join(arguments.i, name)).convert("L"))
    classes = (image // 20).clip(0, 13).astype(np.uint8)
    Image.fromarray(classes).save(os.path.join(arguments.o, os.path.splitext(name)[0] + ".png"))
print(time.time() - start)
"""


def tiny_graph(size: int, classes: int, channels: int = 3) -> Graph:
    """Return a stem, a pool and a classifier for images of `size` pixels."""
    rng = np.random.default_rng(0)
    stem = WeightedNode(
        "conv",
        ("input",),
        "stem",
        (1, 4, (size + 1) // 2, (size + 1) // 2),
        rng.standard_normal((4, channels, 3, 3), np.float32),
        np.zeros(4, np.float32),
        2,
        1,
        activation="relu6",
    )
    weight = rng.standard_normal((classes, 4), np.float32)
    bias = np.zeros(classes, np.float32)
    head = WeightedNode("linear", ("pool",), "logits", (1, classes), weight, bias)
    nodes = (stem, Node("global_pool", ("stem",), "pool", (1, 4, 1, 1)), head)
    return Graph((1, channels, size, size), nodes)


def emit(kind: str, graph: Graph, scheme: str | None = "u8s8", batch: int | None = 1) -> bytes:
    exporter = plugins.load("exporters", kind)
    ranges = random_ranges(graph, 0) if scheme else None
    return exporter.emit(graph, ranges, scheme=scheme or "u8s8", batch=batch)


def entry(size: int, classes: int, tflite: bool = False) -> Entry:
    graph = tiny_graph(size, classes)
    models = {"int8.onnx": emit("onnx", graph), "fp32.onnx": emit("onnx", graph, None)}
    if tflite:
        widened = with_background(graph, random_ranges(graph, 0))  # as `submit` does
        models["uint8.tflite"] = emit("tflite", widened)
    card = {
        "accuracy": 0.5,
        "n_images": 10,
        "latency_ms": 1.5,
        "target": "local",
        "engine": "onnxruntime",
        "scheme": "u8s8",
        "seed": 0,
        "versions": {"edgenas": "0"},
    }
    names = tuple(f"class {index}" for index in range(classes))
    judge = plugins.load("challenges", "lpcvc2025-track1").RULES.value("classes", "names")
    if classes == len(judge):
        names = tuple(sorted(judge))  # as folders are read
    imagenet = plugins.load("challenges", "ovic2020").RULES.value("classes", "names")
    if classes == len(imagenet):
        names = tuple(name.split(" ")[0] for name in imagenet)  # WordNet numbers
    evidence = {"samples.json": b"[1, 2]"}
    made = ImageInput("squeeze", size, size, "rgb", MEAN, STD, "nchw", "float32")
    network = Network(graph, random_ranges(graph, 0), made, write_network)
    return Entry("tiny", models, names, card, "edgenas search", evidence, network)


def write_network(
    exporter: str,
    graph: Graph,
    ranges: Ranges | None,
    scheme: str,
    *,
    made: ImageInput | None = None,
    class_names: Sequence[str] = (),
) -> bytes:
    how = {"scheme": scheme, "made": made, "class_names": class_names}
    return plugins.load("exporters", exporter).emit(graph, ranges, **how)


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def good_ovic(folder: Path) -> Path:
    challenge = plugins.load("challenges", "ovic2020")
    return challenge.build(entry(32, 1000, tflite=True), folder)


def good_2025(folder: Path) -> Path:
    return plugins.load("challenges", "lpcvc2025-track1").build(entry(224, 64), folder)


def good_2023(folder: Path, source: str = SOLUTION, name: str = "solution.pyz") -> Path:
    inside = folder / "solution"
    inside.mkdir()
    (inside / "__main__.py").write_text(source)
    zipapp.create_archive(inside, folder / name, interpreter="/usr/bin/env python3.6")
    return folder / name


def good_generic(folder: Path) -> Path:
    return plugins.load("challenges", "generic").build(entry(16, 5), folder / "package")


GOOD: dict[str, Builder] = {
    "ovic2020": good_ovic,
    "lpcvc2025-track1": good_2025,
    "lpcvc2023": good_2023,
    "generic": good_generic,
}


def ovic(scheme: str | None, size: int = 32, classes: int = 1001, channels: int = 3) -> Builder:
    def build(folder: Path) -> Path:
        model = emit("tflite", tiny_graph(size, classes, channels), scheme)
        return write(folder, "model.tflite", model)

    return build


def onnx_of(
    size: int = 224, classes: int = 64, batch: int | None = 1, name: str = "image"
) -> Builder:
    def build(folder: Path) -> Path:
        model = onnx.load_model_from_string(emit("onnx", tiny_graph(size, classes), batch=batch))
        model.graph.input[0].name = name
        model.graph.node[0].input[0] = name
        return write(folder, "model.onnx", model.SerializeToString())

    return build


def external_weights(folder: Path) -> Path:
    model = onnx.load(good_2025(folder))
    onnx.save(model, folder / "split.onnx", save_as_external_data=True, size_threshold=0)
    return folder / "split.onnx"


def cut(good: Builder) -> Builder:
    def build(folder: Path) -> Path:
        path = good(folder)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path

    return build


def other_interpreter(folder: Path) -> Path:
    path = good_2023(folder)
    zipapp.create_archive(folder / "solution", path, interpreter="/usr/bin/python3")
    return path


def nested_folder(folder: Path) -> Path:
    path = good_2023(folder)
    (folder / "outer").mkdir()
    (folder / "solution").rename(folder / "outer" / "solution")
    zipapp.create_archive(folder / "outer", path, "/usr/bin/env python3.6", main="solution:main")
    _without(path, "__main__.py")
    return path


def _without(path: Path, name: str) -> None:
    import zipfile

    with zipfile.ZipFile(path) as package:
        kept = {entry: package.read(entry) for entry in package.namelist() if entry != name}
    with path.open("wb") as stream:
        stream.write(b"#!/usr/bin/env python3.6\n")
        with zipfile.ZipFile(stream, "w") as package:
            for entry, content in kept.items():
                package.writestr(entry, content)


def changed(name: str, content: bytes | None) -> Builder:
    """Return a builder of a good package in which a file is replaced, or is not there."""

    def build(folder: Path) -> Path:
        path = good_generic(folder)
        if content is None:
            (path / name).unlink()
        else:
            (path / name).write_bytes(content)
        return path

    return build


def no_evidence(folder: Path) -> Path:
    path = good_generic(folder)
    (path / "evidence" / "samples.json").unlink()
    (path / "evidence" / "empty").mkdir()
    return path


def in_percent(folder: Path) -> Path:
    """A card that gives the accuracy in percent, and hashes that fit it."""
    card = {**entry(16, 5).card, "accuracy": 50}
    challenge = plugins.load("challenges", "generic")
    return challenge.build(replace(entry(16, 5), card=card), folder / "package")


# challenge -> what is wrong -> (how to make it so, the rule that is broken)
BROKEN: dict[str, dict[str, tuple[Builder, str]]] = {
    "ovic2020": {
        "signed ends": (ovic("s8s8"), "input"),
        "float model": (ovic(None), "input"),
        "no background class": (ovic("u8s8", classes=1000), "output"),
        "grey images": (ovic("u8s8", channels=1), "input"),
        "too large an image": (ovic("u8s8", size=1001), "input"),
        "half a file": (cut(good_ovic), "format"),
        "another format": (onnx_of(), "format"),
    },
    "lpcvc2025-track1": {
        "input of another name": (onnx_of(name="input"), "input"),
        "open batch": (onnx_of(batch=None), "input"),
        "smaller images": (onnx_of(size=192), "input"),
        "classes of ImageNet": (onnx_of(classes=1000), "output"),
        "half a file": (cut(good_2025), "format"),
        "weights in another file": (external_weights, "format"),
    },
    "lpcvc2023": {
        "a classifier": (ovic("u8s8"), "task"),
        "another name": (lambda folder: good_2023(folder, name="my_solution.pyz"), "file"),
        "another interpreter": (other_interpreter, "file"),
        "folder inside the package": (nested_folder, "file"),
        "newer Python": (lambda folder: good_2023(folder, "if (n := 1): pass"), "python"),
        "package that is not there": (lambda folder: good_2023(folder, "import scipy"), "packages"),
        "half a file": (cut(good_2023), "file"),
    },
    "generic": {
        "another model": (changed("model.onnx", emit("onnx", tiny_graph(16, 4))), "hashes"),
        "no labels": (changed("labels.txt", None), "files"),
        "labels of another data set": (changed("labels.txt", b"cat\ndog\n"), "model"),
        "card without figures": (changed("card.json", b"{}"), "card"),
        "impossible accuracy": (in_percent, "card"),
        "broken model": (changed("model.onnx", b"nothing"), "model"),
        "no evidence": (no_evidence, "evidence"),
        "a file from elsewhere": (changed("SHA256SUMS", b"0" * 64 + b"  ../secret\n"), "hashes"),
    },
}
NEEDS_LITERT = {"ovic2020"}
