"""JSON, TOML and archives from anywhere: read within bounds, or one clear line at once."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from device_runtime.json_text import read_json_text
from edgenas.core.errors import InputError
from edgenas.core.files.archive import read_archive
from edgenas.core.files.toml import read_toml


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 65 + "1" + "}" * 65, "nested too deeply: 64 levels"),
        (r'{"name": "\ud800"}', "half of a surrogate pair"),
        (r'{"\udfff": 1}', "half of a surrogate pair"),
        ('{"a": 1, "a": 2}', "the key 'a' is given twice"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": -Infinity}', "-Infinity is not a number"),
        ('{"a": 1e999}', "a number is too large"),
        ('{"a": 1' + "0" * 5000 + "}", "too many digits"),
        ("{", "line 1 column 2"),
        (b"\xff\xfe{}", "decode"),
    ],
)
def test_json_that_is_not_bounded_is_refused(text: str | bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        read_json_text(text)
    assert "\n" not in str(refused.value)


def test_json_of_usual_texts_and_numbers_is_read() -> None:
    deep = "[" * 64 + "]" * 64
    text = r'{"a": [1, -2.5e3, "\ud83d\ude00 [[[", null], "b": ' + f'"{"[" * 200}"' + "}"
    assert read_json_text(text) == {"a": [1, -2500.0, "\U0001f600 [[[", None], "b": "[" * 200}
    assert str(read_json_text(deep)) == deep
    assert read_json_text(b'\xef\xbb\xbf{"a": 18446744073709551615}') == {"a": 2**64 - 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[limits]\nbudget_s = inf", "limits.budget_s is inf"),
        ("a = [1.0, [nan]]", "a is nan"),
        (f"a = 1{'0' * 40}", "a has too many digits"),
        (f"a = 1{'0' * 6000}", "is not TOML"),
        ("a = 2026-01-01", "a is a date or a time"),
        (f"a = {'[' * 30_000}", "nested too deeply"),
        (f"{'a.' * 9}a = 1", "nested too deeply"),
        (f"{'a.' * 30_000}a = 1", "a key of very many parts"),
        ("a = 1\n" * 50_000, "too large: 128 KiB"),
        ("a = '\ud800'", "Cannot read"),
    ],
)
def test_toml_that_no_key_can_have_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "board.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InputError, match=said):
        read_toml(path)


@pytest.mark.parametrize(
    ("method", "name"), [(zipfile.ZIP_LZMA, "LZMA"), (zipfile.ZIP_BZIP2, "bzip2")]
)
def test_an_archive_of_another_method_is_refused(tmp_path: Path, method: int, name: str) -> None:
    path = archive(tmp_path, {"a": b"1" * 1000}, method)
    with pytest.raises(ValueError, match=f"packed by {name}, where only deflate is read"):
        read_archive(path)


@pytest.mark.parametrize("name", ["../a", "/a", "b/../../a", "C:/a", "b\\a"])
def test_an_archive_that_reaches_outside_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="names a place outside of it"):
        read_archive(archive(tmp_path, {name: b"1"}))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = archive(tmp_path, {"zeros": bytes(2**26)})
    assert path.stat().st_size < 2**17
    with pytest.raises(ValueError, match="more than 100 times its size"):
        read_archive(path)


def test_a_file_that_is_said_to_be_longer_than_its_archive_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, {"a.txt": b"x" * 1000})
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 20  # its packed size, in the list of contents
    content[at : at + 4] = b"\xfe\xff\xff\xff"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"'a.txt' in it is said to be longer"):
        read_archive(path)


def test_an_archive_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = archive(tmp_path, {"a": b"abc" * 100, "b/c": b""}).read_bytes()
    path = tmp_path / "cut.zip"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"\w"):
            read_archive(path)
    path.write_bytes(whole)
    assert read_archive(path) == {"a": b"abc" * 100, "b/c": b""}


def archive(folder: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    path = folder / "files.zip"
    with zipfile.ZipFile(path, "w", method) as made:
        for name, content in files.items():
            made.writestr(name, content)
    return path
