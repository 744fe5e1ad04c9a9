"""A realistic `ReportData` for the report's tests: simulated latencies, ordinary least squares."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
from scipy import stats

from edgenas.core.plugins import load
from edgenas.core.records import (
    Architecture,
    Candidate,
    DataCard,
    DeviceProfile,
    Evaluation,
    Interval,
    Latency,
    Limit,
    Measurement,
    Outcome,
    SearchResult,
)
from edgenas.core.records.fitted import Coefficient, HeldOut
from edgenas.reporting.document import (
    EnvironmentReport,
    FittedRow,
    MarginalEffect,
    MeasuredLatency,
    PredictorReport,
    ReportData,
    VerifiedCandidate,
)

SPACE = load("spaces", "mbv3-tiny").create(num_classes=10, in_channels=1, image_size=16)
LIMIT_MS = 0.2


@cache
def sample(n_measured: int = 45, n_evaluated: int = 64, seed: int = 7) -> ReportData:
    """Return a run that passed: one failed measurement, three candidates, 18 coefficients."""
    rng = np.random.default_rng(seed)
    networks = list(dict.fromkeys(SPACE.sample(rng) for _ in range(4 * n_evaluated)))
    evaluated, measured = networks[:n_evaluated], networks[n_evaluated // 3 :][:n_measured]
    latency = np.array([latency_ms(one) for one in measured]) * rng.lognormal(0, 0.02, n_measured)
    accuracy = np.array([_accuracy(one) for one in evaluated]) + rng.normal(0, 0.005, n_evaluated)
    measurements = tuple(map(_measurement, measured, latency, range(n_measured)))
    proposed = tuple(_candidate(one) for one in _frontier(networks) if latency_ms(one) < 0.19)[-3:]
    verified = tuple(_verified(one, index) for index, one in enumerate(reversed(proposed)))
    return ReportData(
        run="runs/digits-local",
        target="local",
        status="pass",
        limit_ms=LIMIT_MS,
        confidence=0.95,
        command="edgenas search --target local --data digits --max-latency 0.2ms --seed 7",
        seed=seed,
        environment=_environment(),
        data=_data_card(),
        winner=verified[0],
        candidates=verified,
        search=SearchResult(
            "exact",
            3,
            (Limit("latency_ms", at_most=LIMIT_MS),),
            0.95,
            proposed,
            tuple(map(_candidate, _frontier(networks))),
            True,
            0.0,
            48210,
            0.21,
        ),
        rounds=2,
        measurements=measurements,
        evaluations=tuple(
            Evaluation(one, "5e" * 32, float(value) + 0.002, float(value), 360)
            for one, value in zip(evaluated, accuracy, strict=True)
        ),
        predictors=(
            _predictor("latency_ms", "latency", "ms", measured[1:], latency[1:]),
            _predictor("accuracy", "accuracy", "fraction", evaluated, accuracy),
        ),
        configuration={"space": "mbv3-tiny", "samples": 45, "evaluate": 64, "epochs": 14, "top": 3},
        versions={"edgenas": "0.1.0", "torch": "2.13.0", "onnxruntime": "1.31.1", "numpy": "2.4"},
        seconds={"train": 44.1, "measure": 81.0, "evaluate": 19.7, "fit": 0.4, "optimize": 0.3},
        files={"Report": "runs/digits-local/report.html", "Models": "runs/digits-local/models"},
        warnings=("The governor is 'powersave': latencies may vary between runs.",),
        reused=("14 epochs of training", "31 of 45 measurements"),
    )


def latency_ms(architecture: Architecture) -> float:
    """Simulate a latency: a fixed cost, launches and multiply-accumulates."""
    layers = SPACE.layers(architecture)
    macs = sum(layer.macs for layer in layers if layer.kind != "depthwise")
    depthwise = sum(layer.macs for layer in layers if layer.kind == "depthwise")
    return 0.02 + 0.002 * len(layers) + macs * 4e-8 + depthwise * 1.2e-7


def _accuracy(architecture: Architecture) -> float:
    size = np.log(sum(layer.macs for layer in SPACE.layers(architecture)))
    return float(0.935 + 0.011 * (size - 12.0))


def _terms(architecture: Architecture) -> dict[str, float]:
    terms: dict[str, float] = {"resolution": architecture.resolution}
    for index, stage in enumerate(architecture.stages):
        name = f"stage {index + 1}"
        terms[f"{name}: blocks"] = stage.depth
        terms[f"{name}: expand, first block"] = stage.expand_ratios[0]
        terms[f"{name}: expand, inner blocks"] = sum(stage.expand_ratios[1:])
        terms[f"{name}: kernel 5 blocks"] = stage.kernel_sizes.count(5)
        terms[f"{name}: expand of kernel 5"] = sum(
            e for k, e in zip(stage.kernel_sizes, stage.expand_ratios, strict=True) if k == 5
        )
    terms["launches"] = len(SPACE.layers(architecture)) ** 2 / 40
    return terms


def _predictor(
    response: str,
    label: str,
    unit: str,
    networks: list[Architecture],
    seen: np.ndarray,
) -> PredictorReport:
    nominal = 0.95
    names = list(_terms(networks[0]))
    matrix = np.array([list(_terms(one).values()) for one in networks])
    design = np.column_stack([np.ones(len(seen)), matrix])
    inverse = np.linalg.pinv(design.T @ design)
    params = inverse @ design.T @ seen
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    resid = seen - design @ params
    dof = len(seen) - design.shape[1]
    bse = np.sqrt(np.diag(inverse) * (resid @ resid) / dof)
    width = stats.t.ppf((1 + nominal) / 2, dof)
    loo = seen - resid / (1 - leverage)
    half = width * np.sqrt((resid @ resid) / dof * (1 + leverage))
    tvalues = params / bse
    pvalues = 2 * stats.t.sf(np.abs(tvalues), dof)
    table = tuple(
        Coefficient(
            name,
            *(float(v[i]) for v in (params, bse, tvalues, pvalues)),
            (float(params[i] - width * bse[i]), float(params[i] + width * bse[i])),
            vif=None if i == 0 else 1.0 + i / 3,
            term_sd=None if i == 0 else float(matrix[:, i - 1].std()),
            group="whole network" if ":" not in name else name.split(":")[0],
        )
        for i, name in enumerate(["Intercept", *names])
    )
    effects = tuple(
        MarginalEffect(f"{row.name} +1", row.coef, *row.conf_int, unit) for row in table[1:]
    )
    rows = tuple(
        FittedRow(
            one,
            Interval(mean, mean - h, mean + h),
            float(value),
            (value - h / 8, value + h / 8),
            True,
        )
        for one, mean, h, value in zip(networks, map(float, loo), half, seen, strict=True)
    )
    error = loo - seen
    rmse, mape = float(np.sqrt((error**2).mean())), float(np.abs(error / seen).mean())
    heldout = HeldOut(len(seen), len(seen), rmse, mape, 0.93, 0.956, nominal)
    notes = ("Terms were fixed in advance: p values need no correction for selection.",)
    return PredictorReport(
        response, label, unit, len(seen), nominal, heldout, table, effects, rows, notes
    )


def _measurement(architecture: Architecture, latency: float, index: int) -> Measurement:
    summary = Latency(
        latency, 1.08 * latency, (0.985 * latency, 1.02 * latency), ((1,),), (1.0,), index != 5
    )
    outcome = Outcome(
        "ok", "", "onnxruntime", "1.31.1", "CPUExecutionProvider", {}, summary, 41_300_000
    )
    if index == 0:
        reason = "The process died with signal 9 while it loaded the model."
        outcome = Outcome("failed", reason, "onnxruntime", "1.31.1", "", {})
    return Measurement(architecture, "local", _sha256(architecture), 92_114, "trained", outcome)


def _frontier(networks: list[Architecture]) -> list[Architecture]:
    best, front = -1.0, []
    for one in sorted(networks, key=latency_ms):
        if _accuracy(one) > best:
            best = _accuracy(one)
            front.append(one)
    return front


def _candidate(architecture: Architecture) -> Candidate:
    accuracy, latency = _accuracy(architecture), latency_ms(architecture)
    return Candidate(
        architecture,
        Interval(accuracy, accuracy - 0.011, accuracy + 0.011),
        Interval(latency, 0.95 * latency, 1.05 * latency),
    )


def _verified(candidate: Candidate, index: int) -> VerifiedCandidate:
    latency = candidate.latency_ms.mean * (1.01, 0.97, 1.09)[index]
    correct = round(360 * candidate.accuracy.mean) + (2, -3, 0)[index]
    failed = index == 2
    reason = "Measured latency is above the predicted upper bound."
    return VerifiedCandidate(
        candidate,
        passed=not failed,
        reasons=(reason,) if failed else (),
        measured_latency_ms=MeasuredLatency(
            latency, 1.07 * latency, (0.985 * latency, 1.02 * latency)
        ),
        fp32_accuracy=(correct + 1) / 360,
        int8_accuracy=correct / 360,
        device_accuracy=correct / 360,
        agreement=1.0,
        n_images=360,
        peak_rss_bytes=41_900_000,
        model=f"runs/digits-local/models/{candidate.architecture.short_name}.int8.onnx",
        model_bytes=93_412,
        sha256=_sha256(candidate.architecture),
    )


def _sha256(architecture: Architecture) -> str:
    return hashlib.sha256(architecture.key.encode()).hexdigest()


def _environment() -> EnvironmentReport:
    profile = DeviceProfile(
        target="local",
        machine="x86_64",
        system="Linux 6.1",
        cpu="Intel Xeon Platinum 8481C",
        cores=2,
        python="3.11.4",
        memory_bytes=8_300_000_000,
        cpu_features=("avx2", "avx512_vnni"),
        frequency_mhz=2700.0,
    )
    return EnvironmentReport(
        profile,
        "onnxruntime",
        "1.31.1",
        "CPUExecutionProvider",
        "u8s8",
        threads=1,
        governor="powersave",
        throttling="none seen",
        drift=(0.971, 1.043),
    )


def _data_card() -> DataCard:
    digits = tuple(map(str, range(10)))
    return DataCard("digits", "9f2c" * 16, digits, 16, (0.31,), (0.38,), 1077, 360, 360)
