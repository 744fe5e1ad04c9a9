"""What LiteRT says of a .tflite file: a program of its own, for LiteRT may crash on a damaged one.

Started with the folders to import from as its argument and the file on standard input; prints one
JSON object: {"error": …}, or inputs, outputs, operators and the tensors computed in float.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from collections import Counter
from typing import Any

_FLOAT = {"float32", "float16", "float64", "bfloat16"}
_MOST_BYTES = 2**33  # of memory: what a small file declares may be endless
_MOST_SECONDS = 60


def describe(content: bytes) -> dict[str, Any]:
    """Return what a file takes, gives and computes.

    Raises
    ------
    ImportError : ai-edge-litert is not installed. ValueError, RuntimeError : LiteRT refuses it.
    """
    from ai_edge_litert import interpreter as litert

    loaded = litert.Interpreter(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    loaded.allocate_tensors()
    tensors = {entry["index"]: entry for entry in loaded.get_tensor_details()}
    operators = loaded._get_ops_details()
    floats = [
        tensors[output]["name"]
        for entry in operators
        for output in map(int, entry["outputs"])
        if output in tensors and _dtype(tensors[output]) in _FLOAT
    ]
    return {
        "inputs": [_tensor(entry) for entry in loaded.get_input_details()],
        "outputs": [_tensor(entry) for entry in loaded.get_output_details()],
        "operators": Counter(entry["op_name"] for entry in operators),
        "floats": floats,
    }


def _tensor(entry: dict[str, Any]) -> dict[str, Any]:
    scale, zero_point = entry["quantization"]
    open_sizes = [int(size) for size in entry["shape_signature"]]
    shape = [max(size, 0) for size in open_sizes] or [int(size) for size in entry["shape"]]
    return {
        "name": entry["name"],
        "shape": shape,
        "dtype": _dtype(entry),
        "scale": float(scale),
        "zero_point": int(zero_point),
    }


def _dtype(entry: dict[str, Any]) -> str:
    return str(entry["dtype"].__name__)


def main() -> None:
    sys.path[:] = json.loads(sys.argv[1])
    with contextlib.suppress(ValueError, OSError):  # macOS takes none
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_MOST_SECONDS, _MOST_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        document = describe(sys.stdin.buffer.read())
    except ImportError as problem:
        document = {"error": str(problem), "missing": True}
    except (ValueError, RuntimeError, MemoryError) as problem:
        document = {"error": str(problem)}
    json.dump(document, sys.stdout)


if __name__ == "__main__":
    main()
