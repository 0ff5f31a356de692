"""Control networks' logits: what they share with the network's own, and the same bytes for any shards."""

import numpy as np
import pytest
import xarray as xr

from neuraldeps.controls.logits import make_control_logits
from neuraldeps.controls.planting import plan
from neuraldeps.moments import reduce_second_moment
from neuraldeps.seeds import seed_of
from neuraldeps.stores import open_store, write_store
from tests.unit.test_moments import values_of, write_logits

ROWS, N, FEATURES = 6000, 30, 12


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("controls")
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((ROWS, FEATURES)) @ rng.standard_normal((FEATURES, N))
    path = write_logits(folder / "net.zarr", logits, rows=512)
    labelled = (
        open_store(path).load().assign_coords(label=("sample", np.arange(ROWS, dtype="int32") % N))
    )
    path = str(folder / "labelled.zarr")
    write_store(labelled, path, shards={"logits": (512, N)})
    moments = str(folder / "moments.zarr")
    write_store(
        reduce_second_moment(path, path, "none", ("net", "net")),
        moments,
        contiguous=["second_moment"],
    )
    return folder, path, moments


def made(network, kind, rows=512, split="test"):
    folder, path, moments = network
    out = str(folder / f"{kind}-{rows}-{split}.zarr")
    make_control_logits(path, moments, out, kind=kind, seed=7, split=split, rows=rows)
    return xr.open_zarr(out).load()


@pytest.mark.parametrize("kind", ["gaussian", "shuffled", "planted"])
def test_shards_change_no_logit(network, kind):
    some, others = (made(network, kind, rows)["logits"].values for rows in (256, 2048))
    np.testing.assert_array_equal(some, others)


def test_gaussian_logits_have_the_eigenvalues_and_no_labels(network):
    store = made(network, "gaussian")
    own = np.linalg.eigvalsh(xr.open_zarr(network[2])["second_moment"].values)[::-1]
    values = store["logits"].values.astype(float)
    theirs = np.linalg.eigvalsh(values.T @ values / ROWS)[::-1]
    np.testing.assert_allclose(theirs[:FEATURES], own[:FEATURES], rtol=0.2)  # 6000 draws
    assert np.abs(theirs[FEATURES:]).max() < 1e-6 * theirs[0]
    assert (store["label"] == -1).all()
    assert "path" not in store.coords
    other = made(network, "gaussian", split="fit")["logits"].values
    assert not np.array_equal(other, store["logits"].values)
    # the same directions: their rows span the same space
    both = np.concatenate([values, other])
    assert np.linalg.matrix_rank(both, tol=1e-3 * np.linalg.norm(both, 2)) == FEATURES


def test_shuffled_logits_are_the_same_images_in_another_order(network):
    store, own = made(network, "shuffled"), xr.open_zarr(network[1])
    np.testing.assert_array_equal(
        np.sort(store["logits"].values, axis=0), np.sort(own["logits"].values, axis=0)
    )
    assert (store["logits"].values == own["logits"].values).all(axis=1).mean() < 0.01
    # the order of the partner's images, which they are held against
    np.testing.assert_array_equal(store["path"].values, own["path"].values)
    np.testing.assert_array_equal(store["label"].values, own["label"].values)


def test_planted_logits_are_the_known_combinations(network):
    store = made(network, "planted")
    moment = xr.open_zarr(network[2])["second_moment"].values
    what = plan(moment, seed_of(7, "planted"))
    own = values_of(network[1])
    np.testing.assert_array_equal(store["logits"].values, (own @ what.transform).astype(np.float32))
    kept = np.setdiff1d(np.arange(N), what.planted)
    np.testing.assert_array_equal(store["logits"].values[:, kept], own[:, kept].astype(np.float32))
    assert len(what.planted) == 5
