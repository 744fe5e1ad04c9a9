"""LiteRT's C interface, as far as its profiler needs it: its Python packages do not offer one.

Functions and structures: litert/c/litert_{compiled_model,profiler,profiler_event,options}.h of
LiteRT 2.3. Every call runs in the worker's process: what goes wrong costs one model only.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any, List, NamedTuple, Tuple

LIBRARY = "libLiteRt.so"
OLDEST = (2, 3)  # earlier ones take other arguments
BEFORE = (3, 0)
_CPU = 1
_WRITE = 1
_BUILT_IN = 2
_ENOUGH_BYTES = 512  # for the description of a tensor: 8 sizes and 8 strides of 4 bytes, and a head
_Delete = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Event(NamedTuple):
    """tag : the kernel's or operator's name. kind : see below. us : microseconds."""

    tag: str
    kind: int
    us: int


OPERATOR = 1 << 1
DELEGATE = 1 << 3


class _Event(ctypes.Structure):
    _fields_ = (
        ("tag", ctypes.c_char_p),
        ("kind", ctypes.c_int),
        ("start_us", ctypes.c_uint64),
        ("elapsed_us", ctypes.c_uint64),
        ("memory_before", ctypes.c_size_t * 3),
        ("memory_after", ctypes.c_size_t * 3),
        ("metadata", ctypes.c_uint64 * 2),
        ("source", ctypes.c_int),
    )


def check_version(version: str) -> None:
    """Raise `NotImplementedError` unless the interface of this version is known."""
    known = tuple(int(part) for part in version.split(".")[:2])
    if not OLDEST <= known < BEFORE:
        raise NotImplementedError(
            f"timing by operator is known of LiteRT {OLDEST[0]}.{OLDEST[1]} to {OLDEST[0]}.x, "
            f"this is {version}"
        )


class ProfiledModel:
    """A .tflite file in LiteRT's compiled model, with its profiler."""

    def __init__(self, folder: Path, path: str, threads: int, xnnpack: bool) -> None:
        """Load the file; folder : of the package ai_edge_litert. `RuntimeError` if it fails."""
        self._library = ctypes.CDLL(str(folder / LIBRARY))
        self._kept: List[Any] = []  # what the library points to
        environment = self._environment = self._new("LiteRtCreateEnvironment", 0, None)
        self._model = self._new("LiteRtCreateModelFromFile", environment, path.encode())
        options = self._new("LiteRtCreateOptions")
        self._call("LiteRtSetOptionsHardwareAccelerators", options, _CPU)
        self._add(options, "runtime_options_string", "enable_profiling = true\n")
        kernels = "" if xnnpack else f"kernel_mode = {_BUILT_IN}\n"
        self._add(options, "xnnpack", f"num_threads = {threads}\n{kernels}")
        made = (environment, self._model, options)
        self._compiled = self._new("LiteRtCreateCompiledModel", *made)
        self._profiler = self._new("LiteRtCompiledModelGetProfiler", self._compiled)
        signature = self._new("LiteRtGetModelSignature", self._model, ctypes.c_size_t(0))
        self._input = self._buffer(signature, "Input")
        self._output = self._buffer(signature, "Output")

    def fill(self, values: bytes) -> None:
        """Write the input, in the file's own layout and type."""
        place = self._new("LiteRtLockTensorBuffer", self._input, last=(_WRITE,))
        ctypes.memmove(place, values, len(values))
        self._call("LiteRtUnlockTensorBuffer", self._input)

    def run(self) -> None:
        one, first = ctypes.c_size_t(1), ctypes.c_size_t(0)
        ends = [(ctypes.c_void_p * 1)(end) for end in (self._input, self._output)]
        self._call("LiteRtRunCompiledModel", self._compiled, first, one, ends[0], one, ends[1])

    def profiled_run(self) -> List[Event]:
        """Run the model once and return what the engine's profiler says of it."""
        self._call("LiteRtResetProfiler", self._profiler)
        self._call("LiteRtStartProfiler", self._profiler)
        self.run()
        self._call("LiteRtStopProfiler", self._profiler)
        count = ctypes.c_int()
        self._call("LiteRtGetNumProfilerEvents", self._profiler, ctypes.byref(count))
        events = (_Event * count.value)()
        self._call("LiteRtGetProfilerEvents", self._profiler, count, events)
        return [
            Event(one.tag.decode("utf-8", "replace"), one.kind, one.elapsed_us) for one in events
        ]

    def _buffer(self, signature: ctypes.c_void_p, end: str) -> ctypes.c_void_p:
        first = ctypes.c_size_t(0)
        tensor = self._new(f"LiteRtGetSignature{end}TensorByIndex", signature, first)
        about = ctypes.create_string_buffer(_ENOUGH_BYTES)
        self._call("LiteRtGetRankedTensorType", tensor, about)
        wanted = self._new(
            f"LiteRtGetCompiledModel{end}BufferRequirements", self._compiled, first, first
        )
        made = (self._environment, about, wanted)
        return self._new("LiteRtCreateManagedTensorBufferFromRequirements", *made)

    def _add(self, options: ctypes.c_void_p, name: str, text: str) -> None:
        content, keep = ctypes.create_string_buffer(text.encode()), _Delete(lambda place: None)
        self._kept += [content, keep]
        payload = ctypes.cast(content, ctypes.c_void_p)
        made = self._new("LiteRtCreateOpaqueOptions", name.encode(), payload, keep)
        self._call("LiteRtAddOpaqueOptions", options, made)

    def _new(self, name: str, *arguments: Any, last: Tuple[Any, ...] = ()) -> ctypes.c_void_p:
        """Call a function that gives a pointer in the argument after `arguments`; return it."""
        made = ctypes.c_void_p()
        self._call(name, *arguments, ctypes.byref(made), *last)
        return made

    def _call(self, name: str, *arguments: Any) -> None:
        try:
            function = getattr(self._library, name)
        except AttributeError as problem:
            raise NotImplementedError(f"this LiteRT has no {name}") from problem
        status = function(*arguments)
        if status:
            raise RuntimeError(f"{name} gave status {status}")
