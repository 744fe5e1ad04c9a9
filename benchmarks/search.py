"""Annealing versus the exact optimum on the published FOX-NAS predictors, as Markdown and JSON.

Run: python benchmarks/search.py [--seeds 100] [--max-latency 55] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from edgenas.optimize.published import search

SPACE, PREDICTORS = "foxnas-cpu", "foxnas-192px"
# Both top-1 values agree to the last published digit of the coefficients.
SAME_PERCENT = 1e-6


def run(method: str, limit_ms: float, n_runs: int, best_percent: float | None) -> dict[str, Any]:
    """Search with seeds 0 to n_runs - 1; return one row of the table."""
    results = [search(SPACE, PREDICTORS, limit_ms, method, seed) for seed in range(n_runs)]
    objectives = [result["objective"] for result in results]
    best_percent = max(objectives) if best_percent is None else best_percent
    seconds = [result["seconds"] for result in results]
    return {
        "method": method,
        "limit_ms": limit_ms,
        "runs": n_runs,
        "optimum_reached": sum(o >= best_percent - SAME_PERCENT for o in objectives),
        "proved_optimal": sum(result["optimal"] for result in results),
        "best_percent": max(objectives),
        "worst_percent": min(objectives),
        "seconds_median": statistics.median(seconds),
        "seconds_greatest": max(seconds),
        "evaluations": results[0]["evaluations"],
        "frontier_points": results[0]["frontier_points"],
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns)]
    lines += [[_cell(column, row[column]) for column in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(column: str, value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.6f}" if column.endswith("_percent") else f"{value:.4g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--max-latency", type=float, nargs="+", default=[55.0], help="in ms")
    parser.add_argument("--json", type=Path, help="write the rows here too")
    arguments = parser.parse_args()
    rows = []
    for limit_ms in arguments.max_latency:
        rows.append(run("exact", limit_ms, 5, None))
        rows.append(run("anneal", limit_ms, arguments.seeds, rows[-1]["best_percent"]))
    print(markdown(rows))
    document = json.dumps(rows, indent=1)
    print(f"\n```json\n{document}\n```")
    if arguments.json:
        arguments.json.write_text(document + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
