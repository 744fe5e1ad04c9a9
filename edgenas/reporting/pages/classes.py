"""What the report says of the classes: which the winner gets right, and what it takes them for."""

from __future__ import annotations

from typing import Any

from edgenas.reporting.document import ReportData
from edgenas.reporting.pages.plots import PagePlots
from edgenas.reporting.plots import of_classes
from edgenas.reporting.words import numbers

SHOWN = 20  # the worst ones


def parts(data: ReportData, plots: PagePlots) -> dict[str, Any]:
    """Return the rows of the worst classes and the confusion matrix; None where none is known."""
    confusion = None if data.winner is None else data.winner.confusion
    if confusion is None:
        return {"class_rows": (), "classes_unshown": 0, "confusion": None}
    classes = confusion.worst_first(data.data.class_names)
    return {
        "class_rows": [
            (
                row.name,
                numbers.percent(row.accuracy, row.n_images),
                f"{row.right} of {row.n_images}",
                f"{row.taken_for} ({row.taken})" if row.taken else "—",
            )
            for row in classes[:SHOWN]
        ],
        "classes_unshown": max(0, len(classes) - SHOWN),
        "confusion": plots.inline(of_classes.confusion(confusion, data.data.class_names)),
    }
