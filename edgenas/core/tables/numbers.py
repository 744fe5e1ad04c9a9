"""Cells as people write numbers: units, "1.50M", decimal commas, and words for a missing value."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from edgenas.core.metrics import COUNT, ENERGY, STORAGE, TIME

Mark = Literal[".", ",", ""]  # the decimal mark of a table; "" where nothing tells

_NUMBER = r"(?:\d[\d.,'\u2019_ \u00a0\u202f]*|[.,]\d+)(?:[eE][+-]?\d+)?"
_CELL = re.compile(
    rf"(?P<sign>[+\-\u2212]?)\s*[$€£]?\s*(?P<number>{_NUMBER})"
    r"(?P<spread>\s*(?:±|\+/-|\+-)\s*[\d.,]+|\s*\(\s*(?:±|\+/-)?\s*[\d.,]+\s*\))?"
    r"\s*(?P<unit>[^\d\s.,;:()+\-/][^\d]{0,11})?"
)
# What measurements write where there is none. "none" and "x" are not here: they are often choices.
_MISSING = re.compile(
    r"oom|out[ -]of[ -]mem(ory)?|time[d]?[ -]?out|t/o|fail(ed|ure)?|err(or)?|crash(ed)?|killed|dnf|"
    r"unsupported|not (supported|run|measured|available|applicable)|skip(ped)?|n\.?/?a\.?|nan|null|"
    r"missing|unknown|tbd|pending|[-\u2013\u2014]+|\?+|\.{2,}|…",
    re.IGNORECASE,
)
_REASON = re.compile(r"\s*[(:].*")  # "OOM (8 GB)", "error: no such op"
_DECIMAL = {
    ",": re.compile(r"[+\-\u2212]?\d+,(\d{1,2}|\d{4,})\D*"),
    ".": re.compile(r"[+\-\u2212]?\d*\.(\d{1,2}|\d{4,})\D*"),
}
_WORK = re.compile(r"([kKMGBT]?)i?\s*(macs?|flops?|ops?|params?|parameters?)", re.IGNORECASE)
_SECONDS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "usec": 1e-3, "msec": 1.0, "sec": 1e3}
_SECONDS |= {"secs": 1e3, "seconds": 1e3, "min": 6e4}
# dimension -> unit -> factor; of one dimension, cells of several units are numbers of one.
_DIMENSIONS: dict[str, dict[str, float]] = {
    "time": {**TIME, **_SECONDS},
    "energy": {**ENERGY, "µJ": 1e-3, "μJ": 1e-3},
    "storage": {**STORAGE, "TB": 1e12, "TiB": 2.0**40},
    "power": {"uW": 1e-6, "mW": 1e-3, "W": 1.0, "kW": 1e3},
    "rate": {"Hz": 1.0, "kHz": 1e3, "MHz": 1e6, "GHz": 1e9},
    "count": {"": 1.0, **COUNT, "B": 1e9, "T": 1e12},
}


@dataclass(frozen=True)
class Numbers:
    """A column of text read as numbers.

    values : float64 [n], NaN where the cell is missing. unit : which the values are in, "" if the
    cells name none. missing : the words that stand for no value, and how many cells have each.
    spread : a cell that says how far its number spreads, which is not read; "" if none does.
    """

    values: np.ndarray
    unit: str = ""
    missing: dict[str, int] = field(default_factory=dict)
    spread: str = ""


def decimal_mark(columns: Iterable[np.ndarray], fractions: bool, comma_separated: bool) -> Mark:
    """Return the decimal mark of a table, from cells that can only be read in one way.

    columns : str [m] each, the distinct cells of the columns of text. fractions : whether columns
    were read that have fractions with a point. comma_separated : whether commas part the columns;
    where they do not, a comma among digits is a decimal mark unless a point is one.
    """
    if fractions:
        return "."
    seen: Counter[str] = Counter()
    commas = False
    for cells in columns:
        for text in cells.tolist():
            for mark, pattern in _DECIMAL.items():
                seen[mark] += bool(pattern.fullmatch(text.strip()))
            commas = commas or re.fullmatch(r"[+\-\u2212]?\d+,\d+", text.strip()) is not None
    if seen["."] or seen[","]:
        return "." if seen["."] >= seen[","] else ","
    return "," if commas and not comma_separated else ""


def numbers(name: str, codes: np.ndarray, distinct: list[str], mark: Mark) -> Numbers | None:
    """Return a column of text as numbers; None if it is none.

    name : of the column; a unit that ends it is the one that its cells are read in.
    codes, distinct : the place of each row's text among the distinct ones, int64 [n], and those.
    """
    count = np.bincount(codes, minlength=len(distinct))
    values = np.full(len(distinct), np.nan)
    units: dict[int, str] = {}
    missing: dict[str, int] = {}
    spread = ""
    for place, text in enumerate(distinct):
        cell = text.strip()
        if not cell:
            continue
        if is_missing(cell):
            missing[cell] = missing.get(cell, 0) + int(count[place])
            continue
        parts = _CELL.fullmatch(cell)
        value = None if parts is None else _value(parts["number"], mark)
        if parts is None or value is None:
            return None
        values[place] = -value if parts["sign"] in ("-", "\u2212") else value
        units[place] = (parts["unit"] or "").strip()
        spread = spread or (cell if parts["spread"] else "")
    if not units:
        return None
    factors, unit = _factors(name, Counter(units.values()))
    if factors is None:
        return None
    for place, written in units.items():
        values[place] *= factors[written]
    return Numbers(values[codes], unit, missing, spread)


def is_missing(cell: str) -> bool:
    """Return whether a cell says in words that there is no value."""
    return _MISSING.fullmatch(_REASON.sub("", cell.strip())) is not None


def ambiguous(cell: str) -> bool:
    """Return whether a number's comma may be a decimal mark or part thousands: "1,234"."""
    return re.fullmatch(r"[+\-\u2212]?\d{1,3},\d{3}", cell.strip()) is not None


def _value(text: str, mark: Mark) -> float | None:
    """Return the number that `text` writes, None if it is none or can be read in two ways."""
    body, _, exponent = text.replace("E", "e").partition("e")
    body = re.sub(r"[ \u00a0\u202f]", " ", body.strip()).replace("\u2019", "'")
    for thousands in ("'", "_", " "):
        if thousands in body:
            if not _grouped(body.split(".")[0].split(",")[0], thousands):
                return None
            body = body.replace(thousands, "")
    points, commas = body.count("."), body.count(",")
    if points and commas:
        decimal = "." if body.rindex(".") > body.rindex(",") else ","
        whole, _, fraction = body.rpartition(decimal)
        other = "," if decimal == "." else "."
        if not _grouped(whole, other) or other in fraction:
            return None
        body = f"{whole.replace(other, '')}.{fraction}"
    elif commas > 1 or points > 1:
        separator = "," if commas else "."
        if not _grouped(body, separator):
            return None
        body = body.replace(separator, "")
    elif commas:
        grouped = _grouped(body, ",")
        if grouped and not mark:
            return None
        body = body.replace(",", "" if grouped and mark == "." else ".")
    elif points and mark == "," and _grouped(body, "."):
        body = body.replace(".", "")
    try:
        return float(f"{body}e{exponent}" if exponent else body)
    except ValueError:
        return None


def _grouped(text: str, separator: str) -> bool:
    """Return whether `separator` parts the thousands of a whole number."""
    return re.fullmatch(rf"\d{{1,3}}(?:{re.escape(separator)}\d{{3}})+", text) is not None


def _factors(name: str, units: Counter[str]) -> tuple[dict[str, float] | None, str]:
    """Return what the cells of each unit are multiplied by, and the unit that they are then in.

    None where the cells are of units that are not of one kind: then they are no numbers.
    """
    if not any(units):
        return {"": 1.0}, ""
    work = {unit: _WORK.fullmatch(unit) for unit in units}
    plain = {unit: found[1] if (found := work[unit]) else unit for unit in units}
    own = _unit_of(name)
    for dimension, scale in _DIMENSIONS.items():
        known = {unit: _scale(plain[unit], scale) for unit in units}
        if any(factor is None for unit, factor in known.items() if unit):
            continue
        if dimension == "count":
            return {unit: float(factor or 1.0) for unit, factor in known.items()}, ""
        base = own if own in scale else next(unit for unit, _ in units.most_common() if unit)
        # a cell without a unit is in the one that the column's name or most cells say
        return {unit: (known[unit] or scale[base]) / scale[base] for unit in units}, base
    written = [unit for unit in units if unit]
    if len(written) == 1:
        return dict.fromkeys(units, 1.0), written[0]
    return None, ""


def _scale(unit: str, scale: dict[str, float]) -> float | None:
    return scale.get(unit, scale.get(unit.lower()) if unit else None)


def _unit_of(name: str) -> str:
    """Return the unit that a column's name ends in, such as "ms" of "Latency (ms)"; "" if none."""
    last = re.split(r"[^A-Za-zµμ]+", name.strip().rstrip(")]"))[-1]
    for scale in _DIMENSIONS.values():
        for unit in scale:
            if (unit and last == unit) or (len(unit) > 1 and last.lower() == unit.lower()):
                return unit
    return ""
