"""Which columns of a table are no features, and which rows are of one network.

What counts rows, names networks, dates measurements or says the response over again would make
held-out errors look better than those on new networks. It is found by what the cells are to each
other; only columns of repeated runs and of a network's size are known by their names, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from edgenas.core.tables.columns import ranks

Columns = Mapping[str, np.ndarray]

FEWEST = 10  # rows from which on columns are judged
FEWEST_PAIRS = 12  # rows from which on a monotone relation is seen
# A monotone relation within so many standard deviations of the response, for so many of the rows.
NEAR, NEARLY_ALL = 0.15, 0.9
RIDGE = 1.0
MOST = 2000  # rows that are looked at for that
MOST_RESTATING = 20_000  # and for what only warns
# Shares of the variance within networks: up to one, a column is measured of each network; from the
# other on, it has nothing to do with them. Between them it is part of what a network is.
MEASURED, UNRELATED = 0.02, 0.5
# And of the response, where rows are runs of one network.
SAME_RESPONSE = 0.15
_RUN = {"run", "trial", "rep", "repeat", "repetition", "replicate", "iteration", "iter", "seed"}
_RUN |= {"attempt", "session", "measurement", "date", "time", "timestamp", "datetime", "day"}
_NETWORK = {"model", "name", "net", "network", "arch", "architecture", "id", "uid", "key", "hash"}
_NETWORK |= {"config", "variant", "subnet", "index", "idx", "no", "nr", "number", "row"}
_SIZE = re.compile(
    r"[kmgt]?(macs?|flops?|m?adds|ops|bops|params?|parameters|weights|acts|activations?|channels?|"
    r"width|depth|res|resolution|kernel|layers?|blocks?|size|pixels?|image|img|expand|ratio|batch|seq|"
    r"length|heads?|hidden|dim|embed|cin|cout|stride|groups?|bits|nodes|stages?)"
)
# Of a name with one of these, "images" or "batch" is what is counted, not a size.
_RATE = {"per", "s", "sec", "second", "ms", "us", "ns", "fps", "ips", "time", "lat", "latency"}
_RATE |= {"rate", "speed", "throughput", "mean", "median", "min", "max", "std", "p50", "p90", "p99"}
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?.*|\d\d?[./]\d\d?[./]\d{2,4}.*|\d\d?:\d\d(:\d\d.*)?")


def left_out(columns: Columns, response: str, candidates: Sequence[str]) -> dict[str, str]:
    """Return the candidates that are no features, each with the reason, in words.

    columns : float64 or str [n]. What else would leave nothing to predict from is kept.
    """
    target = columns[response]
    rows = np.isfinite(target)
    if rows.sum() < FEWEST:
        return {}
    here = {name: columns[name][rows] for name in candidates}
    reasons = {name: why for name, values in here.items() if (why := _no_feature(name, values))}
    for screen in (_says_it_again, _circumstances, _runs, _names_of_networks):
        rest = {name: values for name, values in here.items() if name not in reasons}
        screened = screen(rest, response, target[rows])
        if any(_varies(values) for name, values in rest.items() if name not in screened):
            reasons |= screened
    if not any(_varies(values) for name, values in here.items() if name not in reasons):
        return {name: why for name, why in reasons.items() if not _varies(here[name])}
    return reasons


def restating(columns: Columns, response: str, names: Sequence[str]) -> list[str]:
    """Return which of the columns `names` follow the response up or down in nearly all rows.

    Sizes of a network are not asked about: that they do is what is to be learnt.
    """
    rows = np.isfinite(columns[response])
    if rows.sum() < FEWEST:
        return []
    part = np.flatnonzero(rows)
    if len(part) > MOST_RESTATING:
        part = part[np.sort(np.random.default_rng(0).permutation(len(part))[:MOST_RESTATING])]
    target = columns[response][part]
    asked = [x for x in names if not _is_size(x)]
    return [x for x in asked if _distance(columns[x][part], target) < NEAR]


def networks(columns: Columns) -> np.ndarray:
    """Return the number of the network that each row is of, int64 [n]: rows of equal columns."""
    return _number(map(_codes, columns.values()))


def names_runs(columns: Columns, response: str, texts: Sequence[str]) -> bool:
    """Return whether texts that are others in most rows name runs: without them rows are repeated,
    with nearly the same response, so that they are no codes of choices."""
    target = columns[response]
    rows = np.isfinite(target)
    others = [name for name in columns if name not in (response, *texts)]
    out = left_out(columns, response, others)
    design = networks({name: columns[name][rows] for name in others if name not in out})
    return bool(design.size) and _repeated(design) and _same_response(target[rows], design)


def repeated(network: np.ndarray, columns: Columns) -> bool:
    """Return whether a table holds repeated runs of enough networks to fit their means.

    network : int64 [n], of `networks`. It does not where most networks have a category that no
    other has: their means would tell nothing of one another.
    """
    number = int(network.max(initial=-1)) + 1
    if number < FEWEST / 2 or not _repeated(network):
        return False
    _, first = np.unique(network, return_index=True)
    alone = np.zeros(number, bool)
    for values in columns.values():
        if values.dtype.kind != "f":
            codes = _codes(values[first])
            alone |= np.bincount(codes)[codes] == 1
    return bool(alone.mean() <= 0.5)


def _no_feature(name: str, values: np.ndarray) -> str:
    """Return why a column is none whatever the other columns are, "" if it may be one."""
    if values.dtype.kind != "f":
        written = [text for text in np.unique(values).tolist() if text.strip()]
        if not written:
            return "has no cells with a value"
        if len(written) > 1 and all(_DATE.fullmatch(text.strip()) for text in written):
            return "holds dates or times"
        return ""
    known = values[np.isfinite(values)]
    if not known.size:
        return "has no cells with a value"
    if len(known) < len(values) or len(np.unique(known)) < len(known):
        return ""
    steps = np.diff(known)
    whole = bool(np.all(known % 1 == 0))
    if whole and (np.all(steps == 1) or np.all(steps == -1)):
        return "counts the rows"
    if known.min() > 1e8 and np.all(steps > 0) and not _is_size(name):
        return "holds times that grow from row to row"
    if whole and (_words(name) & _NETWORK or re.fullmatch(r"column \d+", name)):
        return "numbers the rows"
    return ""


def _circumstances(columns: Columns, response: str, target: np.ndarray) -> dict[str, str]:
    """Return numbers that differ between rows that are else of one network: a temperature, a
    measured size. Where rows are not repeated, with nearly the same response, there are none.
    """
    codes = {name: _codes(values) for name, values in columns.items()}
    n = len(target)
    many = [x for x, code in codes.items() if code.max() + 1 > n / 2]
    rest = _number([code for x, code in codes.items() if x not in many and not _words(x) & _RUN])
    groups = int(rest.max(initial=0)) + 1
    if len(rest) < n or not _repeated(rest) or groups < FEWEST / 2:
        return {}
    if not _same_response(target, rest):
        return {}
    return {
        name: "differs between the runs of one network"
        for name in many
        if columns[name].dtype.kind == "f"
        and not MEASURED < _within(columns[name], rest) < UNRELATED
    }


def _runs(columns: Columns, response: str, target: np.ndarray) -> dict[str, str]:
    """Return columns called after runs in tables whose rows are else repeated."""
    runs = [name for name in columns if _words(name) & _RUN and not _is_size(name)]
    if not runs:
        return {}
    design = _number(_codes(values) for x, values in columns.items() if x not in runs)
    if not design.size or not _repeated(design):
        return {}
    return dict.fromkeys(runs, "numbers repeated runs of one network")


def _names_of_networks(columns: Columns, response: str, target: np.ndarray) -> dict[str, str]:
    """Return columns of text that name networks: as many texts as networks, or nearly so."""
    reasons = {}
    for name in columns:
        if columns[name].dtype.kind == "f":
            continue
        others = [values for x, values in columns.items() if x != name]
        codes = _codes(columns[name])
        levels = int(codes.max()) + 1
        if levels < FEWEST or not any(_varies(values) for values in others):
            continue
        design = _number(map(_codes, others))
        designs_of_each = (int(_number([design, codes]).max()) + 1) / levels
        named = bool(_words(name) & _NETWORK)
        if designs_of_each <= (FEWEST / 2 if named else 1.0) and design.max() > 0:
            reasons[name] = f"names networks: {levels} names"
    return reasons


def _says_it_again(columns: Columns, response: str, target: np.ndarray) -> dict[str, str]:
    """Return columns that say the response over again, the nearest first.

    They follow it up or down in nearly all rows, and are as well predicted from the other columns
    as it is: a design that decides most of the response by itself is not.
    """
    part = np.random.default_rng(0).permutation(len(target))[:MOST]
    columns, target = {name: values[part] for name, values in columns.items()}, target[part]
    numeric = [x for x, values in columns.items() if values.dtype.kind == "f"]
    distances = {name: _distance(columns[name], target) for name in numeric if not _is_size(name)}
    reasons: dict[str, str] = {}
    for name in sorted((x for x in distances if distances[x] < NEAR), key=distances.__getitem__):
        others = {x: v for x, v in columns.items() if x != name and x not in reasons}
        if not any(_varies(values) for values in others.values()):
            break
        known_of_it = _explained(others, _ranks(columns[name]))
        known_of_target = _explained(others, _ranks(target))
        if known_of_it > max(0.5 * known_of_target, 0.1):
            reasons[name] = f"says {response} over again"
    return reasons


def _distance(values: np.ndarray, target: np.ndarray) -> float:
    """Return how far `NEARLY_ALL` rows are from a monotone relation, in standard deviations."""
    from scipy import optimize

    if values.dtype.kind != "f":
        return np.inf
    both = np.isfinite(values) & np.isfinite(target)
    x, y = values[both], target[both]
    n = len(x)
    if n < max(FEWEST_PAIRS, len(target) / 2) or len(np.unique(x)) < max(8, n / 4):
        return np.inf
    if y.min() > 0:
        y = np.log(y)
    low, high = np.quantile(y, [0.16, 0.84])
    if high <= low:
        return np.inf
    order = np.argsort(x, kind="stable")
    least = np.inf
    for increasing in (True, False):
        rising = y[order]
        for _ in range(2):  # once more without the rows that are off
            fitted = optimize.isotonic_regression(rising, increasing=increasing).x
            off = np.abs(rising - fitted)
            rising = rising[off <= np.quantile(off, NEARLY_ALL)]
        least = min(least, float(off.max() / ((high - low) / 2)))
    return least


def _explained(columns: Columns, target: np.ndarray) -> float:
    """Return the share of the variance of `target` [n] that a ridge on the columns predicts of rows
    left out one by one (PRESS; Allen 1974)."""
    known = np.isfinite(target)
    blocks = []
    for values in columns.values():
        if values.dtype.kind == "f":
            ranks = _ranks(values)
            blocks.append(np.where(np.isfinite(ranks), ranks, 0.0)[:, None])
        else:
            levels, codes = np.unique(values, return_inverse=True)
            if len(levels) <= len(values) / 4:
                blocks.append(np.eye(len(levels))[codes])
    if not blocks or known.sum() < FEWEST:
        return 0.0
    matrix = np.hstack(blocks)[known]
    matrix = matrix - matrix.mean(axis=0)
    y = target[known] - target[known].mean()
    pull = np.linalg.solve(matrix.T @ matrix + RIDGE * np.eye(matrix.shape[1]), matrix.T)
    leverage = np.minimum(np.einsum("ij,ji->i", matrix, pull) + 1 / len(y), 0.999)
    off = (y - matrix @ (pull @ y)) / (1 - leverage)
    return float(1 - off @ off / max(y @ y, 1e-300))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return ranks from -1 to 1, float64 [n]; NaN where a value is missing."""
    known = np.isfinite(values)
    ranks = np.full(len(values), np.nan)
    _, place = np.unique(values[known], return_inverse=True)
    ranks[known] = 2 * place / max(int(place.max(initial=0)), 1) - 1
    return ranks


def _within(values: np.ndarray, groups: np.ndarray) -> float:
    """Return the share of the variance that is within groups, int64 [n]."""
    known = np.isfinite(values)
    if known.sum() < FEWEST:
        return 1.0
    values, groups = values[known], _codes(groups[known])
    count = np.bincount(groups)
    mean = np.bincount(groups, values) / count
    within = np.sum((values - mean[groups]) ** 2) / max(len(values) - len(count), 1)
    return float(within / values.var(ddof=1))


def _same_response(target: np.ndarray, network: np.ndarray) -> bool:
    """Return whether runs of one network have nearly the same response."""
    return _within(np.log(target) if target.min() > 0 else target, network) <= SAME_RESPONSE


def _repeated(network: np.ndarray) -> bool:
    """Return whether most rows have another of the same network, int64 [n]."""
    return bool((np.bincount(network)[network] > 1).mean() > 0.5)


def _codes(values: np.ndarray) -> np.ndarray:
    return ranks(values)


def _number(codes: Iterable[np.ndarray]) -> np.ndarray:
    """Return the number of each row's combination, int64 [n]; [0] without columns."""
    number = np.zeros(0, np.int64)
    for place, column in enumerate(codes):
        if place == 0:
            number = np.zeros(len(column), np.int64)
        number = _codes(number * (int(column.max(initial=0)) + 1) + column)
        if number.max(initial=-1) == len(number) - 1:
            break  # each row is another: more columns change nothing
    return number


def _varies(values: np.ndarray) -> bool:
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    return len(values) > 0 and bool(np.any(values != values[0]))


def _words(name: str) -> set[str]:
    return {word for word in re.split(r"[^a-z0-9]+", name.lower()) if word}


def _is_size(name: str) -> bool:
    """Return whether a column is called after the size of a network or of its input."""
    words = _words(name)
    return any(map(_SIZE.fullmatch, words)) and not words & _RATE
