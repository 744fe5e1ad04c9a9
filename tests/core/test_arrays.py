"""Arrays from boards and bundles: whatever a file holds, it is an array or one clear line."""

from __future__ import annotations

import io

import numpy as np
import pytest

from edgenas.core.files.arrays import read_array


def content(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def header(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    about = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, about)
    return stream.getvalue()


WHOLE = content(np.ones((3, 4), np.float32))


def test_what_was_written_is_read() -> None:
    np.testing.assert_array_equal(read_array(WHOLE), np.ones((3, 4), np.float32))


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"PK\x03\x04" + bytes(40),
        WHOLE[:20],
        WHOLE[:-1],
        header((10**14, 4)) + bytes(16),
        b"\x93NUMPY\x01\x00\x10\x00{'a':(((((1)))))",
        b"\x93NUMPY\x09\x00" + WHOLE[8:],
        content(np.array([{}], object)),
    ],
    ids=["empty", "zip", "head", "short", "petabytes", "no header", "version", "pickle"],
)
def test_anything_else_is_one_clear_line(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        read_array(damaged)
    assert "\n" not in str(refused.value)
