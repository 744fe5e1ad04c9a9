"""verify: the candidates of the search against what was promised. Writes verification.json."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edgenas.core.records import Verification, Verified
from edgenas.runs.run import RunContext
from edgenas.runs.verdict import verdicts


def run(context: RunContext, rounds: int = 1) -> Verification[Any]:
    """Hold the search's candidates against what was promised, and judge them.

    What is seen of them is known to the next fit. From the second round on, what passed in an
    earlier one stays a candidate.
    """
    source, result = context.source, context.search_result()
    verified = list(source.check(result))
    if rounds > 1:
        verified += _passed_before(context, verified)
    first = context.config.wanted[0]
    verification = source.judged(
        Verification(
            target=source.name,
            limit_ms=source.limit_ms(result),
            confidence=result.confidence,
            rounds=rounds,
            models=tuple(verified),
            objective=first.response,
            goal=first.goal,
        )
    )
    models = [one.model for one in verification.models if hasattr(one, "model")]
    made_of = verdicts.verified_from(context.folder, context.config, models)
    verification = replace(verification, verified_from=made_of)
    verdicts.write(context.folder, verification)
    source.tidy(verification)
    return verification


def _passed_before(context: RunContext, now: list[Verified]) -> list[Verified]:
    again = {one.candidate.architecture for one in now}
    return [
        replace(one, from_earlier_round=True)
        for one in context.verified().models
        if one.passed and one.candidate.architecture not in again
    ]
