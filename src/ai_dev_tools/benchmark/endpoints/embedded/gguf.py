"""Reading the metadata of a GGUF model file (format version 2 and 3)."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, BinaryIO

from ai_dev_tools.benchmark._util.json_values import JsonFields, Scalar
from ai_dev_tools.benchmark.errors import ConfigurationError

_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_STRING, _ARRAY = 8, 9
MAX_ITEM_BYTES = 100_000_000
"""Far more than any string or array of numbers in the metadata of a model: a larger one is damage."""


def read_metadata(path: Path) -> JsonFields:
    """All key-value pairs of the file; arrays are given as None, as Ollama does in `/api/show`.

    Raises:
        ConfigurationError: the file cannot be read or is not a GGUF file.
    """
    try:
        with path.open("rb") as file:
            if file.read(4) != b"GGUF" or _scalar(file, "<I") not in (2, 3):
                raise ConfigurationError(f"{path} is not a GGUF model file")
            _tensor_count, pairs = _scalar(file, "<Q"), _scalar(file, "<Q")
            metadata = {_string(file): _value(file, _scalar(file, "<I")) for _ in range(pairs)}
            metadata["general.architecture"]  # the one key that every file has
            return metadata
    except (struct.error, LookupError, ValueError, OverflowError, MemoryError, RecursionError):
        raise ConfigurationError(f"{path} is a damaged GGUF model file") from None
    except OSError as error:
        raise ConfigurationError(f"cannot read the model file {path}: {error.strerror}") from None


def _scalar(file: BinaryIO, layout: str) -> Any:
    return struct.unpack(layout, _read(file, struct.calcsize(layout)))[0]


def _string(file: BinaryIO) -> str:
    return _read(file, _scalar(file, "<Q")).decode()


def _read(file: BinaryIO, size: int) -> bytes:
    if size > MAX_ITEM_BYTES or len(data := file.read(size)) < size:
        raise ValueError("it ends too early")
    return data


def _value(file: BinaryIO, kind: int) -> Scalar:
    if kind == _STRING:
        return _string(file)
    if kind != _ARRAY:
        number: int | float = _scalar(file, _SCALARS[kind])
        return number
    item_kind, count = _scalar(file, "<I"), _scalar(file, "<Q")
    if item_kind in _SCALARS:
        if (size := count * struct.calcsize(_SCALARS[item_kind])) > MAX_ITEM_BYTES:
            raise ValueError("longer than any array of a model")
        file.seek(size, 1)
    else:
        for _ in range(count):
            _value(file, item_kind)
    return None
