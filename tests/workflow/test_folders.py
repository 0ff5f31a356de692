"""Photos in folders and in a tar file, with labels, through the real DAG."""

import tarfile

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
import yaml
from PIL import Image
from timm.data import create_dataset, create_transform, resolve_model_data_config

from neuraldeps.networks import build_network, save_checkpoint
from tests.workflow.conftest import HERE, contents, snakemake

CONFIG = HERE / "folders.yaml"
N, EACH = 12, 10
CODES = [f"c{i:02d}" for i in range(N)]


def write_photos(folder, seed):
    """Photos of every category: blobs of its own colours."""
    rng = np.random.default_rng(seed)
    for i, code in enumerate(CODES):
        (folder / code).mkdir(parents=True)
        own = np.random.default_rng(i).integers(0, 256, (3, 3, 3))
        for k in range(EACH):
            blobs = np.clip(own + rng.integers(-60, 60, own.shape), 0, 255).astype(np.uint8)
            picture = Image.fromarray(blobs).resize((90, 70), Image.Resampling.BICUBIC)
            picture.save(folder / code / f"{k}.jpg")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("folders")
    write_photos(folder / "photos/train", 0)
    write_photos(folder / "held_out", 1)
    with tarfile.open(folder / "test.tar", "w") as archive:
        archive.add(folder / "held_out", "")
    rows = [f"{code},thing {i}" for i, code in enumerate(CODES)]
    (folder / "categories.csv").write_text("\n".join(["code,name", *rows]) + "\n")
    models = yaml.safe_load(CONFIG.read_text())["models"]
    networks = {name: build_network(name, spec, N, seed=1) for name, spec in models.items()}
    save_checkpoint(networks["resnet"], str(folder / "resnet.safetensors"))
    torch.save(networks["vit"].state_dict(), folder / "vit.pth")
    return folder


@pytest.fixture(scope="module")
def results(folder):
    run = snakemake(folder, CONFIG)
    assert run.returncode == 0, run.stdout
    return folder / "results"


def test_every_fit_image_has_its_label(results):
    logits = xr.open_zarr(results / "logits/vit/fit.zarr")
    assert logits.sizes["sample"] == 8 * N
    for path, label in zip(logits["path"].values, logits["label"].values, strict=True):
        assert path.startswith(f"photos/train/{CODES[label]}/")


def test_views_of_the_test_images_are_extracted(folder, results):
    models = yaml.safe_load(CONFIG.read_text())["models"]
    network = build_network("vit", models["vit"], N)
    network.load_state_dict(torch.load(folder / "vit.pth", weights_only=True))
    theirs = create_dataset("", str(folder / "test.tar"))
    config = resolve_model_data_config(network)
    assert config["input_size"] == (3, 64, 64)
    theirs.transform = create_transform(**config)
    with torch.inference_mode():
        expected = network(torch.stack([theirs[i][0] for i in range(len(theirs))])).numpy()
    logits = xr.open_zarr(results / "logits/vit/test.zarr")
    assert logits.sizes["sample"] == 2 * EACH * N
    ours = logits["logits"].values[logits["view"].values == 0]
    # float32 in another memory format and batch size
    np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(expected).max(), rtol=0)


def test_the_tables_have_the_categories_names(results):
    table = pd.read_csv(results / "tables/table1.csv")
    assert set(table.loc[(table.source == "resnet") & (table.target == "vit"), "category"]) == {
        "thing 3"
    }
    assert {"abs_err", "pos_acc"} <= set(table)
    assert "have no labels" not in (results / "tables/table1.md").read_text()


def test_workers_and_parts_do_not_change_the_bytes(folder, results, tmp_path):
    config = yaml.safe_load(CONFIG.read_text())
    config["extraction"].update(workers=0, parts=1)
    (tmp_path / "one.yaml").write_text(yaml.safe_dump(config))
    for given in folder.iterdir():
        if given.name not in {"results", "logs", ".snakemake"}:
            (tmp_path / given.name).symlink_to(given)
    store = "results/logits/resnet/test.zarr"
    run = snakemake(tmp_path, tmp_path / "one.yaml", store)
    assert run.returncode == 0, run.stdout
    assert contents(tmp_path / store) == contents(folder / store)


def test_folders_of_other_categories_end_with_one_line(folder, tmp_path):
    for name in "photos", "test.tar", "resnet.safetensors", "vit.pth":
        (tmp_path / name).symlink_to(folder / name)
    rows = [f"d{i:02d},thing {i}" for i in range(N)]
    (tmp_path / "categories.csv").write_text("\n".join(["code,name", *rows]) + "\n")
    run = snakemake(tmp_path, CONFIG, "results/images/fit.zarr")
    assert run.returncode != 0
    message = "12 of 12 class names are no code or name of dataset.categories ('c00', 'c01', 'c02')"
    assert message in run.stdout
    assert "Traceback" not in run.stdout
