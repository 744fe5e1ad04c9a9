"""Objectives and constraints as users write them: names, units, directions, contradictions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from edgenas.core.errors import InputError
from edgenas.core.goals import (
    Limit,
    parse_constraint,
    parse_constraints,
    parse_objective,
    parse_objectives,
)
from edgenas.core.metrics import REGISTRY, find, observed, of_column
from edgenas.core.records import Architecture, Latency, Measurement, Outcome


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("energy_mj<=12", Limit("energy_mj", at_most=12.0)),
        ("energy <= 0.012 J", Limit("energy_mj", at_most=12.0)),
        ("peak_rss<=64MB", Limit("peak_rss_bytes", at_most=64e6)),
        ("memory<64MiB", Limit("peak_rss_bytes", at_most=64 * 2**20)),
        ("peak_rss<=64mb", Limit("peak_rss_bytes", at_most=64e6)),
        ("latency<=3ms", Limit("latency_ms", at_most=3.0)),
        ("latency_ms<=350us", Limit("latency_ms", at_most=0.35)),
        ("p90<=.1s", Limit("latency_p90_ms", at_most=100.0)),
        ("accuracy>=0.9", Limit("accuracy", at_least=0.9)),
        ("accuracy ≥ 90%", Limit("accuracy", at_least=0.9)),
        ("macs<=1.5M", Limit("macs", at_most=1.5e6)),
        ("params<=2e5", Limit("params", at_most=2e5)),
    ],
)
def test_constraints_are_read_with_their_units(text: str, limit: Limit) -> None:
    read = parse_constraint(text)
    assert read.response == limit.response
    assert read.at_most == pytest.approx(limit.at_most)
    assert read.at_least == pytest.approx(limit.at_least)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("enrgy<=12", "Did you mean 'energy'"),
        ("latency=3ms", "not a constraint"),
        ("latency<=fast", "not a constraint"),
        ("latency<=1.2.3ms", "not a number"),
        ("latency<=3MB", "no unit 'MB'. Units: us, ms, s"),
        ("energy<=3MJ", "no unit 'MJ'"),  # not taken for mJ
        ("accuracy>=90", "between 0 and 1"),
        ("latency<=-1ms", "never negative"),
        ("peak_rss<=0", "never zero"),
        ("latency<=1e999", "never negative"),
        ("", "not a constraint"),
    ],
)
def test_what_is_no_constraint_is_one_clear_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=None) as raised:
        parse_constraint(text)
    assert message in str(raised.value)


def test_the_tightest_of_several_limits_holds() -> None:
    limits = parse_constraints(["latency<=3ms", "latency<=2ms", "latency>=1ms", "accuracy>=80%"])
    assert limits["latency_ms"] == Limit("latency_ms", 2.0, 1.0)
    assert limits["accuracy"].at_least == pytest.approx(0.8)


def test_contradictory_constraints_are_found() -> None:
    with pytest.raises(InputError, match=r"at least 90 % and at most 80 %"):
        parse_constraints(["accuracy>=0.9", "accuracy<=80%"])


def test_objectives_know_their_direction() -> None:
    found = parse_objectives(["accuracy", "latency", "latency_ms"])
    assert [(one.response, one.goal) for one in found] == [
        ("accuracy", "max"),
        ("latency_ms", "min"),
    ]
    with pytest.raises(InputError, match="backwards"):
        parse_objective("latency_ms:max")
    with pytest.raises(InputError, match="Did you mean 'accuracy'"):
        parse_objective("acuracy")


def test_names_and_aliases_are_unique() -> None:
    names = [name for kind in REGISTRY.values() for name in (kind.name, *kind.aliases)]
    assert len(names) == len(set(names))
    assert {find(name).name for name in names} == set(REGISTRY)


def test_a_tables_columns_are_responses_too() -> None:
    columns = [
        of_column("accuracy", 94.4),
        of_column("rpi5_onnx_latency_ms", 40.0),
        of_column("energy_mj", 300.0),
        of_column("score", 3.0),
    ]
    known = {kind.name: kind for kind in columns}
    assert parse_constraint("accuracy>=90%", known) == Limit("accuracy", at_least=90.0)
    assert parse_constraint("rpi5_onnx_latency_ms<=2s", known).at_most == 2000.0
    assert parse_objective("score:max", known).goal == "max"
    with pytest.raises(InputError, match="score:min"):
        parse_objective("score", known)
    assert of_column("top1_accuracy", 0.94).unit == "fraction"


def test_times_follow_the_anchor_and_energy_does_not() -> None:
    def measured(resolution: int, anchor_ms: float) -> Measurement:
        latency = Latency(2.0, 3.0, (1.9, 2.1), ((1,),), (1.0,), converged=True)
        energy = SimpleNamespace(energy_mj=7.0, ci95_mj=(6.0, 8.0))
        outcome = SimpleNamespace(status="ok", latency=latency, peak_rss_bytes=None, energy=energy)
        architecture = Architecture("any", resolution, (), ())
        return Measurement(architecture, "t", "", 9, "random", cast("Outcome", outcome), anchor_ms)

    # the target took twice as long when the second was measured: so would the first now
    both = [measured(1, 1.0), measured(2, 2.0)]
    found = {kind.name: list(observed(kind, both).values()) for kind in REGISTRY.values()}
    assert found["latency_ms"] == [(4.0, (3.8, 4.2)), (2.0, (1.9, 2.1))]
    assert found["latency_p90_ms"] == [(6.0, None), (3.0, None)]
    assert found["energy_mj"] == [(7.0, (6.0, 8.0))] * 2
    assert found["peak_rss_bytes"] == []  # missing, not zero


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("peak_rss_bytes", 64e6, "64 MB"),
        ("accuracy", 0.9, "90 %"),
        ("latency_ms", 2.3456, "2.346 ms"),
        ("macs", 1.5e6, "1.5 M"),
        ("params", 12.0, "12"),
    ],
)
def test_values_are_shown_with_their_unit(name: str, value: float, text: str) -> None:
    assert REGISTRY[name].shown(value) == text
