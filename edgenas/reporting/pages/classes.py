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
    found = None if data.winner is None else data.winner.confusion
    if found is None:
        return {"class_rows": (), "classes_unshown": 0, "confusion": None}
    classes = found.worst_first(data.data.class_names)
    return {
        "class_rows": [
            (
                one.name,
                numbers.percent(one.accuracy, one.n_images),
                f"{one.right} of {one.n_images}",
                f"{one.taken_for} ({one.taken})" if one.taken else "—",
            )
            for one in classes[:SHOWN]
        ],
        "classes_unshown": max(0, len(classes) - SHOWN),
        "confusion": plots.inline(of_classes.confusion(found, data.data.class_names)),
    }
