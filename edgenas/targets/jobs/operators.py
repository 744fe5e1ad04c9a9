"""Profiles by operator: from a journal to a record, and what they tell of fallbacks."""

from __future__ import annotations

from collections.abc import Sequence

from device_runtime.summary import JobState
from edgenas.core.counted import counted
from edgenas.core.errors import MeasurementError
from edgenas.core.records import Operator, OperatorProfile

_INTEGER = ("int8", "uint8", "int16", "int32")
_REAL = ("float", "float16", "double")
# They are where integers begin and end, and move data only.
_BETWEEN = ("QuantizeLinear", "DequantizeLinear", "Cast")

_BUILT_IN = "The same built-in kernels can be timed in LiteRT: --engine litert_builtin."
_LITERT = (
    "Install the newest ai-edge-litert there, or profile the .onnx file: --engine onnxruntime."
)
_INSTEAD = {
    "tflite_runtime": _BUILT_IN,
    "tflite_runtime_builtin": _BUILT_IN,
    "litert": _LITERT,
    "litert_builtin": _LITERT,
}


def profile_of(state: JobState, key: str, target: str) -> OperatorProfile:
    """Return the profile of model `key`; `MeasurementError` if the journal has none, with why."""
    found = state.profiled.get(key)
    if found is None or state.started is None:
        failed = state.failed.get(key)
        why = failed.reason if failed else "the target gave no profile"
        hint = ""
        if failed and failed.reason.startswith("NotImplementedError: "):
            why = failed.reason.partition(": ")[2]
            hint = _INSTEAD.get(state.job.engine, "Use an engine that does: --engine onnxruntime.")
        raise MeasurementError(f"No profile of {key} on target '{target}': {why}.", hint)
    total_us = sum(operator.mean_us for operator in found.operators)
    operators = tuple(
        Operator(
            name=one.name,
            type=one.type,
            ms=one.mean_us / 1e3,
            share=one.mean_us / total_us if total_us else 0.0,
            provider=one.provider,
            takes=one.takes,
            gives=one.gives,
        )
        for one in found.operators
    )
    return OperatorProfile(
        model=key,
        target=target,
        engine=state.job.engine,
        engine_version=state.started.engine_version,
        runs=found.runs,
        total_ms=total_us / 1e3,
        operators=operators,
        findings=findings(operators),
    )


def float_operators(operators: Sequence[Operator]) -> tuple[Operator, ...]:
    """Return the operators that compute in float within a model that has integer ones.

    Empty for a float model, and where the engine does not tell types.
    """
    if not any(one.takes in _INTEGER or one.gives in _INTEGER for one in operators):
        return ()
    return tuple(
        one
        for one in operators
        if one.takes in _REAL and one.gives in _REAL and one.type not in _BETWEEN
    )


def fallbacks(operators: Sequence[Operator]) -> tuple[Operator, ...]:
    """Return the operators that did not run on the provider that took most of the time."""
    time: dict[str, float] = {}
    for one in operators:
        time[one.provider] = time.get(one.provider, 0.0) + one.ms
    main = max(time, key=lambda provider: time[provider], default="")
    return tuple(one for one in operators if one.provider != main)


def findings(operators: Sequence[Operator]) -> tuple[str, ...]:
    """Return, in sentences, what did not run as int8, or not where most of it ran."""
    said = []
    for what, found in (
        ("computed in float inside an int8 model", float_operators(operators)),
        ("not run by the provider of the others", fallbacks(operators)),
    ):
        if found:
            share = sum(one.share for one in found)
            names = ", ".join(f"{one.name} ({one.type}, {one.provider})" for one in found[:5])
            more = f" and {len(found) - 5} more" if len(found) > 5 else ""
            said.append(
                f"{counted(len(found), 'operator is', 'operators are')} {what}, "
                f"{share:.0%} of the time: {names}{more}."
            )
    return tuple(said)
