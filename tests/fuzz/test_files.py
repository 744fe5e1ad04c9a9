"""Fuzzing of files: evidence, .onnx, .tflite, .pyz, arrays, graphs, stores."""

from __future__ import annotations

import hashlib
import io
import json
import sqlite3
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenas.challenges import generic, lpcvc2023
from edgenas.challenges.model_files import UnreadableModelError, read_onnx, read_tflite
from edgenas.core.files.arrays import read_array
from edgenas.core.files.run_folder import write_json
from edgenas.core.records import Evaluation
from edgenas.int8.exporters import onnx_reader, tflite_reader
from edgenas.int8.graph import graph_file
from edgenas.int8.graph.ranges import random_ranges
from edgenas.int8.work import onnx_file, tflite_file
from edgenas.runs.config import limits_of
from edgenas.runs.evidence import bundle
from edgenas.runs.evidence.contents import content_checks
from edgenas.runs.evidence.limits import limit_checks
from edgenas.runs.evidence.measurements import replay
from edgenas.runs.evidence.predictions import prediction_checks
from edgenas.runs.store import Store
from helpers.challenge_packages import emit, good_2023, tiny_graph
from helpers.fuzzing import contents, documents, fuzz, guarded, text_of
from helpers.stored import architectures, measurement
from helpers.verified_run import LABELS, computed, write_run

ONNX = emit("onnx", tiny_graph(16, 5))
TFLITE = emit("tflite", tiny_graph(16, 5))
GRAPH = graph_file.write(tiny_graph(16, 5), random_ranges(tiny_graph(16, 5), 0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture
def evidence(tmp_path: Path) -> dict[str, bytes]:
    verified = write_run(tmp_path / "run")
    limits = {"max_latency_ms": 5.0, "constraints": ["accuracy>=0.1"]}
    write_json(verified.config, {"edgenas_run": 1, "version": "1", "config": limits})
    return bundle.collect(verified, LABELS, computed())


@fuzz()
@given(st.data())
def test_evidence(evidence: dict[str, bytes], folder: Path, data: st.DataObject) -> None:
    files = dict(evidence)
    for _ in range(data.draw(st.integers(1, 2))):
        name = data.draw(st.sampled_from(sorted(files)))
        if name.endswith(".json") and data.draw(st.booleans()):
            changed = data.draw(documents(json.loads(evidence[name])))
            files[name] = text_of(changed).encode("utf-8", "surrogatepass")
        else:
            files[name] = data.draw(contents(files[name]))
    files.pop(bundle.SUMS, None)
    sums = (f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    path = bundle.write({**files, bundle.SUMS: "".join(sums).encode()}, folder / "e.zip")
    if data.draw(st.integers(0, 3)) == 0:
        path.write_bytes(data.draw(contents(path.read_bytes())))
    for check in (replay, prediction_checks):
        with guarded():
            check(path)
    for held in (limit_checks, content_checks):
        with guarded():
            held(path, limits_of)


@fuzz()
@given(st.data())
def test_onnx_files(folder: Path, data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        content = data.draw(contents(ONNX))
    else:
        model = onnx.load_model_from_string(ONNX)
        for _ in range(data.draw(st.integers(1, 3))):
            _change(model, data)
        content = model.SerializeToString()
    path = folder / "model.onnx"
    path.write_bytes(content)
    with guarded(UnreadableModelError):
        read_onnx(path)
    with guarded():
        onnx_reader.read(content)
    with guarded():
        onnx_file.read_work(content, {})
    with guarded():
        generic.lint(path)


def _change(message: Any, data: st.DataObject) -> None:
    """Change one field, drawn, of a protobuf message or of one inside of it."""
    fields = [one for one in message.ListFields() if one[0].name != "raw_data"]
    if not fields:
        return
    field, value = data.draw(st.sampled_from(fields))
    several = hasattr(value, "append")
    if field.message_type and data.draw(st.integers(0, 4)):
        _change(data.draw(st.sampled_from(list(value))) if several else value, data)
    elif several and len(value) and data.draw(st.booleans()):
        del value[data.draw(st.integers(0, len(value) - 1))]
    elif several and field.message_type:
        value.append(value[0])
    elif several and isinstance(value[0], int):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(-9, 2**31 - 1))
    elif field.enum_type:  # protobuf sets no others; changed bytes have them
        setattr(
            message, field.name, data.draw(st.sampled_from(list(field.enum_type.values_by_number)))
        )
    elif isinstance(value, int):
        setattr(message, field.name, data.draw(st.sampled_from([0, 1, 7, 99, 2**31 - 1])))
    elif isinstance(value, str):
        setattr(message, field.name, data.draw(st.text(st.characters(codec="utf-8"), max_size=9)))
    else:
        message.ClearField(field.name)


@fuzz()
@given(contents(TFLITE))
def test_tflite_files(content: bytes) -> None:
    with guarded():
        tflite_reader.read(content)
    with guarded():
        tflite_file.read_work(content)


@fuzz(share=0.02)  # LiteRT reads each in a process of its own
@given(contents(TFLITE))
def test_tflite_files_in_litert(folder: Path, content: bytes) -> None:
    path = folder / "model.tflite"
    path.write_bytes(content)
    with guarded(UnreadableModelError):
        read_tflite(path)


@fuzz()
@given(st.data())
def test_packages(folder: Path, data: st.DataObject) -> None:
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w") as package:
        warnings.filterwarnings("ignore", "Duplicate name")  # as a hostile package may have
        for name in data.draw(st.lists(st.text(max_size=9), max_size=3, unique=True)):
            package.writestr(zipfile.ZipInfo(name), data.draw(st.binary(max_size=99)))
        source = (folder / "solution" / "__main__.py") if (folder / "solution").exists() else None
        source = source or (good_2023(folder) and folder / "solution" / "__main__.py")
        text = data.draw(contents(source.read_bytes()))
        method = data.draw(st.sampled_from([0, 8, 8, 12, 14]))
        package.writestr("__main__.py", text, compress_type=method)
    content = b"#!/usr/bin/env python3.6\n" + stream.getvalue()
    path = folder / "solution.pyz"
    path.write_bytes(data.draw(contents(content)) if data.draw(st.booleans()) else content)
    with guarded():
        lpcvc2023.lint(path)


def _array() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.ones((5, 4), np.float32))
    return stream.getvalue()


@fuzz()
@given(contents(_array()))
def test_arrays(content: bytes) -> None:
    with guarded(ValueError):
        read_array(content)


@fuzz()
@given(st.data())
def test_graph_files(data: st.DataObject) -> None:
    size = int.from_bytes(GRAPH[:8], "little")
    header = json.loads(GRAPH[8 : 8 + size])
    if data.draw(st.booleans()):
        inside = json.loads(header["__metadata__"]["edgenas_graph"])
        header["__metadata__"]["edgenas_graph"] = text_of(data.draw(documents(inside)))
        text = json.dumps(header)
    else:
        text = text_of(data.draw(documents(header)))
    changed = text.encode("utf-8", "surrogatepass")
    content = len(changed).to_bytes(8, "little") + changed + GRAPH[8 + size :]
    with guarded():
        graph_file.read(data.draw(contents(content)) if data.draw(st.booleans()) else content, "it")


@fuzz()
@given(st.data())
def test_stores(folder: Path, data: st.DataObject) -> None:
    path, whole = folder / "store.sqlite", folder / "whole.sqlite"
    if not whole.exists():
        store = Store(whole)
        for number, architecture in enumerate(architectures(8)):
            store.add_measurement(measurement(architecture, 1.0 + number))
            store.add_evaluation(Evaluation(architecture, "sha", 0.9, 0.8, 100))
    path.write_bytes(whole.read_bytes())
    if data.draw(st.booleans()):
        path.write_bytes(data.draw(contents(whole.read_bytes())))
    else:
        with sqlite3.connect(path) as database:
            table = data.draw(st.sampled_from(["measurements", "evaluations"]))
            (text,) = database.execute(f"SELECT document FROM {table} LIMIT 1").fetchone()
            changed = text_of(data.draw(documents(json.loads(text))))
            values = st.sampled_from([changed, changed.encode(), 7, 0.5, b"\xff\xfe", "\0"])
            database.execute("PRAGMA synchronous = OFF")
            database.execute(f"UPDATE {table} SET document = ?", (data.draw(values),))
        database.close()
    for read in (Store(path).measurements, Store(path).evaluations):
        with guarded():
            read("board" if "meas" in read.__name__ else "sha")
