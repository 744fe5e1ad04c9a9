"""A float ONNX file as the one lowered graph, or what of it has no place there."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from edgenas.core.errors import InputError
from edgenas.core.records.quantized import FloatLayer
from edgenas.int8.graph.ir import Graph
from edgenas.int8.graph.mixed import mixed
from edgenas.int8.graph.signs import with_signs_apart
from edgenas.int8.importer.builder import Builder, NotCoveredError
from edgenas.int8.importer.entry import entry_of
from edgenas.int8.importer.foreign import add_foreign
from edgenas.int8.importer.fused import fused
from edgenas.int8.importer.operators import IMPORTS
from edgenas.int8.importer.source import Operation, Source, read_source

_MOST_NAMED = 5
_NO_OPERATOR = "no such operator"


@dataclass(frozen=True, eq=False)
class Imported:
    """A network from a file. content : the float file, for one input at a time.

    macs : multiply-accumulates of an image. metadata : the file's metadata_props.
    kept : operators that stay in float because they are not covered.
    """

    graph: Graph
    content: bytes
    macs: int
    metadata: dict[str, str]
    kept: tuple[FloatLayer, ...] = ()


def import_onnx(
    content: bytes, name: str, shape: tuple[int, ...] | None = None, *, keep_float: bool = False
) -> Imported:
    """Return the float network in the ONNX file `content`, which messages call `name`.

    shape : of its input without the batch (channels, height and width of an image), where the file
        leaves sizes open.
    keep_float : operators that are not covered stay in float, where they take and give images.

    Raises
    ------
    InputError : it is no float network of one input, or an operator is not covered; each is named
        with its share of the multiply-accumulates.
    """
    source = fused(read_source(content, name, shape))
    build = Builder(entry_of(source))
    failed: list[tuple[Operation, str]] = []
    kept: list[Operation] = []
    for one in build.source.operations:
        if not _known(build, one):  # what it reads was not covered
            if one.kind not in IMPORTS and not keep_float:
                failed.append((one, _NO_OPERATOR))
            continue
        try:
            try:
                if one.kind not in IMPORTS:
                    raise NotCoveredError(_NO_OPERATOR)
                IMPORTS[one.kind](build, one)
            except NotCoveredError as problem:
                if not keep_float:
                    raise
                add_foreign(build, one, str(problem))
                kept.append(one)
        except NotCoveredError as problem:
            failed.append((one, str(problem)))
        except (KeyError, ValueError, IndexError, TypeError) as problem:
            failed.append((one, f"it is not as the standard says: {problem}"))
    if failed:
        raise InputError(
            _not_covered(name, source, failed),
            "Replace the operator, and train on."
            if keep_float
            else "Keep it in float, in an .onnx file: --keep-float",
        )
    try:
        graph, _ = mixed(with_signs_apart(build.graph()), {}, ())
    except NotCoveredError as problem:
        raise InputError(f"{name} cannot be imported: {problem}.") from problem
    total = max(source.macs, 1)
    floats = tuple(FloatLayer(one.outputs[0], one.kind, one.macs / total, None) for one in kept)
    return Imported(graph, source.content, source.macs, source.metadata, floats)


def _known(build: Builder, one: Operation) -> bool:
    return all(not name or name in build.values or name in build.constants for name in one.inputs)


def _not_covered(name: str, source: Source, failed: list[tuple[Operation, str]]) -> str:
    groups: dict[tuple[str, str], list[Operation]] = defaultdict(list)
    for one, why in failed:
        groups[one.kind, why].append(one)
    total = max(source.macs, 1)
    said = []
    for (kind, why), operations in list(groups.items())[:_MOST_NAMED]:
        share = sum(one.macs for one in operations) / total
        times = f"{len(operations)} times" if len(operations) > 1 else f"'{operations[0].name}'"
        said.append(f"{kind} ({times}, {share:.1%} of the work): {why}")
    more = len(groups) - _MOST_NAMED
    rest = f"; and {more} more" if more > 0 else ""
    return f"{name} has operators that int8 files are not written of: {'; '.join(said)}{rest}."
