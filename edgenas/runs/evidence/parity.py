"""Replay of the parity gate: reference, host and target compared again from their logits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import astuple

import numpy as np

from edgenas.core.records import EngineParity, Interval, ParityRecord, VerifiedModel
from edgenas.int8.checks.parity import MOST_ACCURACY_LOSS, Accuracy, Parity, compare
from edgenas.runs.evidence import bundle
from edgenas.runs.evidence.figures import Check, number

Files = Mapping[str, bytes]
Logits = np.ndarray | None

_SLACK = 1e-6  # Wilson's interval is worked out with six decimals of its quantile
_WHY = "The bundle lacks logits or labels."


def parity_checks(verified: VerifiedModel, files: Files, device: Logits) -> Iterator[Check]:
    """Yield a check of every figure of the parity table.

    device : the target's logits, float32 [n, classes]; None where the bundle has none.
    """
    record, name = verified.parity, verified.model.int8_file
    if record is None:
        return
    known = _known(verified, files, device)
    for row in record.engines:
        found = _compared(record, known, "reference", row.place)
        replayed = {} if found is None else _figures(found, found.device)
        for figure, stated in _figures(row, row.accuracy).items():
            what = f"parity of {row.place}: {figure}"
            if figure not in replayed:
                yield Check(name, what, "unknown", stated, None, _WHY)
            else:
                yield number(name, what, stated, replayed[figure], _SLACK)


def _figures(of: EngineParity | Parity, accuracy: Interval | Accuracy | None) -> dict[str, float]:
    figures = {name: getattr(of, name) for name in ("agreement", "mean_steps", "max_steps")}
    return figures if accuracy is None else figures | _of_interval(*astuple(accuracy))


def _of_interval(fraction: float, lower: float, upper: float) -> dict[str, float]:
    return {"accuracy": fraction, "accuracy, lower": lower, "accuracy, upper": upper}


def off_limits(verified: VerifiedModel, files: Files, device: Logits) -> int:
    """Return in how many ways the target's outputs are beyond what is tolerated, if it is known."""
    record = verified.parity
    known = _known(verified, files, device)
    broken = 0
    if record is not None:
        to_host = _compared(record, known, "host", "target")
        to_reference = _compared(record, known, "reference", "target")
        for found in (to_host, to_reference):
            broken += found is not None and found.mean_steps > record.most_mean_steps
        broken += to_host is not None and to_host.agreement < record.least_agreement
        if to_host is not None and to_host.host is not None and to_host.device is not None:
            lost = to_host.host.fraction - to_host.device.fraction
            broken += lost > MOST_ACCURACY_LOSS
    return broken


def _known(verified: VerifiedModel, files: Files, device: Logits) -> dict[str, Logits]:
    sha256 = verified.model.sha256
    return {
        "reference": bundle.array_of(files, f"{bundle.REFERENCE}/{sha256}.npy"),
        "host": bundle.array_of(files, f"{bundle.HOST}/{sha256}.npy"),
        "target": device,
        "labels": bundle.array_of(files, bundle.LABELS),
    }


def _compared(
    record: ParityRecord, known: Mapping[str, Logits], base: str, place: str
) -> Parity | None:
    """Return how the logits of `place` compare with those of `base`; None if any are missing."""
    exact, values, labels = known[base], known[place], known["labels"]
    if exact is None or values is None or labels is None:
        return None
    return compare(exact, values, labels, record.scale, record.at("target").engine)
