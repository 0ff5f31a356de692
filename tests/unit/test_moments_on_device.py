"""Reductions by PyTorch, held against NumPy's: any shape, sharding, centering and type of logits."""

import dask
import numpy as np
import pytest
import torch
import xarray as xr

from neuraldeps import moments
from neuraldeps.errors import StoreError
from neuraldeps.logits.store import LogitsFile
from neuraldeps.moments import reduce_second_moment, second_moment
from neuraldeps.stability.halves import half_moments
from neuraldeps.stores import open_store, provenance, write_store
from tests.unit.devices import EVERY_DEVICE
from tests.unit.test_moments import write_logits

MASKED = [3, 17]


def write(path, values, rows=64, dtype=np.float32, masked=()):
    """Logits of any type; masked categories hold the least float, as imports write them."""
    values = values.astype(dtype)
    for category in masked:
        values[:, category] = np.finfo(np.float32).min
    attrs = provenance("test", "logits", config={"path": str(path)})
    store = xr.Dataset(
        {"logits": (("sample", "category"), values)},
        coords={"category": np.arange(values.shape[1], dtype=np.int32)},
        attrs=attrs | ({"masked_categories": list(masked)} if masked else {}),
    )
    write_store(store, path, shards={"logits": (rows, values.shape[1])})
    return str(path)


KINDS = {
    "float32": {},
    "masked": {"masked": MASKED},
    "integers": {"dtype": np.int16},
    "little shards": {"rows": 23},
}


@pytest.fixture(scope="module", params=list(KINDS))
def logits(request, tmp_path_factory):
    """Two networks' logits, with what may be in them."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("logits")
    values = [rng.standard_normal((300, 30)) * 10.0 ** rng.uniform(-2, 2, 30) + 1 for _ in "fg"]
    return [
        write(folder / f"{name}.zarr", one, **KINDS[request.param])
        for name, one in zip("fg", values, strict=True)
    ]


def assert_close(found, expected, left, right):
    """Within 1e-12 of the root of the product of both categories' own second moments."""
    scale = np.sqrt(np.outer(left, right))
    assert np.isfinite(found).all()
    assert (np.abs(found - expected) <= 1e-12 * scale).all()


@EVERY_DEVICE
@pytest.mark.parametrize(("centering", "block"), [("none", 4096), ("none", 8), ("per_image", 8)])
def test_the_moments_are_numpys(logits, centering, block, device, monkeypatch):
    if centering == "per_image" and "masked_categories" in open_store(logits[0]).attrs:
        pytest.skip("refused: masked logits dominate the mean")
    monkeypatch.setattr(moments, "BLOCK", block)
    powers = [
        np.diagonal(reduce_second_moment(path, path, centering, ("f", "f")).second_moment)
        for path in logits
    ]
    for path in logits, [logits[0], logits[0]]:
        expected = reduce_second_moment(*path, centering, ("f", "g"))
        found = reduce_second_moment(*path, centering, ("f", "g"), device=device)
        second = powers[1] if path[1] == logits[1] else powers[0]
        assert_close(found.second_moment.values, expected.second_moment.values, powers[0], second)
        for side in "source_mean", "target_mean":
            np.testing.assert_allclose(found[side], expected[side], rtol=1e-12, atol=1e-14)
        assert found.attrs == expected.attrs  # a device is no part of where numbers come from
        assert found.second_moment.dtype == np.float64
    np.testing.assert_array_equal(found.second_moment, found.second_moment.T)


@EVERY_DEVICE
def test_halves_are_numpys(logits, device):
    for path in logits, [logits[0], logits[0]]:
        files = [LogitsFile(one) for one in path]
        pairs = zip(
            half_moments(*files, 2, seed=3),
            half_moments(*files, 2, seed=3, device=device),
            strict=True,
        )
        for expected, found in pairs:
            power = np.diagonal(expected.second_moment)
            assert_close(found.second_moment, expected.second_moment, power, power)
            np.testing.assert_array_equal(found.second_moment, found.second_moment.T)
            if path[0] == path[1]:
                assert found.cross_moment is None
                continue
            theirs = expected.target_second_moment
            np.testing.assert_allclose(found.target_second_moment, theirs, rtol=1e-12)
            assert_close(found.cross_moment, expected.cross_moment, power, theirs)


@EVERY_DEVICE
def test_no_number_of_threads_changes_a_byte(tmp_path, device):
    """Neither Dask's nor PyTorch's: so much is added up that a library would share it out."""
    rng = np.random.default_rng(0)
    files = [
        LogitsFile(write_logits(tmp_path / f"{n}.zarr", rng.standard_normal((6000, 90)), rows=700))
        for n in "fg"
    ]
    before, found = torch.get_num_threads(), []
    try:
        for torch_threads, workers in (1, 1), (2, 1), (4, 5):
            torch.set_num_threads(torch_threads)
            how = {"scheduler": "threads", "num_workers": workers}
            with dask.config.set(how if workers > 1 else {"scheduler": "sync"}):
                found.append(second_moment(*files, threads=workers, device=device))
            halves = list(half_moments(*files, 1, seed=0, device=device))
            found[-1] = [*vars(found[-1]).values(), *halves[0], *halves[1]]
            assert torch.get_num_threads() == torch_threads
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            assert np.asarray(one).tobytes() == np.asarray(same).tobytes()


@EVERY_DEVICE
def test_damage_is_found_as_numpy_finds_it(tmp_path, device):
    values = np.random.default_rng(0).standard_normal((200, 30))
    file = LogitsFile(write_logits(tmp_path / "f.zarr", values))
    shard = tmp_path / "f.zarr/logits/c/2/0"
    data = bytearray(shard.read_bytes())
    data[20] ^= 1
    shard.write_bytes(data)
    with pytest.raises(StoreError, match=r"the checksum of logits/c/2/0 does not match"):
        second_moment(file, file, device=device)
    shard.unlink()
    with pytest.raises(StoreError, match=r"logits/c/2/0 is missing"):
        second_moment(file, file, device=device)
