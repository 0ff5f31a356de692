import filecmp
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch
import xarray as xr
import zarr
from timm.data import resolve_model_data_config
from torch.utils.data import DataLoader

from neuraldeps.errors import InputError, StoreError
from neuraldeps.images.glyphs import data_config
from neuraldeps.images.stored import StoredImages
from neuraldeps.logits.external import (
    Column,
    copy_logits,
    describe_logits,
    open_logits,
    read_labels,
)
from neuraldeps.logits.extraction import extract_logits
from neuraldeps.logits.store import lay_out_logits
from neuraldeps.networks.build import build_network
from neuraldeps.stores import provenance, strings, write_store
from tests.options import extraction_options

N, SIZE, N_CATEGORIES, ROWS = 300, 32, 7, 64
OPTIONS = extraction_options(batch_size=24, device="cpu")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("images") / "test.zarr")
    rng = np.random.default_rng(0)
    category = np.arange(N_CATEGORIES, dtype=np.int32)
    dataset = xr.Dataset(
        {"image": (("sample", "y", "x"), rng.integers(0, 256, (N, SIZE, SIZE), np.uint8))},
        {
            "label": ("sample", rng.integers(0, N_CATEGORIES, N).astype(np.int32)),
            "path": ("sample", strings(f"image/{i}" for i in range(N))),
            "category": category,
            "category_name": ("category", strings(f"name {i}" for i in category)),
            "category_code": ("category", strings(f"U+{i}" for i in category)),
        },
        provenance("test", "images"),
    )
    write_store(dataset, path, {"image": (128, SIZE, SIZE)})
    return StoredImages(path)


def network(architecture="test_resnet"):
    return build_network(
        "n", {"architecture": architecture}, N_CATEGORIES, data_config(SIZE), seed=0
    )


def layout(images, path, rows=ROWS):
    return lay_out_logits(
        str(path), images.coords, made_by="test", config={}, sources={"images": "0"}, rows=rows
    )


def assert_same_store(one, other):
    comparison = filecmp.dircmp(one, other)
    assert not comparison.left_only
    assert not comparison.right_only
    assert not filecmp.cmpfiles(one, other, comparison.common_files, shallow=False)[1]
    for folder in comparison.common_dirs:
        assert_same_store(f"{one}/{folder}", f"{other}/{folder}")


@pytest.fixture
def whole(images, tmp_path):
    store = layout(images, tmp_path / "whole.zarr")
    extract_logits(network(), images, store, OPTIONS)
    store.finish()
    return tmp_path / "whole.zarr"


def test_logits_are_those_of_a_plain_timm_loop(images, whole):
    own = network()
    config = resolve_model_data_config(own)
    pixels = torch.cat([torch.from_numpy(batch) for batch in images.batches(0, N, 50)])
    mean, std = (torch.tensor(config[name])[:, None, None] for name in ("mean", "std"))
    loader = DataLoader([(image.float() / 255 - mean) / std for image in pixels], 50)
    with torch.inference_mode():
        expected = torch.cat([own(batch) for batch in loader]).numpy()
    with xr.open_zarr(whole) as store:
        # float32 in another memory format and batch size
        np.testing.assert_allclose(store["logits"].values, expected, atol=2e-5, rtol=1e-4)


@pytest.mark.filterwarnings("error")
def test_the_store_says_what_it_is(images, whole):
    store = xr.open_zarr(whole)
    assert store["logits"].dims == ("sample", "category")
    assert store["logits"].dtype == np.float32
    assert store["logits"].attrs["units"] == "logit"
    for name, values in images.coords.coords.items():
        assert (store[name].values == values.values).all(), name
    assert store.attrs["versions"]["timm"]


def test_batches_read_every_image_once_whatever_their_size(images):
    whole = np.concatenate(list(images.batches(0, N, 1000)))
    assert whole.shape == (N, 1, SIZE, SIZE)
    for size in 1, 24, 128, 200:
        batches = list(images.batches(40, 290, size))
        assert {len(batch) for batch in batches[:-1]} <= {size}
        np.testing.assert_array_equal(np.concatenate(batches), whole[40:290])


def test_resuming_at_a_missing_shard_gives_the_same_bytes(images, whole, tmp_path):
    store = layout(images, tmp_path / "resumed.zarr")
    extract_logits(network(), images, store, OPTIONS)
    for shard in 1, 4:
        (store.work / f"logits/c/{shard}/0").unlink()
    assert store.missing() == [1, 4]
    with pytest.raises(StoreError, match=r"shards \[1, 4\] are missing"):
        store.finish()
    kept = (store.work / "logits/c/0/0").stat().st_mtime_ns
    extract_logits(network(), images, store, OPTIONS)
    assert (store.work / "logits/c/0/0").stat().st_mtime_ns == kept
    store.finish()
    assert_same_store(whole, tmp_path / "resumed.zarr")


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit", "test_convnext"])
def test_no_logit_depends_on_the_images_beside_it(images, tmp_path, architecture):
    """A smaller batch at the end of a shard would take other routines, which round otherwise."""
    extracted = {}
    for rows in 64, 100, 300:  # of 24 images a batch: what is beside an image, and where it is
        store = layout(images, path := tmp_path / f"{rows}.zarr", rows)
        extract_logits(network(architecture), images, store, OPTIONS)
        store.finish()
        extracted[rows] = xr.open_zarr(path)["logits"].values
    assert extracted[64].shape == (N, N_CATEGORIES)
    np.testing.assert_array_equal(extracted[64], extracted[100])
    np.testing.assert_array_equal(extracted[64], extracted[300])


@pytest.mark.parametrize(
    ("batch_size", "rows", "size"), [(24, 64, 24), (99, 64, 64), (999, 999, N)]
)
def test_all_batches_have_one_size(images, tmp_path, batch_size, rows, size):
    sizes = set()
    own = network()
    own.register_forward_hook(lambda _, inputs, __: sizes.add(len(inputs[0])))
    store = layout(images, tmp_path / "a.zarr", rows)
    extract_logits(own, images, store, extraction_options(batch_size=batch_size, device="cpu"))
    assert sizes == {size}


def test_nothing_is_chosen_by_its_speed_nor_rounded_to_tf32(images, tmp_path):
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul

    def settings():
        return cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, matmul.allow_tf32

    seen, own = set(), network()
    own.register_forward_hook(lambda *_: seen.add(settings()))
    before = settings()
    extract_logits(own, images, layout(images, tmp_path / "a.zarr"), OPTIONS)
    assert seen == {(False, True, False, False)}
    assert settings() == before
    assert OPTIONS.as_config()["tf32"] is False


@pytest.mark.parametrize("parts", [2, 3, 9])
def test_parts_share_the_work_and_give_the_same_bytes(images, whole, tmp_path, parts):
    for part in reversed(range(parts)):
        store = layout(images, tmp_path / "parts.zarr")
        extract_logits(network(), images, store, OPTIONS, part=part, parts=parts)
        done = set(range(len(store))) - set(store.missing())
        assert done == {shard for shard in range(len(store)) if shard % parts >= part}
    store.finish()
    assert_same_store(whole, tmp_path / "parts.zarr")


def test_a_finished_store_is_left_alone(images, whole):
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}

    class Untouchable(torch.nn.Module):
        pass

    extract_logits(Untouchable(), images, layout(images, whole), OPTIONS)
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


def test_an_infinite_logit_stops_the_job(images, tmp_path):
    own = network()
    with torch.no_grad():
        own.get_classifier().bias[3] = float("inf")
    store = layout(images, tmp_path / "bad.zarr")
    with pytest.raises(StoreError, match="row 0 is not finite"):
        extract_logits(own, images, store, OPTIONS)
    assert store.missing() == list(range(len(store)))


def test_mixed_precision_is_near_and_stored_as_float32(images, whole, tmp_path):
    store = layout(images, tmp_path / "amp.zarr")
    extract_logits(
        network(),
        images,
        store,
        extraction_options(batch_size=24, device="cpu", precision="bfloat16"),
    )
    store.finish()
    exact = xr.open_zarr(whole)["logits"].values
    near = xr.open_zarr(tmp_path / "amp.zarr")["logits"].values
    assert near.dtype == np.float32
    assert not (near == exact).all()
    # bfloat16 has 8 bits of precision
    np.testing.assert_allclose(near, exact, atol=0.05 * np.abs(exact).max())


def test_a_compiled_network_gives_the_same_logits(images, whole, tmp_path):
    store = layout(images, tmp_path / "compiled.zarr")
    extract_logits(
        network(),
        images,
        store,
        extraction_options(batch_size=24, device="cpu", torchcompile=True, backend="eager"),
    )
    store.finish()
    assert_same_store(whole, tmp_path / "compiled.zarr")


def test_a_killed_job_resumes_to_the_same_bytes(images, whole, tmp_path):
    """kill -9 of a real process between two shards."""
    script = textwrap.dedent(
        f"""
        import time
        from neuraldeps.images.stored import StoredImages
        from tests.unit.logits.test_extraction import *
        images = StoredImages({images.path!r})
        store = layout(images, {str(tmp_path / "killed.zarr")!r})
        own = network()
        own.register_forward_hook(lambda *_: time.sleep(0.1))
        extract_logits(own, images, store, OPTIONS)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script])
    store = layout(images, tmp_path / "killed.zarr")
    deadline = time.monotonic() + 120
    while not (store.work.exists() and len(store.missing()) < len(store)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 0 < len(store.missing()) < len(store)
    extract_logits(network(), images, store, OPTIONS)
    store.finish()
    assert_same_store(whole, tmp_path / "killed.zarr")


LOGITS = np.random.default_rng(1).normal(size=(N, N_CATEGORIES))


def save(kind, path, images):
    if kind == "npy":
        np.save(path, LOGITS)
    elif kind == "array":
        zarr.save_array(str(path), LOGITS)
    elif kind == "group":
        group = zarr.open_group(str(path), mode="w", zarr_format=2)
        group.create_array("outputs", data=LOGITS)
    else:
        coords = images.coords.coords
        dataset = xr.Dataset({"logits": (("sample", "category"), LOGITS)}, coords)
        dataset.to_zarr(path, consolidated=False)
    return str(path)


@pytest.mark.parametrize("kind", ["npy", "array", "group", "store"])
def test_logits_from_elsewhere_are_copied(images, tmp_path, kind):
    source = save(kind, tmp_path / ("a.npy" if kind == "npy" else "a.zarr"), images)
    array, carried = open_logits(source, "models.m.logits.fit")
    assert set(carried) == (set() if kind != "store" else {*images.coords.coords} - {"category"})
    coords = describe_logits(array, carried, "key", n_categories=N_CATEGORIES)
    store = layout(type("Coords", (), {"coords": coords}), tmp_path / "out.zarr")
    copy_logits(array, store, "key")
    out = xr.open_zarr(tmp_path / "out.zarr")
    np.testing.assert_array_equal(out["logits"].values, LOGITS.astype(np.float32))
    if kind == "store":
        assert (out["label"].values == images.coords["label"].values).all()
        assert (out["category_name"].values == images.coords["category_name"].values).all()
    else:
        assert (out["label"].values == -1).all()
        assert out["category_name"].values[2] == "category 2"


def refused(message, call, *args, **kwargs):
    with pytest.raises(InputError, match=message) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)


def test_logits_that_do_not_fit_are_refused_in_one_line(images, tmp_path):
    key = "models.m.logits.fit"
    own = {name: values.values for name, values in images.coords.coords.items()}
    refused(f"{key}: .*cannot be opened", open_logits, str(tmp_path / "none.npy"), key)
    refused(f"{key}: .*cannot be opened", open_logits, str(tmp_path / "none.zarr"), key)
    np.save(tmp_path / "int.npy", np.zeros((3, 3), int))
    refused("floating-point logits", open_logits, str(tmp_path / "int.npy"), key)
    zarr.open_group(str(tmp_path / "two.zarr"), mode="w").create_array("flat", data=np.zeros(3))
    refused("no array `logits` but flat", open_logits, str(tmp_path / "two.zarr"), key)

    def describe(array=LOGITS, carried=None, n_categories=N_CATEGORIES, **kwargs):
        columns = {name: Column(name, values) for name, values in (carried or {}).items()}
        return describe_logits(array, columns, key, n_categories=n_categories, **kwargs)

    refused("has 7 categories, dataset.n_categories is 8", describe, n_categories=8)
    refused(r"label has shape \(5,\)", describe, carried={"label": np.zeros(5, int)})
    refused(
        "labels .* go from 0 to 9", describe, carried={"label": np.full(N, 9) * (np.arange(N) > 0)}
    )
    refused("has 10 images, the data set 300", describe, LOGITS[:10], images=images.coords)
    swapped = own["category_code"][[0, 2, 1, 3, 4, 5, 6]]
    refused(
        r"category_code 1 is U\+2, the data set's is U\+1",
        describe,
        carried={"category_code": swapped},
        images=images.coords,
    )
    described = describe(carried={"path": own["path"]}, images=images.coords)
    xr.testing.assert_identical(xr.Dataset(described.coords), xr.Dataset(images.coords.coords))


def test_labels_come_from_a_file(tmp_path):
    labels = np.arange(N) % N_CATEGORIES
    np.save(tmp_path / "labels.npy", labels)
    carried = {"label": read_labels(str(tmp_path / "labels.npy"), "models.m.labels.fit")}
    coords = describe_logits(LOGITS, carried, "key", n_categories=N_CATEGORIES)
    np.testing.assert_array_equal(coords["label"], labels)
