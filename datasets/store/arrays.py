"""Writers of arrays and tables that grow on disk row by row, so that a corpus need not fit into memory."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HEADER_BYTES = 128  # fixed, so that the header can be written last, when the number of rows is known

ROW_GROUP = 65_536
"""Rows of a row group of a Parquet file."""


def npy_header(dtype: np.dtype, shape: tuple[int, ...]) -> bytes:
    """The first bytes of every .npy file that is written here."""
    description = repr({"descr": dtype.str, "fortran_order": False, "shape": shape}).encode("latin1")
    prefix = b"\x93NUMPY\x01\x00" + (HEADER_BYTES - 10).to_bytes(2, "little")
    return prefix + description.ljust(HEADER_BYTES - len(prefix) - 1) + b"\n"


def row_bytes(dtype: Any, row_shape: tuple[int, ...]) -> int:
    """Bytes of one row."""
    return np.dtype(dtype).itemsize * int(np.prod(row_shape, dtype=np.int64))


class GrowingArray:
    """A writer of a .npy file of `dtype` [rows, *row_shape].

    With `rows` it continues an existing file: that many rows are kept, the rest is cut off. The header is valid only
    after `close`.
    """

    def __init__(self, path: Path, dtype: Any, row_shape: tuple[int, ...] = (), rows: int | None = None) -> None:
        self.dtype, self.row_shape, self.rows = np.dtype(dtype), row_shape, rows or 0
        self._file = open(path, "wb" if rows is None else "r+b", buffering=1 << 20)  # noqa: SIM115 (closed by close)
        if rows is None:
            self._file.write(b"\0" * HEADER_BYTES)
        else:
            self._file.truncate(HEADER_BYTES + rows * self.row_bytes)
            self._file.seek(0, os.SEEK_END)

    @property
    def row_bytes(self) -> int:
        return row_bytes(self.dtype, self.row_shape)

    def append(self, rows: Any) -> None:
        """Append rows [n, *row_shape]."""
        array = np.ascontiguousarray(rows, dtype=self.dtype).reshape(-1, *self.row_shape)
        self._file.write(array.tobytes())
        self.rows += len(array)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """Write the header, with the number of rows, and close the file."""
        self._file.seek(0)
        self._file.write(npy_header(self.dtype, (self.rows, *self.row_shape)))
        self._file.close()

    def release(self) -> None:
        """Close the file without finishing it; harmless after `close`."""
        # On a full disk this fails too, and the first error was raised already.
        with suppress(OSError):
            self._file.close()


class GrowingLists:
    """A writer of lists of int32.

    `<name>.npy` holds the values of all lists end to end. `<name>_offsets.npy`, int64 [lists + 1], holds where they begin
    and end.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.values = GrowingArray(folder / f"{name}.npy", np.int32)
        self.offsets = GrowingArray(folder / f"{name}_offsets.npy", np.int64)
        self.offsets.append([0])

    def append(self, values: Any) -> None:
        self.values.append(values)
        self.offsets.append([self.values.rows])

    def extend(self, lists: Sequence[np.ndarray]) -> None:
        """Append each list of a sequence that is not empty."""
        ends = np.cumsum([len(values) for values in lists], dtype=np.int64)
        self.offsets.append(self.values.rows + ends)
        self.values.append(np.concatenate(lists))

    def close(self) -> None:
        self.values.close()
        self.offsets.close()

    def release(self) -> None:
        self.values.release()
        self.offsets.release()


class GrowingTable:
    """A writer of a Parquet file in row groups of `group` rows."""

    def __init__(self, path: Path, schema: dict[str, Any], group: int = ROW_GROUP) -> None:
        self.rows = 0
        self._schema = pa.schema(list(schema.items()))
        self._file = open(path, "wb")  # noqa: SIM115 (closed by close)
        self._writer = pq.ParquetWriter(self._file, self._schema)
        self._group = group
        self._buffer: list[tuple[Any, ...]] = []

    def append(self, *row: Any) -> None:
        self._buffer.append(row)
        self.rows += 1
        if len(self._buffer) == self._group:
            self._write()

    def close(self) -> None:
        if self._buffer or not self.rows:
            self._write()
        self._writer.close()
        self._file.close()

    def release(self) -> None:
        with suppress(OSError, ValueError):
            self._writer.close()
        with suppress(OSError):
            self._file.close()

    def _write(self) -> None:
        columns = list(zip(*self._buffer, strict=True)) or [() for _ in self._schema]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._buffer = []
