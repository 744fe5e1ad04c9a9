"""ONNX Runtime's own profile: time by operator, and what ran each."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from device_runtime.inputs import Input, random_values

_KERNEL = "_kernel_time"
_TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(bool)": "bool",
    **{
        f"tensor({sign}int{bits})": f"{sign}int{bits}"
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
}


def inputs_of(session: Any) -> Tuple[Input, ...]:
    """Return the inputs of a session; `ValueError` for one that is no tensor of numbers."""
    inputs = []
    for one in session.get_inputs():
        if one.type not in _TYPES:
            raise ValueError(f"the input {one.name} is a {one.type}, not a tensor of numbers")
        sizes = tuple(n if isinstance(n, int) and n > 0 else None for n in one.shape)
        inputs.append(Input(one.name, sizes, _TYPES[one.type]))
    return tuple(inputs)


def profiled_operators(
    open_session: Callable[[str], Any],
    warmup: int,
    runs: int,
    shapes: Mapping[str, Sequence[int]],
) -> List[Dict[str, Any]]:
    """Return the fields of a `readings.Operator` for each operator, in the order of running.

    open_session : makes a session that profiles into files with the prefix that it is given.
    shapes : of inputs, by name, that leave a size open.
    """
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(str(Path(folder) / "profile"))
        values = random_values(inputs_of(session), shapes)
        for _ in range(warmup + runs):
            session.run(None, values)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    by_node: Dict[str, List[Dict[str, Any]]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            by_node.setdefault(f"{event['args'].get('node_index')} {event['name']}", []).append(
                event
            )
    return [_operator(events, warmup, runs) for events in by_node.values()]


def _operator(events: List[Dict[str, Any]], warmup: int, runs: int) -> Dict[str, Any]:
    """events : of one node over all runs; the engine's clock ticks in microseconds."""
    timed = events[len(events) * warmup // (warmup + runs) :]
    arguments = events[-1]["args"]
    return {
        "name": events[-1]["name"][: -len(_KERNEL)],
        "type": arguments.get("op_name", ""),
        "provider": arguments.get("provider", ""),
        "mean_us": middle_mean([event["dur"] for event in timed]) * len(timed) / runs,
        "takes": _first_type(arguments.get("input_type_shape")),
        "gives": _first_type(arguments.get("output_type_shape")),
    }


def middle_mean(values: List[int]) -> float:
    """Return the mean of the middle half: whole microseconds, but no interruptions."""
    ordered, cut = sorted(values), len(values) // 4
    middle = ordered[cut : len(ordered) - cut]
    return sum(middle) / len(middle)


def _first_type(tensors: Any) -> str:
    """Return the element type of the first tensor, such as "uint8"; empty if it is not told."""
    return next(iter(tensors[0]), "") if tensors else ""
