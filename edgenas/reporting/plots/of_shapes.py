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
    found = predictor.shapes
    if found is None:
        return []
    most = sorted(found.curves, key=lambda one: min(one.effect) - max(one.effect))[:MOST_CURVES]
    return [
        of_tables.curve(
            asdict(one), predictor.label, found.effects_in, f"{slug(predictor)}-curve-{i}"
        )
        for i, one in enumerate(most)
    ]


def together(predictor: PredictorReport) -> list[Plot]:
    """Draw what two columns do beyond what each does alone, as heat maps."""
    found = predictor.shapes
    if found is None:
        return []
    return [
        of_tables.together(
            asdict(one), predictor.label, found.effects_in, f"{slug(predictor)}-together-{i}"
        )
        for i, one in enumerate(found.together)
    ]
