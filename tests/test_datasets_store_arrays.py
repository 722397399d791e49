"""Arrays and tables that grow on disk."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semantic.datasets.store.arrays import GrowingArray, GrowingLists, GrowingTable


@pytest.mark.parametrize(("dtype", "row_shape"), [(np.uint8, (3, 5)), (np.int64, (2,)), (np.bool_, ()), (np.int32, ())])
@pytest.mark.parametrize("pieces", [[], [7], [2, 0, 3]])
def test_numpy_opens_what_grew(tmp_path: Path, dtype: type, row_shape: tuple[int, ...], pieces: list[int]) -> None:
    drawn: np.ndarray = np.random.default_rng(0).integers(0, 2, (sum(pieces), *row_shape)).astype(dtype)
    growing = GrowingArray(tmp_path / "a.npy", dtype, row_shape)
    for piece in np.split(drawn, np.cumsum(pieces)[:-1]) if pieces else []:
        growing.append(piece)
    growing.close()
    for mode in (None, "r"):
        read = np.load(tmp_path / "a.npy", mmap_mode=mode, allow_pickle=False)
        assert read.dtype == dtype
        assert np.array_equal(read, drawn)


def test_an_array_goes_on_after_the_rows_that_are_kept(tmp_path: Path) -> None:
    first = GrowingArray(tmp_path / "a.npy", np.int32, (3,))
    first.append(np.arange(15).reshape(5, 3))
    first.release()
    second = GrowingArray(tmp_path / "a.npy", np.int32, (3,), rows=2)
    second.append([[7, 7, 7]])
    second.close()
    assert np.load(tmp_path / "a.npy").tolist() == [[0, 1, 2], [3, 4, 5], [7, 7, 7]]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(lists=st.lists(st.lists(st.integers(0, 2**31 - 1), max_size=7), max_size=11), alone=st.integers(0, 11))
def test_lists_are_values_and_offsets(tmp_path: Path, lists: list[list[int]], alone: int) -> None:
    growing = GrowingLists(tmp_path, "x")
    for values in lists[:alone]:
        growing.append(values)
    if lists[alone:]:
        growing.extend([np.array(values, np.int32) for values in lists[alone:]])
    growing.close()
    values, offsets = np.load(tmp_path / "x.npy"), np.load(tmp_path / "x_offsets.npy")
    assert (values.dtype, offsets.dtype, len(offsets)) == (np.int32, np.int64, len(lists) + 1)
    assert [values[offsets[row] : offsets[row + 1]].tolist() for row in range(len(lists))] == lists


@pytest.mark.parametrize(("rows", "groups"), [(0, [0]), (1, [1]), (3, [3]), (7, [3, 3, 1])])
def test_a_table_is_written_in_groups(tmp_path: Path, rows: int, groups: list[int]) -> None:
    growing = GrowingTable(tmp_path / "t.parquet", {"name": pa.string(), "size": pa.int64()}, group=3)
    for row in range(rows):
        growing.append(str(row), row * row)
    growing.close()
    table = pq.read_table(tmp_path / "t.parquet")
    assert table.to_pydict() == {"name": [str(row) for row in range(rows)], "size": [row * row for row in range(rows)]}
    metadata = pq.read_metadata(tmp_path / "t.parquet")
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == groups
