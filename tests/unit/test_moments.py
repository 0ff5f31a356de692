"""Second moments against NumPy, and the same bytes whatever computes them."""

import tempfile
import time
import weakref
from collections import Counter
from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from neuraldeps import moments
from neuraldeps.errors import StoreError
from neuraldeps.logits.store import LogitsFile
from neuraldeps.moments import reduce_second_moment, second_moment
from neuraldeps.stores import provenance, strings, write_store


def write_logits(path, logits, codes=None, rows=64):
    codes = codes or [f"U+{i:04X}" for i in range(logits.shape[1])]
    dataset = xr.Dataset(
        {"logits": (("sample", "category"), logits.astype(np.float32))},
        coords={
            "category": np.arange(logits.shape[1], dtype=np.int32),
            "category_code": ("category", strings(codes)),
            "path": ("sample", strings([str(i) for i in range(len(logits))])),
        },
        attrs=provenance("test", "logits", config={"path": str(path)}),
    )
    write_store(dataset, path, shards={"logits": (rows, logits.shape[1])})
    return str(path)


@pytest.fixture
def logits(tmp_path):
    rng = np.random.default_rng(0)
    values = [rng.standard_normal((1000, 30)) * 3 + 1 for _ in "fg"]
    return [
        write_logits(tmp_path / f"{name}.zarr", v) for name, v in zip("fg", values, strict=True)
    ]


def values_of(path):
    return xr.open_zarr(path)["logits"].values.astype(np.float64)


@pytest.mark.parametrize("centering", ["none", "per_image"])
def test_equals_numpy(logits, centering):
    f, g = (values_of(path) for path in logits)
    if centering == "per_image":
        f, g = (x - x.mean(1, keepdims=True) for x in (f, g))
    between = reduce_second_moment(*logits, centering, ("f", "g"))
    # sums of 1000 products of order 10 in float64
    np.testing.assert_allclose(between.second_moment.values, f.T @ g / 1000, rtol=0, atol=1e-12)
    np.testing.assert_allclose(between.source_mean.values, f.mean(0), rtol=0, atol=1e-13)
    np.testing.assert_allclose(between.target_mean.values, g.mean(0), rtol=0, atol=1e-13)
    within = reduce_second_moment(logits[0], logits[0], centering, ("f", "f"))
    np.testing.assert_array_equal(within.second_moment.values, within.second_moment.values.T)
    np.testing.assert_allclose(within.second_moment.values, f.T @ f / 1000, rtol=0, atol=1e-12)


def test_category_blocks_change_nothing_but_rounding(logits, monkeypatch):
    files = [LogitsFile(path) for path in logits]
    whole = second_moment(*files), second_moment(files[0], files[0])
    monkeypatch.setattr(moments, "BLOCK", 7)
    blocked = second_moment(*files), second_moment(files[0], files[0])
    for a, b in zip(whole, blocked, strict=True):
        np.testing.assert_allclose(a.second_moment, b.second_moment, rtol=0, atol=1e-12)


@pytest.mark.parametrize("how", [{"scheduler": "sync"}, {"scheduler": "threads", "num_workers": 7}])
def test_same_bytes_for_any_scheduler(logits, how):
    files = [LogitsFile(path) for path in logits]
    with threadpool_limits(1, "blas"):
        reference = second_moment(*files)
        with dask.config.set(how):
            again = second_moment(*files)
    assert reference.second_moment.tobytes() == again.second_moment.tobytes()


def test_few_rows_are_in_memory_whatever_the_number_of_images(tmp_path, monkeypatch):
    values = np.random.default_rng(0).standard_normal((1000, 30))
    files = [LogitsFile(write_logits(tmp_path / f"{n}.zarr", values, rows=10)) for n in "fg"]
    alive, most = Counter(), []

    def load(*args):
        blocks = plain_load(*args)
        for block in blocks:
            alive["blocks"] += 1
            weakref.finalize(block, alive.subtract, ["blocks"])
        most.append(alive["blocks"] / len(blocks))
        return blocks

    plain_load, plain_accumulate = moments._load, moments._accumulate

    def accumulate(*args):
        time.sleep(1e-3)  # reading is faster than adding: there is time to read far ahead
        return plain_accumulate(*args)

    monkeypatch.setattr(moments, "_load", load)
    monkeypatch.setattr(moments, "_accumulate", accumulate)
    monkeypatch.setattr(moments, "BLOCK", 8)
    with dask.config.set(scheduler="threads", num_workers=2):
        second_moment(*files, threads=2)
    assert len(most) == 2 * 100
    assert max(most) <= 2 * (2 + 1)  # both sides; one step may be on its way out


def test_steps_of_several_shards_change_nothing_but_rounding(logits, monkeypatch):
    files = [LogitsFile(path) for path in logits]
    whole = second_moment(*files)
    monkeypatch.setattr(moments, "STEPS", 3)
    stepped = second_moment(*files)
    np.testing.assert_allclose(stepped.second_moment, whole.second_moment, rtol=0, atol=1e-12)
    np.testing.assert_allclose(stepped.source_mean, whole.source_mean, rtol=0, atol=1e-13)


def test_refuses_partners_that_differ(tmp_path, logits):
    f = values_of(logits[0])
    fewer = write_logits(tmp_path / "fewer.zarr", f[:, :29])
    with pytest.raises(StoreError, match=r"29 values along category where .*f\.zarr has 30"):
        reduce_second_moment(logits[0], fewer, "none", ("f", "fewer"))
    codes = [f"U+{i:04X}" for i in range(30)]
    swapped = write_logits(tmp_path / "swapped.zarr", f, codes=[*codes[:28], codes[29], codes[28]])
    with pytest.raises(StoreError, match=r"category 28 is U\+001D where .* has U\+001C"):
        reduce_second_moment(logits[0], swapped, "none", ("f", "swapped"))


def test_refuses_a_missing_shard_and_a_flipped_byte(logits):
    from pathlib import Path

    shard = Path(logits[0]) / "logits/c/3/0"
    data = bytearray(shard.read_bytes())
    data[20] ^= 1
    shard.write_bytes(data)
    with pytest.raises(StoreError, match="checksum of logits/c/3/0 does not match"):
        second_moment(LogitsFile(logits[0]), LogitsFile(logits[0]))
    shard.unlink()
    with pytest.raises(StoreError, match="logits/c/3/0 is missing"):
        second_moment(LogitsFile(logits[0]), LogitsFile(logits[0]))


def test_what_another_process_sends_is_summed_to_the_same_bytes():
    """A worker's arrays may begin at any byte: NumPy takes another routine for them."""
    own = np.random.default_rng(0).standard_normal((64, 300)) * 3 + 1
    sent = np.frombuffer(bytes(1) + own.tobytes(), offset=1).reshape(own.shape)
    assert not sent.flags.aligned
    for right in None, own[:, ::-1].copy():
        expected = moments._accumulate(None, own, right, False)
        np.testing.assert_array_equal(moments._accumulate(None, sent, right, False), expected)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    n_samples=st.integers(1, 90),
    widths=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    shard=st.sampled_from([1, 4, 16, 64]),
    block=st.integers(1, 9),
    workers=st.integers(1, 5),
    is_within=st.booleans(),
    centering=st.sampled_from(["none", "per_image"]),
    seed=st.integers(0, 2**31),
)
def test_any_shape_sharding_and_blocks_give_numpys_moments_and_the_same_bytes(
    n_samples, widths, shard, block, workers, is_within, centering, seed
):
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        f, g = (rng.normal(1, 3, (n_samples, width)).astype(np.float32) for width in widths)
        paths = [
            write_logits(Path(folder) / f"{name}.zarr", values, rows=shard)
            for name, values in (("f", f), ("g", g))
        ]
        source, target = (LogitsFile(path, centering) for path in paths)
        target = source if is_within else target
        f, g = f.astype(float), (f if is_within else g).astype(float)
        if centering == "per_image":
            f, g = (one - one.mean(axis=1, keepdims=True) for one in (f, g))
        patch.setattr(moments, "BLOCK", block)
        with threadpool_limits(1, "blas"):
            with dask.config.set(scheduler="sync"):
                found = second_moment(source, target, threads=1)
            with dask.config.set(scheduler="threads", num_workers=workers):
                again = second_moment(source, target, threads=workers)
        scale = np.sqrt(np.outer((f**2).mean(axis=0), (g**2).mean(axis=0))).max(initial=1)
        np.testing.assert_allclose(
            found.second_moment, f.T @ g / n_samples, rtol=0, atol=1e-13 * n_samples * scale
        )
        np.testing.assert_allclose(found.source_mean, f.mean(axis=0), rtol=0, atol=1e-11)
        np.testing.assert_allclose(found.target_mean, g.mean(axis=0), rtol=0, atol=1e-11)
        assert found.n_samples == n_samples
        assert again.second_moment.tobytes() == found.second_moment.tobytes()
        if is_within:
            np.testing.assert_array_equal(found.second_moment, found.second_moment.T)
