"""A kernel size that costs far more than its arithmetic is found in what was measured."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from edgenas.core.records import Architecture, Latency, Measurement, Outcome
from edgenas.explain.slow_kernels import find, kernel_networks
from edgenas.spaces import mbv3_cpu, mbv3_tiny

SPACE = mbv3_cpu.create(10, 1, 16)


def measured(
    dear: int, factor: float, error: float = 0.02, *, passes: int = 2, scatter: float = 0.5
) -> Any:
    """What a made-up engine took: 50 us a million MACs, `factor` times that with kernel `dear`.

    error : of the 95 % interval, which one pass does not have. scatter : of single samples.
    """
    latencies, measurements = {}, []
    for size, network in kernel_networks(SPACE).items():
        layers = SPACE.layers(network)
        usual = sum(layer.macs for layer in layers) / 1e6
        slow = sum(x.macs for x in layers if x.kind == "depthwise" and size == dear) / 1e6
        ms = 0.05 * (usual + (factor - 1) * slow)
        ci95 = (ms * (1 - error), ms * (1 + error)) if passes > 1 else None
        latencies[network] = (ms, ci95)
        shares = (1 - scatter, *[1.0] * 8, 1 + scatter)
        one = tuple(int(1e6 * ms * share) for share in shares)
        latency = Latency(ms, ms, ci95, (one,) * passes, (1.0,) * passes, True)
        outcome = Outcome("ok", "", "litert", "2", "XNNPACK", {}, latency)
        measurements.append(Measurement(network, "local", "a" * 64, 1000, "random", outcome))
    return SimpleNamespace(
        space=SPACE, latencies=lambda: latencies, measurements=lambda: measurements
    )


def test_the_networks_differ_in_their_kernels_alone() -> None:
    networks = kernel_networks(SPACE)
    assert list(networks) == [3, 5, 7]
    assert networks[3] == SPACE.smallest()
    assert all(SPACE.contains(network) for network in networks.values())
    assert len({(n.resolution, n.expand_ratios, n.depths) for n in networks.values()}) == 1
    assert list(kernel_networks(mbv3_tiny.create(10, 1, 16))) == [3, 5]


def test_a_slow_kernel_is_found_and_by_how_much() -> None:
    (found,) = find(measured(dear=7, factor=200))
    assert (found.kernel_size, found.usual) == (7, 5)
    assert found.work_ratio < 2
    assert found.ratio > 10
    assert found.ratio == pytest.approx(found.slow_ms.mean / found.usual_ms.mean)


@pytest.mark.parametrize(("factor", "error"), [(1, 0.02), (8, 0.9)])
def test_neither_arithmetic_nor_noise_is_a_pathology(factor: float, error: float) -> None:
    assert find(measured(7, factor, error)) == ()


@pytest.mark.parametrize(("passes", "error"), [(1, 0.0), (2, 5.0)])
def test_one_pass_is_enough_where_no_sample_comes_near(passes: int, error: float) -> None:
    (found,) = find(measured(7, 200, error, passes=passes))
    assert found.ratio > 10
    assert found.usual_ms.lower < found.usual_ms.mean < found.usual_ms.upper
    assert find(measured(7, 8, error, passes=passes)) == ()


def test_one_outlier_of_a_pass_hides_nothing_and_makes_nothing_up() -> None:
    assert len(find(measured(7, 200, passes=1, scatter=0.99))) == 1
    assert find(measured(7, 1, passes=1, scatter=0.99)) == ()


def test_what_was_not_measured_is_not_judged() -> None:
    run = measured(dear=7, factor=200)
    del run.latencies()[kernel_networks(SPACE)[7]]
    assert find(run) == ()


@pytest.mark.parametrize(("kernel", "words"), [(3, "no candidate uses it"), (7, "1 of 1 candid")])
def test_the_sentence_says_what_the_search_made_of_it(kernel: int, words: str) -> None:
    (found,) = find(measured(dear=7, factor=200))
    network: Architecture = kernel_networks(SPACE)[kernel]
    said = found.sentence("litert", [network])
    assert said.startswith(f"Kernel size 7 costs {found.ratio:.0f}x kernel size 5 on litert: ")
    assert words in said
