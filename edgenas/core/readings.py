"""How each response is read from a measurement; None where the target did not give it."""

from __future__ import annotations

from edgenas.core.records import Measurement

# a value and its 95 % interval, in the response's unit; None where there is no interval
Observed = tuple[float, tuple[float, float] | None]


def median_ms(measurement: Measurement) -> Observed | None:
    """Return the median latency, ms, with its interval."""
    latency = measurement.outcome.latency
    return None if latency is None else (latency.median_ms, latency.ci95_ms)


def p90_ms(measurement: Measurement) -> Observed | None:
    """Return the 90th percentile of latency, ms."""
    latency = measurement.outcome.latency
    return None if latency is None else (latency.p90_ms, None)


def peak_rss_bytes(measurement: Measurement) -> Observed | None:
    """Return the peak memory of a fresh process, bytes."""
    peak = measurement.outcome.peak_rss_bytes
    return None if peak is None else (peak, None)


def energy_mj(measurement: Measurement) -> Observed | None:
    """Return the energy of an inference, mJ, with its interval."""
    energy = measurement.outcome.energy
    return None if energy is None else (energy.energy_mj, energy.ci95_mj)


def model_bytes(measurement: Measurement) -> Observed | None:
    """Return the size of the int8 file, bytes."""
    return measurement.model_bytes, None
