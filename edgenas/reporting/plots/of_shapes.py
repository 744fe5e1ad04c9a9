"""The shapes of one predictor of a run: what its numbers do, and its columns together."""

from __future__ import annotations

from dataclasses import asdict

from edgenas.reporting.document import PredictorReport
from edgenas.reporting.plots import of_tables
from edgenas.reporting.plots.of_report import slug
from edgenas.reporting.plots.plot import Plot

MOST_CURVES = 8  # the widest first


def curves(predictor: PredictorReport) -> list[Plot]:
    """Draw what the numbers do to the response, those that do most first, with their bands."""
    shapes = predictor.shapes
    if shapes is None:
        return []
    most = sorted(shapes.curves, key=lambda curve: min(curve.effect) - max(curve.effect))[
        :MOST_CURVES
    ]
    return [
        of_tables.curve(
            asdict(curve), predictor.label, shapes.effects_in, f"{slug(predictor)}-curve-{i}"
        )
        for i, curve in enumerate(most)
    ]


def together(predictor: PredictorReport) -> list[Plot]:
    """Draw what two columns do beyond what each does alone, as heat maps."""
    shapes = predictor.shapes
    if shapes is None:
        return []
    return [
        of_tables.together(
            asdict(pair), predictor.label, shapes.effects_in, f"{slug(predictor)}-together-{i}"
        )
        for i, pair in enumerate(shapes.together)
    ]
