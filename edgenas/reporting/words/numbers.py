"""Numbers as a reader wants them: sensible digits, a unit, "not measured" for what is missing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgenas.core.records import Interval

MISSING = "not measured"
UNKNOWN = "not reported"
_MINUS = "\N{MINUS SIGN}"


def significant(value: float | None, digits: int = 3) -> str:
    """Return `value` with `digits` significant digits: 0.182, 1.83, 12.3, 1,230."""
    if value is None or math.isnan(value):
        return MISSING
    return _fixed(value, _decimals(value, digits))


def milliseconds(value: float | None) -> str:
    """Return a latency such as "1.83 ms"."""
    return MISSING if value is None or math.isnan(value) else f"{significant(value)} ms"


def least_sufficient(value: float) -> str:
    """Return a latency rounded up, so that a budget of what is shown is enough."""
    decimals = _decimals(value, 3)
    return f"{_fixed(math.ceil(value * 10**decimals) / 10**decimals, decimals)} ms"


def bounds(pair: Sequence[float] | None, like: float, digits: int = 3) -> str:
    """Return "1.80 to 1.86", with the decimals that `like` has."""
    if pair is None:
        return MISSING
    decimals = _decimals(like, digits)
    return f"{_fixed(pair[0], decimals)} to {_fixed(pair[1], decimals)}"


def difference(value: float, like: float) -> str:
    """Return `value` with the decimals that `like` has: "0.009 ms" beside "0.191 ms"."""
    return f"{_fixed(value, _decimals(like, 3))} ms"


def with_bounds(value: Interval, scale: float = 1.0) -> str:
    """Return "1.83 [1.75, 1.91]", all with the decimals of the mean."""
    mean, lower, upper = (scale * part for part in (value.mean, value.lower, value.upper))
    decimals = _decimals(mean, 3)
    return f"{_fixed(mean, decimals)} [{_fixed(lower, decimals)}, {_fixed(upper, decimals)}]"


def effect(value: Interval, scale: float = 1.0, digits: int = 2) -> str:
    """Return "+0.41 [+0.38, +0.44]": signed, digits enough for the interval's width."""
    mean, lower, upper = (scale * part for part in (value.mean, value.lower, value.upper))
    decimals = _decimals(max(abs(mean), (upper - lower) / 2), digits)
    texts = [f"{part:+.{decimals}f}".replace("-", _MINUS) for part in (mean, lower, upper)]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"


def percent(fraction: float | None, n: int | None = None) -> str:
    """Return "97.8 %"; two decimals when at least 1,000 images carry them."""
    if fraction is None or math.isnan(fraction):
        return MISSING
    return f"{100 * fraction:.{2 if n is not None and n >= 1000 else 1}f} %"


def percent_bounds(value: Interval) -> str:
    """Return "97.8 [96.9, 98.7] %" for an interval of fractions."""
    mean, lower, upper = (f"{100 * part:.1f}" for part in (value.mean, value.lower, value.upper))
    return f"{mean} [{lower}, {upper}] %"


def storage(count: int | None) -> str:
    """Return bytes as "23.4 MB" or "92.1 kB" (powers of 1000)."""
    if count is None:
        return MISSING
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor:
            return f"{significant(count / factor)} {unit}"
    return f"{count} bytes"


def duration(seconds: float) -> str:
    """Return "0.4 s", "41 s" or "4 min 12 s"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def compact(value: float | None) -> str:
    """Return `value` with four significant digits in the shortest form, for coefficients."""
    if value is None or math.isnan(value):
        return "not defined"
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    return f"{value:.4g}".replace("-", _MINUS)


def p_value(value: float) -> str:
    """Return "< 0.001" or three decimals."""
    if math.isnan(value):
        return "not defined"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _decimals(value: float, digits: int) -> int:
    if value == 0 or not math.isfinite(value):
        return digits - 1
    # rounding first: 0.9996 has the decimals of 1.00
    exponent = int(f"{abs(value):.{digits - 1}e}".split("e")[1])
    return max(0, digits - 1 - exponent)


def _fixed(value: float, decimals: int) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else f"{_MINUS}∞"
    return f"{value:,.{decimals}f}".replace("-", _MINUS)
