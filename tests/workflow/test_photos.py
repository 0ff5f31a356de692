"""Two real networks on real photos, from the package index to the tables: config/photos.yaml.

On a third of the photos and two of the pairs, since networks and pairs are what takes time.
"""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import timm
import torch
import xarray as xr
import yaml
from timm.data import ImageDataset, create_transform, resolve_model_data_config
from torch.utils.data import DataLoader

from tests.workflow.conftest import ROOT, snakemake

CONFIG = ROOT / "config/photos.yaml"
MODELS = yaml.safe_load(CONFIG.read_text())["models"]
PAIRS = [("lite0", "lite0"), ("lite0", "lite2")]
FEWER = 3  # one photo of so many

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    (folder / "data").mkdir()
    if (ROOT / "data/photos/test.csv").exists():
        (folder / "data/photos").symlink_to(ROOT / "data/photos")
        return folder
    fetch = [sys.executable, str(ROOT / "tools/fetch_photos.py"), str(folder / "data/photos")]
    run = subprocess.run(fetch, capture_output=True, text=True)
    if run.returncode:
        pytest.skip(f"the photos cannot be had: {run.stderr.strip().splitlines()[-1]}")
    return folder


@pytest.fixture(scope="module")
def results(folder):
    splits = {}
    for split in ("fit", "test"):
        listed = pd.read_csv(folder / f"data/photos/{split}.csv")
        listed[::FEWER].to_csv(folder / f"{split}.csv", index=False)
        splits[split] = {"csv": f"{split}.csv", "data_dir": "data/photos"}
    overlay = {"dataset": {"splits": splits}, "pairs": [list(pair) for pair in PAIRS]}
    overlay |= {stage: {"enabled": False} for stage in ("theory", "stability", "controls", "cards")}
    overlay["figures"] = {"galleries": {"n_categories": 0}}
    (folder / "fewer.yaml").write_text(yaml.safe_dump(overlay))
    run = snakemake(folder, [CONFIG, folder / "fewer.yaml"])
    assert run.returncode == 0, run.stdout
    return folder / "results"


def plain_logits(folder, model):
    """Logits of the held-out photos as timm's own scripts work them out, and the photos' names."""
    network = timm.create_model(MODELS[model]["architecture"]).eval()
    weights = torch.load(folder / MODELS[model]["checkpoint"], weights_only=True)
    own = network.state_dict()
    network.load_state_dict(dict(zip(own, weights.values(), strict=True)))
    transform = create_transform(**resolve_model_data_config(network))
    photos = ImageDataset(str(folder / "data/photos/images"), transform=transform)
    names = [f"data/photos/images/{name}" for name in photos.filenames()]
    held_out = range(0, len(photos), 4 * FEWER)
    loader = DataLoader(torch.utils.data.Subset(photos, held_out), 32)
    with torch.inference_mode():
        logits = torch.cat([network(images) for images, _ in loader])
    return logits.numpy(), [names[i] for i in held_out]


@pytest.mark.parametrize("model", MODELS)
def test_logits_are_those_of_a_plain_timm_loop(folder, results, model):
    expected, names = plain_logits(folder, model)
    store = xr.open_zarr(results / f"logits/{model}/test.zarr")
    assert store["path"].values.tolist() == names
    ours = store["logits"].values
    # float32 in another memory format and batch size: 1e-5 of the logits' size
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert (ours.argmax(1) == expected.argmax(1)).all()


def test_the_networks_know_what_they_see(folder, results):
    """Weights taken by position are the right ones: both networks agree as trained ones do."""
    top = [
        xr.open_zarr(results / f"logits/{model}/test.zarr")["logits"].values.argmax(1)
        for model in MODELS
    ]
    assert np.mean(top[0] == top[1]) > 0.3


def test_every_solution_is_certified(results):
    for source, target in PAIRS:
        solved = xr.open_zarr(results / f"dependencies/covlasso/{source}--{target}.zarr")
        assert float((solved["dual_gap"] / solved["target_second_moment"]).max()) <= 1e-12


def test_figure_and_explorer_are_made_without_labels(results):
    assert (results / "figures/figure1.png").stat().st_size > 10_000
    index = (results / "explorer/data/index.js").read_text()
    assert all(f'"{model}"' in index for model in MODELS)
    assert (results / "explorer/index.html").exists()


def test_the_tables_say_what_the_photos_lack(results):
    table = pd.read_csv(results / "tables/table1.csv")
    assert len(table) == 3 * len(PAIRS)
    assert {"pseudo_abs_err", "pseudo_pos_acc", "pseudo_acc"} <= set(table)
    assert not {"abs_err", "pos_acc", "acc"} & set(table)
    for name in "table1", "table1_distribution":
        text = (results / f"tables/{name}.md").read_text()
        assert "have no labels, or too few" in text
        assert "pseudo-pos rel err" in text
        assert "230 images, fewer than the 1000 categories" in text
    networks = pd.read_csv(results / "tables/networks.csv")
    assert networks["top1"].isna().all()


def test_the_logs_warn_of_few_images_and_of_weights_by_position(folder, results):
    assert "fewer than the 1000 categories" in (folder / "logs/index_images/fit.log").read_text()
    log = (folder / "logs/check_network/lite0.log").read_text()
    assert "taken by position" in log
