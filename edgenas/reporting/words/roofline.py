"""How far a network is from its machine's limits: in sentences, and as the rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgenas.core.counted import counted
from edgenas.core.records import to_json
from edgenas.core.records.roofline import Part, Roof, Roofline
from edgenas.reporting.words import numbers

COLUMNS = (
    "layer", "kind", "MMAC", "kB", "MAC/byte", "limit us", "bound by", "took us", "of the limit",
)  # fmt: skip
NEAR = 0.8  # of the machine's own rate: from here on only less work helps
SMALL_SHARE = 0.05  # of the latency: smaller parts are named, without advice
LARGE_REST = 0.1  # of the latency, not explained: it is said
SHOWN = 8  # layers in explain and on the page
_UNITS = {  # by the name of a unit, as `explain.roofline` has it
    "output": "an output of a pointwise or dense layer",
    "dense tap": "a pixel's tap of a dense layer",
    "depthwise tap": "a pixel's tap of a depthwise layer",
    "rest of 8": "such a tap for each channel that fills no vector of 8",
    "rest of 16": "of 16",
}
_NAMES = {"elementwise": "adding and multiplying tensors", "move": "moving and converting data"}


def sentences(roofline: Roofline) -> tuple[str, ...]:
    """Return what the latency is made of and what would help, then how far that is explained."""
    *made_of, rest = roofline.parts
    named = [part for part in made_of if part.share >= 0.005]
    named += [rest] if rest.share >= LARGE_REST else []
    parts = "; ".join(_part(part) for part in named)
    by_limits = "" if _profiled(roofline) else "by the limits alone, "
    first = f"Of {roofline.latency_ms.mean:.3g} ms, {by_limits}{parts}."
    limit = (
        f"The sum of all limits is {roofline.limit_ms:.3g} ms, {roofline.explained:.0%} of the "
        "measured latency."
    )
    return (
        first,
        limit,
        *_bits(roofline),
        *roofline.doubts,
        *roofline.not_covered,
        *_missing(roofline),
    )


def roof(roofline: Roofline) -> tuple[str, ...]:
    """Return the rates, each with the micro-model that it comes from."""
    roof = roofline.roof
    about = {micro_model.name: micro_model.about for micro_model in roof.micro_models}
    rates = (f"{kind} {rate:.3g} GMAC/s ({about[kind]})" for kind, rate in roof.gmacs_per_s.items())
    return (
        f"What {roof.target} does in {roof.numbers} ({roof.engine} {roof.engine_version}): "
        f"{'; '.join(rates)}.",
        f"Moving: {roof.cached_gb_per_s:.3g} GB/s in a cache, {roof.memory_gb_per_s:.3g} GB/s "
        f"from {numbers.storage(roof.memory_from_bytes)} a layer on. Starting a kernel: "
        f"{roof.launch_us:.2g} us{_more_to_start(roof)}; a call besides: {roof.call_us:.2g} us.",
        *_besides(roof),
    )


def _more_to_start(roof: Roof) -> str:
    more_us = roof.unit_ns.get("started convolution", 0.0) / 1e3
    return f", a convolution or matrix {more_us:.2g} us more" if more_us else ""


def _besides(roof: Roof) -> tuple[str, ...]:
    costs = [
        f"{roof.unit_ns[name]:.2g} ns {what}"
        for name, what in _UNITS.items()
        if roof.unit_ns.get(name)
    ]
    return (f"Besides multiplying: {', '.join(costs)}.",) if costs else ()


def row(layer: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a layer's figures, as `COLUMNS` has them, from the document's."""
    took, of_limit = layer["measured_us"], layer["of_limit"]
    return (
        layer["name"],
        layer["kind"],
        f"{layer['macs'] / 1e6:.3f}" if layer["macs"] else "",
        f"{layer['moved_bytes'] / 1e3:.1f}",
        f"{layer['intensity']:.1f}" if layer["macs"] else "",
        f"{layer['limit_us']:.2f}",
        layer["bound_by"],
        "" if took is None else f"{took:.2f}",
        "" if of_limit is None else f"{of_limit:.0%}",
    )


def document(roofline: Roofline) -> dict[str, Any]:
    """Return the JSON document of `edgenas roofline`: the record, and what follows from it."""
    layers = [
        {
            **to_json(layer.work),
            "intensity": layer.work.intensity,
            "bit_operations": layer.work.bit_operations if roofline.bits_differ else None,
            "bit_products": layer.work.bit_products if roofline.bits_differ else None,
            "limit_us": layer.limit_us,
            "launch_us": layer.launch_us,
            "compute_us": layer.compute_us,
            "memory_us": layer.memory_us,
            "bound_by": layer.bound_by,
            "measured_us": layer.measured_us,
            "of_limit": layer.of_limit,
        }
        for layer in roofline.layers
    ]
    more = {
        "limit_ms": roofline.limit_ms,
        "explained": roofline.explained,
        "says": list(sentences(roofline)),
        "roof_says": list(roof(roofline)),
    }
    return {**to_json(roofline), "layers": layers, **more}


def slowest(layers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the document's layers that take most, first: as measured, or by their limits."""
    return sorted(layers, key=lambda layer: -(layer["measured_us"] or layer["limit_us"]))[:SHOWN]


def _part(part: Part) -> str:
    share = f"{part.share:.0%}"
    if part.layers and part.name.startswith("starting"):
        advice = ": fewer layers help" if part.share >= SMALL_SHARE else ""
        return f"{share} is starting {counted(part.layers, 'kernel')}{advice}"
    if not part.layers:
        return f"{share} is {part.name}"
    name = _NAMES.get(part.name, part.name)
    if part.share < SMALL_SHARE:
        return f"{share} is {name}"
    if part.of_limit is None:
        return f"{share} is {name} ({counted(part.layers, 'layer')})"
    near = part.of_limit >= NEAR
    advice = "only less of it helps" if near else "the same work in fewer, wider layers may help"
    at = f", at {part.of_limit:.0%} of what this machine does on {name}"
    return f"{share} is {name}{at}: {advice}"


def _bits(roofline: Roofline) -> tuple[str, ...]:
    if not roofline.bits_differ:
        return ()
    whole = sum(layer.work.bit_operations for layer in roofline.layers)
    products = sum(layer.work.bit_products for layer in roofline.layers)
    return (
        f"Its layers have numbers of different widths: {whole / 1e6:,.4g} million bit operations "
        f"(Baskin et al. 2018), {products / 1e6:,.4g} million by products alone.",
    )


def _profiled(roofline: Roofline) -> bool:
    return any(layer.measured_us is not None for layer in roofline.layers)


def _missing(roofline: Roofline) -> tuple[str, ...]:
    return (f"No times of layers: {roofline.profile_missing}",) if roofline.profile_missing else ()
