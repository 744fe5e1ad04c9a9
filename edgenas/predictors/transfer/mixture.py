"""A new board as one of the known boards, or as their mean, and somewhat off towards the others.

Response = scale * (centre + deviation) + shift + noise. The centre is one of the sources, each
relative to its mean over the rows, or their mean; deviations are normal with a share of the
covariance that the sources have among each other; the shift is small against the mean. All centres,
shares and noises are tried, and averaged by their restricted likelihoods (Bayesian model averaging;
Hoeting et al. 1999); each is a best linear unbiased prediction (Robinson 1991).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgenas.predictors.linear.noise import EVEN, FEWEST, LEAST_RANGE, Spread
from edgenas.predictors.linear.posterior import Posterior, with_intercept

# Half of the prior belief is in the mean of the sources, half in single ones.
MEAN_SHARE = 0.5
# Variances of deviations, over that of the sources among each other.
SHARES = (0.0, 0.1, 0.3, 1.0)
# Standard deviations of the noise, over the median source's on the rows.
NOISES = tuple(float(x) for x in np.geomspace(0.02, 1.0, 9))
# Standard deviation of the shift over the scale; any where there is no positive mean to scale by.
SHIFT, ANY_SHIFT = 0.1, 100.0
POWERS = (0.25, 0.5, 0.75, 1.0)
MEAN = "their mean"


@dataclass(frozen=True)
class Blended:
    """posterior : of the coefficients of (intercept, *sources).

    belief : float64 [s + 1], in each centre, which add up to 1; the last is the sources' mean.
    evidence : logarithm of the likelihood, averaged over all explanations, up to a constant.
    deviation : variance of the deviations' coefficients, over that of the noise. noise : standard
        deviation of a typical row's.
    """

    posterior: Posterior
    belief: np.ndarray
    evidence: float
    deviation: float
    noise: float


def blend(sources: np.ndarray, response: np.ndarray, noise: np.ndarray) -> Blended:
    """Return what sources [n, s] say of a board whose responses are [n].

    noise : float64 [n], relative standard deviations of the rows' noise.
    """
    frame = _Frame.of(sources, response)
    weights = 1 / noise
    rows = with_intercept((sources - frame.offset) / frame.unit) * weights[:, None]
    centres = np.vstack([np.eye(len(frame.unit)), frame.unit / frame.unit.sum()])
    weighted = response * weights
    tried = [_Explanations.of(rows, weighted, centres, frame, share) for share in SHARES]
    prior = np.append(np.full(len(frame.unit), (1 - MEAN_SHARE) / len(frame.unit)), MEAN_SHARE)
    logs = np.array([x.likelihoods for x in tried]) + np.log(prior)
    rising = np.array([x.scales > 0 for x in tried])
    logs = np.where(rising | ~rising.any(), logs, -np.inf)
    belief = np.exp(logs - logs.max())
    evidence = float(logs.max() + np.log(belief.sum()) + np.log(weights).sum())
    belief /= belief.sum()
    params = np.einsum("akc,akci->i", belief, np.array([x.params for x in tried]))
    covariance = sum(x.covariance(p, params) for p, x in zip(belief, tried, strict=True))
    variance = float(np.sum(belief * np.array([x.variances for x in tried])))
    effective = float(np.sum(belief * np.array([x.effective for x in tried])))
    deviation = float(np.sum(belief * np.array([x.deviations for x in tried])))
    back = frame.back()
    posterior = Posterior(back @ params, back @ covariance @ back.T / variance, effective)
    return Blended(
        posterior, belief.sum(axis=(0, 1)), evidence, deviation / variance, variance**0.5
    )


@dataclass(frozen=True)
class _Frame:
    """Sources are compared as (source - offset) / unit, [s] each; spread : the median one's there;
    shift : standard deviation of what may be added to all rows."""

    offset: np.ndarray
    unit: np.ndarray
    spread: float
    shift: float

    @classmethod
    def of(cls, sources: np.ndarray, response: np.ndarray) -> _Frame:
        spread, mean = sources.std(axis=0), sources.mean(axis=0)
        if sources.min() > 0 and response.min() > 0:
            relative = float(np.median(spread / mean))
            return cls(np.zeros(len(mean)), mean, relative if relative > 0 else 1.0, SHIFT)
        return cls(mean, np.where(spread > 0, spread, 1.0), 1.0, ANY_SHIFT)

    def back(self) -> np.ndarray:
        """Return what makes coefficients of (intercept, *sources) of those compared."""
        return np.vstack(
            [np.append(1.0, -self.offset / self.unit), np.diag(np.append(1.0, 1 / self.unit))[1:]]
        )


@dataclass(frozen=True)
class _Explanations:
    """What each of c centres makes of the rows, with each of k noises and one share of deviations.

    likelihoods, scales, variances (of the noise), effective, deviations (variance) : [k, c].
    params : [k, c, s + 1]; their covariances over `sizes` [k, c] are common [k, s + 1, s + 1] plus
    the squares of moves [k, c, s + 1].
    """

    likelihoods: np.ndarray
    scales: np.ndarray
    params: np.ndarray
    sizes: np.ndarray
    common: np.ndarray
    moves: np.ndarray
    variances: np.ndarray
    effective: np.ndarray
    deviations: np.ndarray

    @classmethod
    def of(
        cls,
        rows: np.ndarray,
        response: np.ndarray,
        centres: np.ndarray,
        frame: _Frame,
        share: float,
    ) -> _Explanations:
        """rows : [n, s + 1], of (1, *sources) over the noise; centres : [c, s], of the sources."""
        n, count = len(response), centres.shape[1]
        noise = (frame.spread * np.array(NOISES))[:, None] ** 2
        prior = np.zeros((count + 1, count + 1))
        prior[0, 0] = frame.shift**2
        prior[1:, 1:] = (np.eye(count) - 1 / count) * share / max(count - 1, 1)
        towards = np.hstack([np.zeros((len(centres), 1)), centres])
        inner = _Inverse(rows @ _root(prior), noise)
        means, across = rows @ towards.T, prior @ rows.T
        power = np.maximum(inner.squares(means), 1e-300)
        scales = inner.products(means, response[:, None]) / power
        whole = inner.squares(response[:, None])
        sizes = np.maximum(whole - scales**2 * power, 1e-20 * whole) / (n - 1)
        likelihoods = -0.5 * (np.log(power) + (n - 1) * np.log(sizes) + inner.logdet(n))
        moved = inner.between(across, means)  # [k, s + 1, c]
        pulled = inner.between(across, response[:, None]) - moved * scales[:, None, :]
        params = scales[:, :, None] * towards + pulled.transpose(0, 2, 1)
        moves = (towards - moved.transpose(0, 2, 1)) / np.sqrt(power)[:, :, None]
        common = prior - inner.between(across, across.T)
        effective = inner.kept.sum(axis=1, keepdims=True) + noise * inner.twice(means) / power
        return cls(
            likelihoods,
            scales,
            params,
            sizes,
            common,
            moves,
            sizes * noise,
            effective,
            sizes * share,
        )

    def covariance(self, belief: np.ndarray, around: np.ndarray) -> np.ndarray:
        """Return the part of the averaged params' covariance by this, given beliefs [k, c]."""
        within = belief * self.sizes
        off = self.params - around
        found = np.einsum("k,kij->ij", within.sum(axis=1), self.common)
        for parts, weights in ((self.moves, within), (off, belief)):
            flat = parts.reshape(-1, parts.shape[-1])
            found += (flat.T * weights.ravel()) @ flat
        return np.asarray(found)


class _Inverse:
    """The inverse of root root' + noise, for k noises [k, 1] and a root [n, q].

    kept : what is kept of each of the root's directions, [k, r].
    """

    def __init__(self, root: np.ndarray, noise: np.ndarray) -> None:
        self.left, singular, _ = np.linalg.svd(root, full_matrices=False)
        self.noise, self.powers = noise, singular**2
        self.kept = self.powers / (self.powers + noise)

    def logdet(self, n: int) -> np.ndarray:
        """Return the logarithms of the determinants of the n x n matrices, [k, 1]."""
        rest = np.log1p(self.powers / self.noise).sum(axis=1, keepdims=True)
        return np.asarray(n * np.log(self.noise) + rest)

    def products(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return x_j' inverse y for columns x_j of [n, c] and one y [n, 1], [k, c]."""
        inside = self.kept @ ((self.left.T @ x) * (self.left.T @ y))
        return np.asarray(((x * y).sum(axis=0) - inside) / self.noise)

    def squares(self, x: np.ndarray) -> np.ndarray:
        """Return x_j' inverse x_j for columns of [n, c], [k, c]."""
        inside = self.kept @ (self.left.T @ x) ** 2
        return np.asarray(((x**2).sum(axis=0) - inside) / self.noise)

    def twice(self, x: np.ndarray) -> np.ndarray:
        """Return |inverse x_j|² for columns of [n, c], [k, c]."""
        inside = (2 * self.kept - self.kept**2) @ (self.left.T @ x) ** 2
        return np.asarray(((x**2).sum(axis=0) - inside) / self.noise**2)

    def between(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return a inverse b for a [p, n], b [n, c], [k, p, c]."""
        inside = ((a @ self.left) * self.kept[:, None, :]) @ (self.left.T @ b)
        return np.asarray((a @ b - inside) / self.noise[:, :, None])


def _root(prior: np.ndarray) -> np.ndarray:
    """Return a root of a covariance."""
    values, vectors = np.linalg.eigh(prior)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


@dataclass(frozen=True)
class Blend:
    """How coefficients come from rows [n, p + s] of terms and sources: `recipe.Recipe`'s methods.

    noise : float64 [n], relative standard deviations of the rows' noise, as `spread` has them.
    known : what is known of the mean response of these rows otherwise, and its standard error over
        a typical row's noise: it counts as one more row, of the sources' means.
    """

    rows: np.ndarray
    responses: np.ndarray
    sources: int
    spread: Spread
    noise: np.ndarray
    known: tuple[np.ndarray, float, float] | None = None
    light = 0  # all rows count alike

    @classmethod
    def of(cls, matrix: np.ndarray, sources: np.ndarray, response: np.ndarray) -> Blend:
        """Return the blend with the noise that the rows show: even, or growing with the mean."""
        rows = np.hstack([matrix, sources])
        even = cls(rows, response, sources.shape[1], EVEN, np.ones(len(response)))
        least = float(response.min())
        if len(response) < FEWEST or least <= 0 or response.max() < LEAST_RANGE * least:
            return even
        first = even.blended()
        means = np.maximum(first.posterior.predict(sources), least)
        typical = float(np.exp(np.log(means).mean()))
        grown = [
            replace(even, spread=(spread := Spread(power, least, typical)), noise=spread.of(means))
            for power in POWERS
        ]
        found = [x.blended().evidence for x in grown]
        if 2 * (max(found) - first.evidence) < np.log(len(response)):
            return even
        return grown[int(np.argmax(found))]

    def blended(self) -> Blended:
        sources = self.rows[:, -self.sources :]
        if self.known is None:
            return blend(sources, self.responses, self.noise)
        means, response, error = self.known
        return blend(
            np.vstack([sources, means]),
            np.append(self.responses, response),
            np.append(self.noise, error),
        )

    def told(self, response: float, error: float) -> Blend:
        """Return this with `response` known to be the rows' mean, with that standard error."""
        means = self.rows[:, -self.sources :].mean(axis=0)
        return replace(self, known=(means, response, error / self.blended().noise))

    def fit(self, final: bool = False) -> Posterior:
        """Return the coefficients of (intercept, *terms, *sources); those of terms are 0."""
        found = self.blended().posterior
        used = np.append(0, np.arange(-self.sources, 0))
        size = self.rows.shape[1] + 1
        params, covariance = np.zeros(size), np.zeros((size, size))
        params[used], covariance[np.ix_(used, used)] = found.params, found.covariance
        return Posterior(params, covariance, found.effective, self.spread)

    def refit(self, kept: np.ndarray) -> Posterior:
        """Return the coefficients from rows `kept`, bool [n], alone."""
        here = replace(
            self, rows=self.rows[kept], responses=self.responses[kept], noise=self.noise[kept]
        )
        return here.fit()

    def named_variances(self) -> dict[str, float]:
        return {"deviations between sources": self.blended().deviation}

    def likeness(self, names: Sequence[str]) -> dict[str, float]:
        """Return the belief in each centre, by its name."""
        return dict(zip((*names, MEAN), map(float, self.blended().belief), strict=True))
