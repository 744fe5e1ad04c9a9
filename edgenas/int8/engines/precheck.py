"""The pre-check: what an engine will not compute in int8, before anything is measured on it.

What is known of each engine is data, `NAME.json`, each rule with its source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from edgenas.int8.engines.facts import Engine, engine_names, find_engine
from edgenas.int8.graph.ir import Graph, Node, WeightedNode
from edgenas.int8.graph.quantize import find_scheme

Effect = Literal["float", "refused", "fallback", "compile"]

# What to use instead of an operator that no exporter writes but other people's networks have.
_INSTEAD = {
    "hard_swish": "Use ReLU6: hard-swish has no int8 kernel there.",
    "hard_sigmoid": "Use relu6(x + 3) and fold the 1/6 into the next layer.",
    "silu": "Use ReLU6.",
    "gelu": "Use ReLU6.",
}


@dataclass(frozen=True)
class Obstacle:
    """One reason why a network is not int8 throughout on an engine.

    layer : the node's name, or "" for the whole network.
    effect : "float" an island of float; "refused" the engine does not load it; "fallback" slower
        kernels take over in silence; "compile" it needs a step that only the user can do.
    """

    layer: str
    effect: Effect
    problem: str
    remedy: str
    source: str


def precheck(graph: Graph, engine: str, scheme: str, machine: str = "") -> tuple[Obstacle, ...]:
    """Return what stands in the way of running `graph` in int8 `scheme` on `engine`.

    machine : as `platform.machine()` gives it on the target; "" leaves out what depends on it.

    Raises
    ------
    ExportError : no such engine or scheme is known.
    """
    find_scheme(scheme)
    about = find_engine(engine)
    rules = [rule for rule in about.rules if _applies(rule, scheme, machine)]
    whole = [_obstacle("", rule) for rule in rules if "activations" not in rule]
    return (*whole, *(found for node in graph.nodes for found in _of_node(node, about, rules)))


def check_provider(engine: str, provider: str) -> Obstacle | None:
    """Return an obstacle if what ran the model, as the engine says, is not what was asked for.

    provider : `Outcome.provider`, from after the model was loaded.
    """
    about = find_engine(engine)
    expected = about.provider
    ran, _, rest = provider.partition(";")
    if ran == expected and not rest.strip().startswith("built-in kernels"):
        return None
    return Obstacle(
        "",
        "fallback",
        f"{about.title} should run on {expected}, but ran on {provider or 'nothing it names'}",
        f"Compare it with an engine that is what it says: {', '.join(engine_names())}.",
        "the engine's own account after loading the model",
    )


def _of_node(node: Node, about: Engine, rules: list[dict]) -> Iterator[Obstacle]:
    if node.kind not in about.int8_kinds:
        instead = _INSTEAD.get(node.kind, f"Use one of {', '.join(about.int8_kinds)}.")
        problem = f"{about.title} has no int8 kernel for {node.kind}: it is computed in float"
        yield Obstacle(node.output, "float", problem, instead, f"{about.name}.json")
    activation = node.activation if isinstance(node, WeightedNode) else "none"
    for rule in rules:
        if activation in rule.get("activations", ()):
            yield _obstacle(node.output, rule)


def _obstacle(layer: str, rule: dict[str, Any]) -> Obstacle:
    return Obstacle(layer, rule["effect"], rule["problem"], rule["remedy"], rule["source"])


def _applies(rule: dict[str, Any], scheme: str, machine: str) -> bool:
    return scheme in rule["schemes"] and machine in rule.get("machines", (machine,))
