"""A .tflite file in the interpreter that LiteRT and tflite-runtime have in common."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Set, Tuple

import numpy as np

from device_runtime.inputs import Input

XNNPACK = "XNNPACK"
BUILT_IN = "built-in kernels"


class TfliteSession:
    """See `backends.base.Session`: float in and out, whatever the file takes and gives.

    Images are [1, channels, height, width] here and channels last in the file. Integers at the
    ends are converted by the scale and zero point of the file. None of it is timed.
    """

    def __init__(self, engine: Any, path: str, threads: int, xnnpack: bool) -> None:
        """Load the file in `engine`, the module that has `Interpreter`, or raise its errors."""
        kinds = engine.OpResolverType
        resolver = kinds.AUTO if xnnpack else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self._interpreter = engine.Interpreter(
            model_path=path, num_threads=threads, experimental_op_resolver_type=resolver
        )
        self._interpreter.allocate_tensors()
        self.inputs: Tuple[Input, ...] = inputs_of(self._interpreter)
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]
        self.provider: str = describe_kernels(self._interpreter._get_ops_details())

    @property
    def input_shape(self) -> Tuple[int, ...]:
        if len(self.inputs) != 1:
            raise ValueError(f"the model has {len(self.inputs)} inputs, not one")
        for end in (self._input, self._output):
            if np.dtype(end["dtype"]) not in (np.float32, np.int8, np.uint8):
                raise ValueError(f"{end['name']} is {np.dtype(end['dtype'])}, not float or int8")
        return _channels_first(self._input["shape"])

    def feed(self, values: Mapping[str, np.ndarray]) -> None:
        """Set all inputs, of the file's own types; an open size becomes that of the values."""
        details = {entry["name"]: entry for entry in self._interpreter.get_input_details()}
        for name, given in values.items():
            if tuple(details[name]["shape"]) != given.shape:
                self._interpreter.resize_tensor_input(details[name]["index"], given.shape)
        self._interpreter.allocate_tensors()
        for name, given in values.items():
            self._interpreter.set_tensor(details[name]["index"], np.ascontiguousarray(given))

    def bind(self, values: np.ndarray) -> None:
        """Set the input, float32 of `input_shape`, in the file's own layout and type."""
        if values.shape != self.input_shape:
            raise ValueError(f"the input has shape {values.shape}, not {self.input_shape}")
        own = values.transpose(0, 2, 3, 1) if values.ndim == 4 else values
        self._interpreter.set_tensor(self._input["index"], _stored(own, self._input))

    def run(self) -> None:
        self._interpreter.invoke()

    def output(self) -> np.ndarray:
        return _real(self._interpreter.get_tensor(self._output["index"]), self._output)


def inputs_of(interpreter: Any) -> Tuple[Input, ...]:
    """Return the inputs of a loaded file; `ValueError` for one that holds no numbers."""
    inputs = []
    for entry in interpreter.get_input_details():
        dtype = np.dtype(entry["dtype"])
        if dtype.kind not in "fiub":
            raise ValueError(f"the input {entry['name']} is of the type {dtype}, not of numbers")
        signature = entry.get("shape_signature", entry["shape"])
        sizes = signature if len(signature) == len(entry["shape"]) else entry["shape"]
        shape = tuple(int(size) if size >= 0 else None for size in sizes)
        inputs.append(Input(str(entry["name"]), shape, dtype.name))
    return tuple(inputs)


def describe_kernels(operators: List[Dict[str, Any]]) -> str:
    """Return what runs the operators: a delegate, built-in kernels, or both, and then which.

    operators : of the interpreter's list; a delegate stands at its end as an operator of its own,
        and what it replaced is what lies between its inputs and its outputs.
    """
    delegates = [entry for entry in operators if entry["op_name"] == "DELEGATE"]
    own = [entry for entry in operators if entry["op_name"] != "DELEGATE"]
    if not delegates:
        return BUILT_IN
    maker = {int(tensor): entry for entry in own for tensor in entry["outputs"]}
    taken: Set[int] = set()
    for delegate in delegates:
        known = {int(tensor) for tensor in delegate["inputs"]}
        wanted = [int(tensor) for tensor in delegate["outputs"]]
        while wanted:
            entry = maker.get(wanted.pop())
            if entry is not None and entry["index"] not in taken:
                taken.add(entry["index"])
                wanted += [int(tensor) for tensor in entry["inputs"] if int(tensor) not in known]
    left = [entry["op_name"] for entry in own if entry["index"] not in taken]
    if not left:
        return XNNPACK
    return f"{XNNPACK}; {BUILT_IN} for {len(left)} of {len(own)}: {', '.join(sorted(set(left)))}"


def _channels_first(shape: Any) -> Tuple[int, ...]:
    sizes = tuple(int(size) for size in shape)
    if sizes[:1] != (1,):
        raise ValueError(f"the model's input shape {sizes} is not that of one image")
    return (1, sizes[3], sizes[1], sizes[2]) if len(sizes) == 4 else sizes


def _stored(values: np.ndarray, tensor: Dict[str, Any]) -> np.ndarray:
    dtype = np.dtype(tensor["dtype"])
    if dtype == np.float32:
        return np.ascontiguousarray(values, np.float32)
    scale, zero_point = _quantization(tensor)
    limits = np.iinfo(dtype)
    steps = np.rint(values / np.float32(scale)) + zero_point
    return np.ascontiguousarray(steps.clip(limits.min, limits.max).astype(dtype))


def _real(values: np.ndarray, tensor: Dict[str, Any]) -> np.ndarray:
    if np.dtype(tensor["dtype"]) == np.float32:
        return np.asarray(values, np.float32)
    scale, zero_point = _quantization(tensor)
    real: np.ndarray = (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
    return real


def _quantization(tensor: Dict[str, Any]) -> Tuple[float, int]:
    scale, zero_point = tensor["quantization"]
    if not scale > 0:
        raise ValueError(f"{tensor['name']} is integer but has no scale")
    return scale, zero_point
