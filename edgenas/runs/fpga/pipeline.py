"""How the networks of a run become pipelines on an FPGA, by what the run asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgenas.core.records.goals import Limit

if TYPE_CHECKING:
    from edgenas.hardware.pipeline import Pipeline
    from edgenas.runs.config import RunConfig


def asked_for(pipeline: Pipeline, config: RunConfig) -> Pipeline:
    """Return the pipeline at the images/s that a run asks for at the least.

    Where images/s are an objective, each network is as fast as the limits on resources let it be.
    """
    asked = config.limits()
    rate = asked.get("images_per_s")
    if rate is not None and rate.at_least:
        pipeline = pipeline.at(rate.at_least)
    if "images_per_s" not in {one.response for one in config.wanted}:
        return pipeline
    most = dict(pipeline.limits())
    for name, has in most.items():
        limit = asked.get(name, Limit(name)).at_most
        most[name] = has if limit is None else min(has, limit)
    return pipeline.filling(most)


def filled(pipeline: Pipeline | None) -> Pipeline | None:
    """Return a pipeline that makes each network as fast as it goes; None for any other."""
    return None if pipeline is None or pipeline.filled is None else pipeline
