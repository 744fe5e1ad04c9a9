"""What a run was asked for: when it is the plain search, and when latency is limited."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from edgenas.cli.main import edgenas
from edgenas.core.errors import InputError
from edgenas.runs.config import RunConfig


@pytest.mark.parametrize(
    ("asked", "plain", "limited"),
    [
        ({}, True, True),  # half-way
        ({"max_latency_ms": 2.0}, True, True),
        ({"constraints": ("latency<=2ms",)}, True, True),
        ({"objectives": ("accuracy",)}, True, True),
        ({"objectives": ("accuracy", "latency_ms")}, False, False),
        ({"objectives": ("accuracy", "latency_ms"), "max_latency_ms": 2.0}, False, True),
        ({"constraints": ("energy<=1mJ",)}, False, False),
        ({"constraints": ("accuracy>=90%",), "max_latency_ms": 2.0}, False, True),
        ({"constraints": ("latency>=1ms",)}, False, False),
        ({"objectives": ("model_bytes",)}, False, False),
    ],
)
def test_only_what_is_asked_is_limited(
    asked: dict[str, object], plain: bool, limited: bool
) -> None:
    config = RunConfig(**asked)  # type: ignore[arg-type]
    assert (config.plain, config.limited) == (plain, limited)


def test_the_tighter_of_two_latency_limits_holds() -> None:
    config = RunConfig(max_latency_ms=2.0, constraints=("latency<=1500us", "size<=1MB"))
    assert config.limits()["latency_ms"].at_most == 1.5
    assert config.responses == {"accuracy", "latency_ms", "model_bytes"}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"objectives": ("acuracy",)}, "Did you mean 'accuracy'"),
        ({"constraints": ("latency<=3ms", "latency>=4ms")}, "contradict"),
        ({"max_latency_ms": 1.0, "constraints": ("latency>=2ms",)}, "contradict"),
        ({"budget": 0}, "--budget must be 1"),
    ],
)
def test_what_cannot_be_is_refused(asked: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RunConfig(**asked)  # type: ignore[arg-type]


def test_published_predictors_know_no_other_responses() -> None:
    words = "optimize --predictors foxnas-192px --space foxnas-cpu --max-latency 55ms"
    done = CliRunner().invoke(edgenas, [*words.split(), "--constraint", "energy<=1mJ"])
    assert isinstance(done.exception, InputError)
    assert "accuracy and latency alone" in str(done.exception)


def test_names_that_run_json_could_not_hold_are_refused() -> None:
    with pytest.raises(InputError, match="--data needs a name in UTF-8: rename it, or link to it"):
        RunConfig(data="imagefolder:caf\udce9")
    assert RunConfig(data="imagefolder:café").data == "imagefolder:café"
