"""A TFLite file in the making: tensors, constants and operators, packed as a flatbuffer.

Field names and numbers are those of the schema that ai-edge-litert ships, generated from
tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from edgenas.core.errors import ExportError

SCHEMA_VERSION = 3
FILE_IDENTIFIER = b"TFL3"
SIGNATURE = "serving_default"
_ALIGNMENT = 16  # of constants: kernels read them in place, 16 bytes at a time
_LARGEST_OLD_CODE = 127  # operator codes up to here are also written where old readers look


def load_schema() -> ModuleType:
    """Return the generated schema; `ExportError` where the package that has it is absent."""
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as problem:
        raise ExportError(
            f"TFLite files need the package ai-edge-litert ({problem}).",
            "Run: pip install 'edgenas[tflite]'",
        ) from problem
    return schema_py_generated


class FlatbufferFile:
    """One model with one subgraph; tensors are known by their index."""

    def __init__(self) -> None:
        self._schema = load_schema()
        self._graph = self._schema.SubGraphT(
            tensors=[], inputs=[], outputs=[], operators=[], name="main"
        )
        self._codes: dict[tuple[str, int], int] = {}
        self._buffers: list[np.ndarray | None] = [None]  # buffer 0 stands for "no data"
        self._vectors: dict[tuple[str, bytes], int] = {}

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: np.dtype,
        *,
        scale: np.ndarray | None = None,
        zero_point: np.ndarray | None = None,
        axis: int = 0,
        data: np.ndarray | None = None,
        open_batch: bool = False,
    ) -> int:
        """Add a tensor and return its index.

        scale, zero_point : float32 and int64, [1] or [shape[axis]]; None for float and indices.
        data : the values of a constant, of `shape` and `dtype`.
        open_batch : the first dimension may be resized.
        """
        schema, quantization = self._schema, None
        if scale is not None and zero_point is not None:
            quantization = _Quantization(schema, scale, zero_point, axis, self._vectors)
        if data is not None:
            self._buffers.append(np.frombuffer(data.astype(dtype).tobytes(), np.uint8))
        signature = np.array([-1, *shape[1:]], np.int32) if open_batch else None
        self._graph.tensors.append(
            schema.TensorT(
                shape=np.array(shape, np.int32),
                type=getattr(schema.TensorType, dtype.name.upper()),
                buffer=0 if data is None else len(self._buffers) - 1,
                name=name,
                quantization=quantization,
                shapeSignature=signature,
            )
        )
        return len(self._graph.tensors) - 1

    def is_float(self, tensor: int) -> bool:
        return bool(self._graph.tensors[tensor].type == self._schema.TensorType.FLOAT32)

    def operator(
        self,
        kind: str,
        version: int,
        inputs: Sequence[int],
        output: int,
        options: str,
        **attributes: Any,
    ) -> None:
        """Add an operator, `kind` as in BuiltinOperator, with the table `options` of attributes."""
        schema = self._schema
        code = self._codes.setdefault((kind, version), len(self._codes))
        self._graph.operators.append(
            schema.OperatorT(
                opcodeIndex=code,
                inputs=np.array(inputs, np.int32),
                outputs=np.array([output], np.int32),
                builtinOptionsType=getattr(schema.BuiltinOptions, options or "NONE"),
                builtinOptions=getattr(schema, f"{options}T")(**attributes) if options else None,
            )
        )

    def enum(self, name: str, member: str) -> int:
        """Return the number of a member of one of the schema's enumerations."""
        return int(getattr(getattr(self._schema, name), member))

    def finish(
        self, inputs: dict[str, int], outputs: dict[str, int], metadata: Mapping[str, bytes]
    ) -> bytes:
        """Return the file, with `inputs` and `outputs` (name -> tensor) as its only signature.

        metadata : what the file says of itself, by name.
        """
        schema = self._schema
        entries = []
        for name, content in metadata.items():
            self._buffers.append(np.frombuffer(content, np.uint8))
            entries.append(schema.MetadataT(name=name, buffer=len(self._buffers) - 1))
        self._graph.inputs = np.array(list(inputs.values()), np.int32)
        self._graph.outputs = np.array(list(outputs.values()), np.int32)
        maps = [
            [schema.TensorMapT(name=name, tensorIndex=index) for name, index in ends.items()]
            for ends in (inputs, outputs)
        ]
        buffers = [_AlignedBuffer(schema, values) for values in self._buffers]
        model = schema.ModelT(
            version=SCHEMA_VERSION,
            operatorCodes=[self._operator_code(*key) for key in self._codes],
            subgraphs=[self._graph],
            description="edgenas",
            buffers=buffers,
            signatureDefs=[schema.SignatureDefT(*maps, SIGNATURE, 0)],
            metadata=entries or None,
        )
        builder = schema.flatbuffers.Builder(sum(buffer.size for buffer in buffers) + 2**18)
        builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())

    def _operator_code(self, kind: str, version: int) -> Any:
        number = self.enum("BuiltinOperator", kind)
        return self._schema.OperatorCodeT(
            deprecatedBuiltinCode=min(number, _LARGEST_OLD_CODE),
            version=version,
            builtinCode=number,
        )


class _Quantization:
    """Scales and zero points; the same numbers are written once a file, as most zeros are."""

    def __init__(
        self,
        schema: ModuleType,
        scale: np.ndarray,
        zero_point: np.ndarray,
        axis: int,
        written: dict[tuple[str, bytes], int],
    ) -> None:
        self._schema, self._axis, self._written = schema, axis, written
        self._values = (scale, zero_point)

    def Pack(self, builder: Any) -> int:  # noqa: N802 - the name that the schema calls
        scale, zero_point = (self._vector(builder, values) for values in self._values)
        self._schema.QuantizationParametersStart(builder)
        self._schema.QuantizationParametersAddScale(builder, scale)
        self._schema.QuantizationParametersAddZeroPoint(builder, zero_point)
        self._schema.QuantizationParametersAddQuantizedDimension(builder, self._axis)
        return int(self._schema.QuantizationParametersEnd(builder))

    def _vector(self, builder: Any, values: np.ndarray) -> int:
        key = values.dtype.str, values.tobytes()
        if key not in self._written:
            self._written[key] = builder.CreateNumpyVector(values)
        return self._written[key]


class _AlignedBuffer:
    """A constant's bytes; the generated class would align them to 4 only."""

    def __init__(self, schema: ModuleType, values: np.ndarray | None) -> None:
        self._schema = schema
        self._values = values
        self.size = 0 if values is None else len(values) + 64

    def Pack(self, builder: Any) -> int:  # noqa: N802 - the name that the schema calls
        data = None
        if self._values is not None:
            builder.StartVector(1, len(self._values), _ALIGNMENT)
            builder.head -= len(self._values)
            builder.Bytes[builder.head : builder.head + len(self._values)] = self._values.tobytes()
            data = builder.EndVector()
        self._schema.BufferStart(builder)
        if data is not None:
            self._schema.BufferAddData(builder, data)
        return int(self._schema.BufferEnd(builder))
