"""Photos in folders and in a tar file, with labels, through the real DAG to all four tables."""

import json
import tarfile

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
import yaml
from PIL import Image
from timm.data import create_dataset, create_transform, resolve_model_data_config

from neuraldeps.arms import ARMS
from neuraldeps.networks.build import build_network
from neuraldeps.networks.checkpoints import load_checkpoint, save_checkpoint
from tests.workflow.conftest import HERE, contents, snakemake

CONFIG = HERE / "folders.yaml"
N, EACH = 12, 10
CODES = [f"c{i:02d}" for i in range(N)]
TABLES = [f"results/tables/table{number}.csv" for number in range(1, 5)]


def write_photos(folder, seed, codes=CODES):
    """Photos of every category: blobs of its own colours."""
    rng = np.random.default_rng(seed)
    for i, code in enumerate(codes):
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
    write_photos(folder / "far", 2, CODES[:4])
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
    run = snakemake(folder, CONFIG, *TABLES)
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


def test_a_network_is_trained_on_the_split_that_its_entry_names(folder, results):
    index = xr.open_zarr(results / "images/train.zarr")
    assert np.bincount(index["label"].values).tolist() == [7] * N
    curve = pd.read_csv(results / "networks/learner/curve.csv")
    assert curve["epoch"].tolist() == [1, 2]
    card = json.loads((results / "networks/learner/card.json").read_text())
    network = build_network("learner", card, N, card)
    load_checkpoint(network, str(results / "networks/learner/model.safetensors"), "learner")
    photos = create_dataset("", str(folder / "test.tar"))
    photos.transform = create_transform(**resolve_model_data_config(network))
    shown = [i for i in range(len(photos)) if i % EACH < 4]  # the default: four of each category
    with torch.inference_mode():
        logits = network(torch.stack([photos[i][0] for i in shown]))
    right = logits.argmax(1).numpy() == np.repeat(np.arange(N), 4)
    # percent of 48 images, summed in float32
    assert curve["valid_top1"].iloc[-1] == pytest.approx(100 * right.mean(), abs=1e-4)


def test_a_network_goes_on_from_where_fine_tuning_starts(results):
    curves = [
        (results / stem / "curve.csv").read_text()
        for stem in ("networks/learner/seed3/start", "networks/learner")
    ]
    assert curves[1].startswith(curves[0])
    assert [len(curve.splitlines()) for curve in curves] == [2, 3]
    assert not (results / "networks/learner/seed3/start/last.ckpt").exists()


def test_a_base_network_learns_from_base_categories_alone(results):
    stem = results / "generalizability/learner/11to1/seed3"
    categories = pd.read_csv(results / "generalizability/categories/11to1_seed3.csv")
    base = categories.loc[categories.role == "base", "category"].tolist()
    assert json.loads((stem / "card.json").read_text())["categories"] == base
    assert xr.open_zarr(stem / "logits/train.zarr").sizes == {"sample": 7 * N, "category": N - 1}


def test_balanced_photos_are_judged_on_what_was_not_trained_on(results):
    index = xr.open_zarr(results / "images/train.zarr")
    balanced = xr.open_zarr(results / "generalizability/images/balanced_seed3.zarr").load()
    categories = pd.read_csv(results / "generalizability/categories/11to1_seed3.csv")
    new = categories.loc[categories.role == "new", "category"].item()
    # seven photos of a category are in the split, and three besides
    for part, n_each in ("train", 6), ("test", 3):
        here = balanced.isel(sample=balanced["part"].values == part)
        assert (here["label"] == new).sum() == n_each
        assert here.sizes["sample"] == 2 * n_each == len(set(here["path"].values))
        known = np.isin(here["path"].values, index["path"].values)
        assert known.all() if part == "train" else not known.any()
        for path, label in zip(here["path"].values, here["label"].values, strict=True):
            assert path.startswith(f"photos/train/{CODES[label]}/")


def test_tables_2_to_4_are_made_of_photos(results):
    table2 = pd.read_csv(results / "tables/table2.csv")
    assert set(table2["setting"]) == {"11->1", "11->1 (pos&neg)"}
    assert table2[["baseline", "ours"]].notna().all(axis=None)
    table3 = pd.read_csv(results / "tables/table3.csv")
    assert table3["arm"].tolist() == list(ARMS)
    assert table3[["acc", "aupr", "theta_alpha"]].notna().all(axis=None)
    # the far images' folders name four categories: softmax and in-distribution images are theirs
    assert xr.open_zarr(results / "robustness/learner/seed3.zarr").attrs["n_restricted"] == 4
    assert (results / "tables/table4.csv").exists()


def test_workers_and_parts_do_not_change_the_bytes(folder, results, tmp_path):
    config = yaml.safe_load(CONFIG.read_text())
    config["resources"].update(workers=0, jobs_per_split=2)
    (tmp_path / "parts.yaml").write_text(yaml.safe_dump(config))
    for given in folder.iterdir():
        if given.name not in {"results", "logs", ".snakemake"}:
            (tmp_path / given.name).symlink_to(given)
    store = "results/logits/resnet/test.zarr"
    run = snakemake(tmp_path, tmp_path / "parts.yaml", store)
    assert run.returncode == 0, run.stdout
    assert contents(tmp_path / store) == contents(folder / store)


def test_folders_of_other_categories_end_with_one_line(folder, tmp_path):
    for name in "photos", "test.tar", "resnet.safetensors", "vit.pth":
        (tmp_path / name).symlink_to(folder / name)
    rows = [f"d{i:02d},thing {i}" for i in range(N)]
    (tmp_path / "categories.csv").write_text("\n".join(["code,name", *rows]) + "\n")
    run = snakemake(tmp_path, CONFIG, "results/images/fit.zarr")
    assert run.returncode != 0
    message = (
        "12 of 12 class names match no code or name of dataset.categories ('c00', 'c01', 'c02')"
    )
    assert message in run.stdout
    assert "Traceback" not in run.stdout


def test_folders_that_name_no_category_end_with_one_line_before_any_training(folder, tmp_path):
    (tmp_path / "categories.csv").symlink_to(folder / "categories.csv")
    (tmp_path / "far").mkdir()
    for given in (folder / "far").iterdir():
        (tmp_path / "far/elsewhere").mkdir(exist_ok=True)
        for image in given.iterdir():
            (tmp_path / "far/elsewhere" / f"{given.name}{image.name}").symlink_to(image)
    run = snakemake(tmp_path, CONFIG, "results/images/ood.zarr")
    assert run.returncode != 0
    assert "robustness.ood_categories: no category named 'elsewhere'; give" in run.stdout
    assert "Traceback" not in run.stdout
    assert not (tmp_path / "results/images/ood.zarr").exists()


def test_a_category_that_is_not_there_ends_the_run_before_any_training(folder, tmp_path):
    for given in folder.iterdir():
        if given.name not in {"results", "logs", ".snakemake"}:
            (tmp_path / given.name).symlink_to(given)
    config = yaml.safe_load(CONFIG.read_text())
    config["robustness"]["category_pair"] = {"learner": ["thing 3", "horse"]}
    (tmp_path / "horse.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    run = snakemake(tmp_path, tmp_path / "horse.yaml", *TABLES)
    assert run.returncode != 0
    assert (
        "robustness.category_pair.learner: no category named 'horse'; give a name or code"
        in run.stdout
    )
    assert "Traceback" not in run.stdout
    assert not list(tmp_path.glob("results/**/model.safetensors"))
