"""The life of a store: bare xarray opens it without a warning, and it is whole or not there."""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from neuraldeps.errors import StoreError
from neuraldeps.stores import (
    ShardedArray,
    fingerprint,
    map_array,
    open_store,
    provenance,
    strings,
    to_be_written,
    write_store,
)

VALUES = np.random.default_rng(0).standard_normal((1000, 10)).astype(np.float32)


def template(**config):
    return xr.Dataset(
        {"logits": (("sample", "category"), to_be_written(VALUES.shape, "float32"))},
        coords={
            "category": np.arange(10, dtype=np.int32),
            "category_name": ("category", strings([f"caractère {i}" for i in range(10)])),
            "path": ("sample", strings([f"a/{i}.png" for i in range(1000)])),
        },
        attrs=provenance("test", "logits", config=config, seed=0),
    )


def sharded(path, **config):
    return ShardedArray(template(**config), "logits", path, rows=256)


def fill(store):
    store.begin()
    for shard in store.missing():
        store.write(shard, VALUES[slice(*store.bounds(shard))])


def contents(path):
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(Path(path).rglob("*"))
        if file.is_file()
    }


def test_bare_xarray_opens_it_without_a_warning(tmp_path):
    store = sharded(tmp_path / "a.zarr")
    fill(store)
    store.finish()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = xr.open_zarr(tmp_path / "a.zarr")
        np.testing.assert_array_equal(dataset["logits"].values, VALUES)
    assert dataset["logits"].dims == ("sample", "category")
    assert dataset["category_name"].values[3] == "caractère 3"
    assert dataset.attrs["seed"] == 0
    assert dataset.attrs["versions"]["zarr"]
    assert json.loads((tmp_path / "a.zarr/logits/zarr.json").read_text())["zarr_format"] == 3


def test_shards_of_any_number_of_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("neuraldeps.stores.store.CHUNK_BYTES", 64 * 4 * 10)
    store = ShardedArray(template(), "logits", tmp_path / "a.zarr", rows=250)
    fill(store)
    store.finish()
    array = zarr.open_array(tmp_path / "a.zarr/logits", mode="r")
    assert (array.shards, array.chunks) == ((250, 10), (50, 10))
    np.testing.assert_array_equal(array[:], VALUES)


def test_work_that_is_swept_before_it_is_opened_is_begun_again(tmp_path, monkeypatch):
    """By another job that publishes in the same folder: a folder without a lock is nobody's."""
    opened, swept = os.open, []

    def open_late(path, *arguments, **options):
        if str(path).endswith(".partial") and not swept:
            swept.append(path)
            Path(path).rmdir()
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", open_late)
    write_store(template().compute(), tmp_path / "store.zarr")
    assert swept
    assert open_store(tmp_path / "store.zarr").sizes["sample"] == 1000


def test_a_damaged_shard_is_replaced_by_who_writes_it_again(tmp_path):
    store = sharded(tmp_path / "store.zarr")
    store.begin()
    store.write(0, VALUES[:256])
    content = bytearray(store._file(0).read_bytes())
    for at in (0, len(content) // 2, len(content) - 1):
        content[at] ^= 1
        store._file(0).write_bytes(content)
        store.write(0, VALUES[:256])
    for shard in store.missing():
        store.write(shard, VALUES[slice(*store.bounds(shard))])
    store.finish()
    np.testing.assert_array_equal(open_store(store.path)["logits"].values, VALUES)


def test_a_store_whose_metadata_cannot_be_read_is_another_one(tmp_path):
    write_store(template().compute(), tmp_path / "store.zarr")
    (tmp_path / "store.zarr/zarr.json").write_text("{")
    store = sharded(tmp_path / "store.zarr")
    assert not store.is_published()
    store.begin()
    for shard in store.missing():
        store.write(shard, VALUES[slice(*store.bounds(shard))])
    with pytest.raises(
        StoreError, match="a store with different content is already there; remove it"
    ):
        store.finish()


def test_other_shards_begin_anew(tmp_path):
    begun = sharded(tmp_path / "a.zarr")
    begun.begin()
    begun.write(0, VALUES[:256])
    other = ShardedArray(template(), "logits", tmp_path / "a.zarr", rows=100)
    assert other.missing() == list(range(10))
    fill(other)
    other.finish()
    np.testing.assert_array_equal(xr.open_zarr(tmp_path / "a.zarr")["logits"].values, VALUES)


def test_nothing_stands_at_the_path_before_the_end(tmp_path):
    store = sharded(tmp_path / "a.zarr")
    store.begin()
    store.write(0, VALUES[:256])
    assert not (tmp_path / "a.zarr").exists()
    assert store.missing() == [1, 2, 3]
    with pytest.raises(StoreError, match=r"shards \[1, 2, 3\] are missing"):
        store.finish()
    assert not (tmp_path / "a.zarr").exists()


def test_resumes_to_the_same_bytes(tmp_path):
    whole, broken = sharded(tmp_path / "whole.zarr"), sharded(tmp_path / "broken.zarr")
    fill(whole)
    whole.finish()
    broken.begin()
    broken.write(2, VALUES[512:768])
    again = sharded(tmp_path / "broken.zarr")
    assert again.missing() == [0, 1, 3]
    fill(again)
    again.finish()
    assert contents(tmp_path / "whole.zarr") == contents(tmp_path / "broken.zarr")
    assert sorted(os.listdir(tmp_path)) == ["broken.zarr", "whole.zarr"]


def test_survives_kill_9(tmp_path):
    code = f"""
        import sys, numpy as np
        sys.path.insert(0, {str(Path(__file__).parents[3])!r})
        from tests.unit.stores.test_stores import VALUES, sharded
        store = sharded({str(tmp_path / "a.zarr")!r})
        store.begin()
        store.write(0, VALUES[:256])
        print("begun", flush=True)
        while True:
            store.write(1, VALUES[256:512])
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    store = sharded(tmp_path / "a.zarr")
    assert 0 not in store.missing()
    fill(store)
    store.finish()
    np.testing.assert_array_equal(open_store(tmp_path / "a.zarr")["logits"].values, VALUES)


def test_another_configuration_does_not_resume(tmp_path):
    store = sharded(tmp_path / "a.zarr", amp=False)
    fill(store)
    assert sharded(tmp_path / "a.zarr", amp=True).missing() == [0, 1, 2, 3]


def test_twins_that_write_at_once_lose_nothing(tmp_path):
    first, second = sharded(tmp_path / "a.zarr"), sharded(tmp_path / "a.zarr")
    fill(first)
    second.begin()
    second.write(1, VALUES[256:512])
    first.finish()
    assert second.missing() == []
    second.write(3, VALUES[768:])
    second.finish()
    np.testing.assert_array_equal(open_store(tmp_path / "a.zarr")["logits"].values, VALUES)
    assert os.listdir(tmp_path) == ["a.zarr"]


@pytest.mark.filterwarnings("error")  # of a thread that fails, too
def test_twins_may_publish_at_once(tmp_path, monkeypatch):
    """One stops before a rename, the other begins and stops anywhere, the first ends, then the other."""
    filled, path = tmp_path / "filled", tmp_path / "a.zarr"
    fill(sharded(path))
    sharded(path).work.rename(filled)

    def publish(stop_first=None, stop_second=None):
        """What is published at last, and how many moments there were to stop at."""
        shutil.copytree(filled, sharded(path).work)
        moments = {"first": 0, "second": 0}
        stopped = threading.Event()
        go_on = threading.Event()

        def finish():
            try:
                sharded(path).finish()
            finally:
                stopped.set()

        second = threading.Thread(target=finish, name="second")

        def at_a_moment(real, *arguments, **options):
            thread = threading.current_thread().name
            if thread == "second" or (thread == "first" and real.__name__ == "rename"):
                moments[thread] += 1
                if (thread, moments[thread]) == ("first", stop_first):
                    second.start()
                    stopped.wait()
                elif (thread, moments[thread]) == ("second", stop_second):
                    stopped.set()
                    go_on.wait()
            return real(*arguments, **options)

        with monkeypatch.context() as patch:
            for name in ("rename", "fsync", "scandir", "unlink"):
                patch.setattr(os, name, functools.partial(at_a_moment, getattr(os, name)))
            first = threading.Thread(target=sharded(path).finish, name="first")
            first.start()
            first.join()
            go_on.set()
            if second.ident:
                second.join()
        published = contents(path)
        assert os.listdir(tmp_path) == ["filled", "a.zarr"]
        shutil.rmtree(path)
        return published, moments["first"], moments["second"]

    expected, renames, _ = publish()
    assert renames
    for stop_first in range(1, renames + 1):
        *_, moments = publish(stop_first)
        for stop_second in range(1, moments + 1):
            assert publish(stop_first, stop_second)[0] == expected, (stop_first, stop_second)


def test_a_flipped_byte_is_an_error_and_not_a_number(tmp_path):
    store = sharded(tmp_path / "a.zarr")
    fill(store)
    shard = store.work / "logits/c/1/0"
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(data)
    with pytest.raises(StoreError, match=r"shard 1 .* it was removed, run again to write it"):
        store.finish()
    assert store.missing() == [1]


def test_refuses_values_that_are_not_finite(tmp_path):
    store = sharded(tmp_path / "a.zarr")
    store.begin()
    values = VALUES[256:512].copy()
    values[7, 3] = np.nan
    with pytest.raises(StoreError, match="logits of row 263 is not finite"):
        store.write(1, values)
    with pytest.raises(StoreError, match=r"have shape \(255, 10\), expected \(256, 10\)"):
        store.write(1, VALUES[:255])


def dataset(value=0.0):
    return xr.Dataset({"m": (("a", "b"), VALUES[:10] + value)}, attrs=provenance("test", "m"))


def test_write_store_is_whole_or_not_there_and_never_replaces_another(tmp_path):
    write_store(dataset(), tmp_path / "m.zarr")
    before = contents(tmp_path / "m.zarr")
    write_store(dataset(), tmp_path / "m.zarr")
    assert contents(tmp_path / "m.zarr") == before
    with pytest.raises(StoreError, match="a store with different content"):
        write_store(dataset(1.0), tmp_path / "m.zarr")
    assert contents(tmp_path / "m.zarr") == before
    assert os.listdir(tmp_path) == ["m.zarr"]
    with pytest.raises(ValueError, match="cannot serialize"):
        write_store(dataset().assign(bad=("a", [object()] * 10)), tmp_path / "bad.zarr")
    assert os.listdir(tmp_path) == ["m.zarr"]


def test_map_array_reads_what_was_written_and_checks_it(tmp_path):
    path = tmp_path / "m.zarr"
    write_store(dataset(), path, contiguous=["m"])
    mapped = map_array(path, "m")
    assert isinstance(mapped, np.memmap)
    assert not mapped.flags.writeable
    np.testing.assert_array_equal(mapped, open_store(path)["m"].values)
    file = path / "m/c/0/0"
    data = bytearray(file.read_bytes())
    data[5] ^= 1
    file.write_bytes(data)
    with pytest.raises(StoreError, match="checksum"):
        map_array(path, "m")
    write_store(dataset(), tmp_path / "compressed.zarr")
    with pytest.raises(StoreError, match="not one plain chunk"):
        map_array(tmp_path / "compressed.zarr", "m")


def test_a_contiguous_array_is_written_without_a_copy_of_it(tmp_path):
    large = xr.Dataset({"m": (("a", "b"), np.ones((2048, 2048)))}, attrs=provenance("test", "m"))
    tracemalloc.start()
    write_store(large, tmp_path / "m.zarr", contiguous=["m"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < large["m"].nbytes / 2
    np.testing.assert_array_equal(map_array(tmp_path / "m.zarr", "m"), large["m"].values)


def test_fingerprint_tells_configurations_and_sources_apart(tmp_path):
    base = provenance("test", "m", config={"a": 1}, sources={"x": "0"})
    assert base == provenance("test", "m", config={"a": 1}, sources={"x": "0"})
    for other in (
        provenance("test", "m", config={"a": 2}, sources={"x": "0"}),
        provenance("test", "m", config={"a": 1}, sources={"x": "1"}),
        provenance("test", "m", config={"a": 1}, sources={"x": "0"}, seed=1),
    ):
        assert other["fingerprint"] != base["fingerprint"]
    with pytest.raises(StoreError, match=r"nowhere\.zarr: cannot be opened"):
        fingerprint(tmp_path / "nowhere.zarr")


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 12)),
    dtype=st.sampled_from(["float32", "float64", "int32", "int64", "uint8", "bool"]),
    shard=st.integers(1, 40),
    is_contiguous=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_any_array_comes_back_as_it_was(shape, dtype, shard, is_contiguous, seed):
    rng = np.random.default_rng(seed)
    values = (rng.normal(0, 100, shape)).astype(dtype)
    names = strings([f"né {i} 字" for i in range(shape[0])])
    dataset = xr.Dataset(
        {"values": (("row", "column"), values)},
        coords={"name": ("row", names)},
        attrs=provenance("test", "values", config={"seed": seed}),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.zarr"
        how = {"shards": {"values": (min(shard, shape[0]), shape[1])}}
        write_store(dataset, path, **({"contiguous": ["values"]} if is_contiguous else how))
        found = open_store(path).load()
        np.testing.assert_array_equal(found["values"].values, values)
        assert found["values"].dtype == dtype
        assert found["name"].values.tolist() == names.tolist()
        if is_contiguous:
            np.testing.assert_array_equal(map_array(path, "values"), values)
        assert [one.name for one in Path(folder).iterdir()] == ["store.zarr"]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    n_rows=st.integers(1, 50),
    rows=st.integers(1, 60),
    order=st.randoms(use_true_random=False),
    stopped=st.floats(0, 1),
)
def test_shards_in_any_order_by_two_writers_make_the_same_store(n_rows, rows, order, stopped):
    """One stops somewhere; the other writes what is missing."""
    values = np.arange(3 * n_rows, dtype=np.float32).reshape(n_rows, 3)
    template = xr.Dataset(
        {"values": (("row", "column"), to_be_written(values.shape, np.float32))},
        attrs=provenance("test", "values", config={}),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.zarr"
        first, second = (ShardedArray(template, "values", path, rows) for _ in range(2))
        first.begin()
        shards = first.missing()
        assert shards == list(range(-(-n_rows // rows)))
        order.shuffle(shards)
        for shard in shards[: int(stopped * len(shards))]:
            first.write(shard, values[slice(*first.bounds(shard))])
        second.begin()
        left = second.missing()
        order.shuffle(left)
        for shard in left:
            second.write(shard, values[slice(*second.bounds(shard))])
        second.finish()
        np.testing.assert_array_equal(open_store(path)["values"].values, values)
        assert second.missing() == []
