"""Model files on this computer, image by image or in batches: the host's side of every comparison.

The host's engines are onnxruntime for .onnx files, and for .tflite files LiteRT with XNNPACK
("litert") or on its built-in kernels ("litert_builtin"), whose arithmetic is tflite-runtime's.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from edgenas.core.errors import ExportError, nearest

BATCH = 64
_TFLITE_IDENTIFIER = b"TFL3"
_NOTICE = b"INFO: "
_STDERR = threading.Lock()
Images = np.ndarray | Sequence[np.ndarray]


def logits(model: bytes, images: Images, engine: str = "onnxruntime") -> np.ndarray:
    """Return the logits of a model file, dequantized, float32 [n, classes].

    images : normalised float32 [n, channels, height, width], or what gives such slices. A model of
        batch 1 is given one image
        at a time, an ONNX file of open batch 64.
    engine : of the host: "onnxruntime", "litert" or "litert_builtin".

    Raises
    ------
    ExportError : there is no such engine on the host.
    """
    if engine not in _ENGINES:
        raise ExportError(f"The host has no engine '{engine}'.", nearest(engine, _ENGINES))
    return _ENGINES[engine](model, images)


def fed_logits(model: bytes, images: np.ndarray) -> np.ndarray:
    """Return the scores, [n, classes] in any scale, of a file that is fed just these numbers.

    images : [n, …] in the file's own layout and type. A .tflite file of integers is given floats
        too: they are quantized with its scale and zero point.

    Raises
    ------
    ExportError : ai-edge-litert, which runs .tflite files, is not installed.
    """
    if model[4:8] != _TFLITE_IDENTIFIER:
        return _onnxruntime(model, images)
    interpreter, _ = _litert()
    with _without_notices():
        judge = interpreter.Interpreter(model_content=model, num_threads=1)
        judge.allocate_tensors()
    (entry,), (result,) = judge.get_input_details(), judge.get_output_details()
    if entry["dtype"] != images.dtype.type:
        (scale, zero_point), limits = entry["quantization"], np.iinfo(entry["dtype"])
        images = np.rint(images / np.float32(scale) + zero_point).clip(limits.min, limits.max)
        images = images.astype(entry["dtype"])
    rows = []
    for image in images:
        judge.set_tensor(entry["index"], image[np.newaxis])
        judge.invoke()
        rows.append(judge.get_tensor(result["index"]).reshape(-1).astype(np.float32))
    return np.stack(rows)


def version(engine: str) -> str:
    """Return the engine's name and version, such as "litert 2.3.0"."""
    if engine == "onnxruntime":
        import onnxruntime

        return f"{engine} {onnxruntime.__version__}"
    return f"{engine} {_litert()[1]}"


def _onnxruntime(model: bytes, images: Images) -> np.ndarray:
    import onnxruntime

    from device_runtime.machine import u8s8_saturates

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # As many threads as the user lets torch have; of several processes on one machine one each.
    options.intra_op_num_threads = _threads(os.environ.get("OMP_NUM_THREADS", ""))
    if u8s8_saturates():
        # Exact, but signed int8 stays in part in float, for the two options do not go together.
        options.add_session_config_entry("session.x64quantprecision", "1")
    else:  # signed int8 in integers, as on Arm: the same bits
        options.add_session_config_entry("session.qdqisint8allowed", "1")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    step = entry.shape[0] if isinstance(entry.shape[0], int) else BATCH
    parts = [
        session.run(None, {entry.name: images[start : start + step]})[0]
        for start in range(0, len(images), step)
    ]
    return np.concatenate(parts)


def _threads(said: str) -> int:
    """Return the threads in OMP_NUM_THREADS, of a list the first; 0, for all cores, in none."""
    first = said.partition(",")[0].strip()
    return int(first) if first.isdecimal() else 0


def _tflite(model: bytes, images: Images, xnnpack: bool) -> np.ndarray:
    from device_runtime.tflite_session import TfliteSession

    interpreter, _ = _litert()
    with tempfile.TemporaryDirectory(prefix="edgenas-host-") as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(model)
        with _without_notices():
            session = TfliteSession(interpreter, str(path), 1, xnnpack)
        rows = []
        for image in images:
            session.bind(image[np.newaxis])
            session.run()
            rows.append(session.output().reshape(-1).copy())
    return np.stack(rows)


def _litert() -> tuple:
    """Return the interpreter's module, and the package's version."""
    try:
        import ai_edge_litert
        from ai_edge_litert import interpreter
    except ImportError as problem:
        raise ExportError(
            f"Running .tflite files needs the package ai-edge-litert ({problem}).",
            "Run: pip install 'edgenas[tflite]'",
        ) from problem
    return interpreter, ai_edge_litert.__version__


@contextlib.contextmanager
def _without_notices() -> Iterator[None]:
    """Keep LiteRT's notices, such as that it made a delegate, off stderr; pass on all else.

    It writes them to the file descriptor itself, and its Python interface cannot be told not to.
    """
    with _STDERR, tempfile.TemporaryFile() as written, contextlib.ExitStack() as after:
        try:
            shown = os.dup(2)
        except OSError:  # there is no stderr
            yield
            return
        after.callback(os.close, shown)
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(shown, 2)
            written.seek(0)
            for line in written:
                if not line.startswith(_NOTICE):
                    os.write(2, line)


_ENGINES = {
    "onnxruntime": _onnxruntime,
    "litert": lambda model, images: _tflite(model, images, xnnpack=True),
    "litert_builtin": lambda model, images: _tflite(model, images, xnnpack=False),
}
