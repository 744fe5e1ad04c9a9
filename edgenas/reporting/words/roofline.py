"""How far a network is from its machine's limits: in sentences, and as the rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgenas.core.counted import counted
from edgenas.core.records import to_json
from edgenas.core.records.roofline import Part, Roofline
from edgenas.reporting.words import numbers

COLUMNS = (
    "layer", "kind", "MMAC", "kB", "MAC/byte", "limit us", "bound by", "took us", "of the limit",
)  # fmt: skip
NEAR = 0.8  # of the machine's own rate: from here on only less work helps
SMALL_SHARE = 0.05  # of the latency: smaller parts are named, without advice
LARGE_REST = 0.1  # of the latency, not explained: it is said
SHOWN = 8  # layers in explain and on the page
_NAMES = {"elementwise": "adding and multiplying tensors", "move": "moving and converting data"}


def sentences(found: Roofline) -> tuple[str, ...]:
    """Return what the latency is made of and what would help, then how far that is explained."""
    *made_of, rest = found.parts
    named = [part for part in made_of if part.share >= 0.005]
    named += [rest] if rest.share >= LARGE_REST else []
    made = "; ".join(_part(part) for part in named)
    by_limits = "" if _profiled(found) else "by the limits alone, "
    first = f"Of {found.latency_ms.mean:.3g} ms, {by_limits}{made}."
    limit = (
        f"The sum of all limits is {found.limit_ms:.3g} ms, {found.explained:.0%} of the measured "
        "latency."
    )
    return (first, limit, *_bits(found), *found.doubts, *found.not_covered, *_missing(found))


def roof(found: Roofline) -> tuple[str, ...]:
    """Return the rates, each with the micro-model that it comes from."""
    roof = found.roof
    about = {one.name: one.about for one in roof.micro_models}
    rates = (f"{kind} {rate:.3g} GMAC/s ({about[kind]})" for kind, rate in roof.gmacs_per_s.items())
    return (
        f"What {roof.target} does in {roof.numbers} ({roof.engine} {roof.engine_version}): "
        f"{'; '.join(rates)}.",
        f"Moving: {roof.cached_gb_per_s:.3g} GB/s in a cache, {roof.memory_gb_per_s:.3g} GB/s "
        f"from {numbers.storage(roof.memory_from_bytes)} a layer on. Starting a kernel: "
        f"{roof.launch_us:.2g} us; a call besides: {roof.call_us:.2g} us.",
    )


def row(one: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a layer's figures, as `COLUMNS` has them, from the document's."""
    took, of_limit = one["measured_us"], one["of_limit"]
    return (
        one["name"],
        one["kind"],
        f"{one['macs'] / 1e6:.3f}" if one["macs"] else "",
        f"{one['moved_bytes'] / 1e3:.1f}",
        f"{one['intensity']:.1f}" if one["macs"] else "",
        f"{one['limit_us']:.2f}",
        one["bound_by"],
        "" if took is None else f"{took:.2f}",
        "" if of_limit is None else f"{of_limit:.0%}",
    )


def document(found: Roofline) -> dict[str, Any]:
    """Return the JSON document of `edgenas roofline`: the record, and what follows from it."""
    layers = [
        {
            **to_json(one.work),
            "intensity": one.work.intensity,
            "bit_operations": one.work.bit_operations if found.bits_differ else None,
            "bit_products": one.work.bit_products if found.bits_differ else None,
            "limit_us": one.limit_us,
            "launch_us": one.launch_us,
            "compute_us": one.compute_us,
            "memory_us": one.memory_us,
            "bound_by": one.bound_by,
            "measured_us": one.measured_us,
            "of_limit": one.of_limit,
        }
        for one in found.layers
    ]
    more = {
        "limit_ms": found.limit_ms,
        "explained": found.explained,
        "says": list(sentences(found)),
        "roof_says": list(roof(found)),
    }
    return {**to_json(found), "layers": layers, **more}


def slowest(layers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the document's layers that take most, first: as measured, or by their limits."""
    return sorted(layers, key=lambda one: -(one["measured_us"] or one["limit_us"]))[:SHOWN]


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


def _bits(found: Roofline) -> tuple[str, ...]:
    if not found.bits_differ:
        return ()
    whole = sum(one.work.bit_operations for one in found.layers)
    products = sum(one.work.bit_products for one in found.layers)
    return (
        f"Its layers have numbers of different widths: {whole / 1e6:,.4g} million bit operations "
        f"(Baskin et al. 2018), {products / 1e6:,.4g} million by products alone.",
    )


def _profiled(found: Roofline) -> bool:
    return any(one.measured_us is not None for one in found.layers)


def _missing(found: Roofline) -> tuple[str, ...]:
    return (f"No times of layers: {found.profile_missing}",) if found.profile_missing else ()
