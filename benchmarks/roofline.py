"""How well the sum of layer limits explains measured networks, on one target.

Run: OMP_NUM_THREADS=1 python benchmarks/roofline.py [--target local] [--engine ENGINE]

Random networks of a space, int8 with random weights, are timed in one job beside the
micro-models of `edgenas roofline`. Each network's sum of limits is held against its latency: as the
command has it, without what is no MAC (outputs, taps, rests of vectors), as a roofline whose parts
overlap, and as the plain one (one peak, no launch).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgenas.core.progress import Silent
from edgenas.core.records.roofline import FileWork, Roof
from edgenas.explain.roofline import call_us, limits, solve
from edgenas.int8.work.micro_models import LAUNCH, MICRO_MODELS, STARTED
from edgenas.runs.models.latency import random_model
from edgenas.runs.roofline import SETTINGS, Chain, chain_of, file_work, roof_of, timed
from edgenas.spaces.files import find
from edgenas.targets.config import Access, resolve
from edgenas.targets.jobs.job_target import JobTarget


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--target", default="local")
    asked.add_argument("--engine")
    asked.add_argument("--space", default="mbv3-tiny")
    asked.add_argument("--image-size", type=int, default=32)
    asked.add_argument("--networks", type=int, default=20)
    asked.add_argument("--seed", type=int, default=0)
    options = asked.parse_args()
    machine = resolve(options.target, Access(), engine=options.engine)
    assert isinstance(machine, JobTarget)
    space = find(options.space).create(10, 3, options.image_size)
    rng = np.random.default_rng(options.seed)
    networks = [space.sample(rng) for _ in range(options.networks)]
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        chains = [chain_of(one, machine, "int8", scratch) for one in MICRO_MODELS]
        files = [
            random_model(scratch, f"network-{number}", space.layers(network), machine, 0)
            for number, network in enumerate(networks)
        ]
        every = [*files, *(file for chain in chains for file in chain.files)]
        outcomes = machine.measure(every, SETTINGS, scratch / "job", Silent())
        own = timed(outcomes, files[0].key, files[0].key)[0]
        roof = roof_of(machine, chains, outcomes, own, "int8")
        works = [
            file_work(file.path.read_bytes(), file.path.suffix, file.key, {}) for file in files
        ]
    taken_us = np.array([timed(outcomes, file.key, file.key)[1].median_ms * 1e3 for file in files])
    rejected = sum(one.latency.stands_on_rejected for one in outcomes.values() if one.latency)
    print(f"{machine.name}, {machine.engine}: {options.networks} random networks of {space.name}")
    print(f"load average {before:.1f} before, {os.getloadavg()[0]:.1f} after;", end=" ")
    print(f"{rejected} of {len(outcomes)} times stand on rejected passes")
    rates = ", ".join(f"{kind} {rate:.3g}" for kind, rate in roof.gmacs_per_s.items())
    print(
        f"GMAC/s: {rates}; GB/s: {roof.cached_gb_per_s:.3g}, {roof.memory_gb_per_s:.3g};", end=" "
    )
    print(f"launch {roof.launch_us:.3g} us, call {roof.call_us:.3g} us")
    print("ns: " + ", ".join(f"{name} {ns:.3g}" for name, ns in roof.unit_ns.items()))
    print(f"latency {taken_us.min():.1f} to {taken_us.max():.1f} us")
    sums = sums_us(works, roof, chains)
    print("| sum of limits over latency | mean | least | greatest | mean error ", end="")
    print("| within 5 % | within 10 % |\n|---|---|---|---|---|---|---|")
    for name, total_us in sums.items():
        ratio = np.array(total_us) / taken_us
        error = np.abs(ratio - 1)
        near, far = (f"{np.sum(error <= most)} of {len(ratio)}" for most in (0.05, 0.1))
        print(
            f"| {name} | {ratio.mean():.2f} | {ratio.min():.2f} | {ratio.max():.2f} "
            f"| {error.mean():.1%} | {near} | {far} |"
        )


def sums_us(
    works: Sequence[FileWork], roof: Roof, chains: Sequence[Chain]
) -> dict[str, list[float]]:
    """Return the sum of limits of each network, by how a layer's limit is made."""
    timings = {one.name: one for one in roof.micro_models}
    macs_alone = solve(timings, {chain.model.name: chain.repeated for chain in chains}, (STARTED,))
    smallest = next(chain for chain in chains if chain.model.name == LAUNCH)
    call_alone_us = call_us(timings[LAUNCH].short_ms, smallest.short.layers, macs_alone)
    sums: dict[str, list[float]] = {"added": [], "MACs alone": [], "overlapping": [], "plain": []}
    peak = max(roof.gmacs_per_s.values())
    for work in works:
        found = limits(work.layers, roof)
        sums["added"].append(roof.call_us + sum(one.limit_us for one in found))
        alone_us = sum(one.limit_us for one in limits(work.layers, macs_alone))
        sums["MACs alone"].append(call_alone_us + alone_us)
        overlapping = (one.launch_us + max(one.compute_us, one.memory_us) for one in found)
        sums["overlapping"].append(roof.call_us + sum(overlapping))
        plain = (max(one.work.macs / peak * 1e-3, one.memory_us) for one in found)
        sums["plain"].append(sum(plain))
    return sums


if __name__ == "__main__":
    main()
