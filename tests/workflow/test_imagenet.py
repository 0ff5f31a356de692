"""The paper's scale, config/imagenet.yaml, as far as it goes without ImageNet: indices and a dry run."""

import numpy as np
import pytest
import xarray as xr
import yaml
from timm.data import ImageNetInfo

from tests.workflow.conftest import ROOT, snakemake
from tests.workflow.test_tiny import planned

CONFIG = ROOT / "config/imagenet.yaml"
SYNSETS = ImageNetInfo().label_names()
OUTLYING = SYNSETS[::5]  # as many as ImageNet-O has


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folders as ImageNet's, with a file of one byte for every image, which is never opened."""
    folder = tmp_path_factory.mktemp("imagenet")
    (folder / "data/imagenet/train").mkdir(parents=True)  # planned with, never listed
    for name, synsets in ("imagenet/val", SYNSETS), ("imagenet-o", OUTLYING):
        for synset in synsets:
            (folder / "data" / name / synset).mkdir(parents=True)
            (folder / "data" / name / synset / "0.JPEG").write_bytes(b"0")
    return folder


def test_the_folders_are_indexed(folder):
    paths = [f"results/images/{split}.zarr" for split in ("test", "ood")]
    run = snakemake(folder, CONFIG, *paths)
    assert run.returncode == 0, run.stdout
    test, ood = (xr.open_zarr(folder / path) for path in paths)
    assert test["label"].values.tolist() == list(range(1000))
    assert (ood["label"] == -1).all()
    assert sorted(path.split("/")[-2] for path in ood["path"].values) == sorted(OUTLYING)
    np.testing.assert_array_equal(test["category_code"].values, ood["category_code"].values)


def test_the_workflow_holds_from_the_images_to_all_tables(folder):
    jobs = planned(folder, CONFIG)
    seeds, settings, full, some = 5, 3, 4, 2
    assert jobs["train_backbone"] == full + some
    assert jobs["train_base"] == some * seeds * settings
    # what fine-tuning starts from and the baselines go on from; the further seeds' baselines
    assert jobs["train_start"] == full * seeds
    assert jobs["train_baseline"] == (full + some) * (seeds - 1)
    assert jobs["finetune_arm"] == full * seeds * 3
    assert jobs["index_balanced"] == seeds
    assert jobs["fit_new_categories"] == some * seeds * (settings + 1)
    assert jobs["measure_robustness"] == full * seeds
    assert jobs["evaluate_dependencies"] == 16 + 3  # untrained, Gaussian and shuffled logits
    assert {"tabulate_dependencies", "tabulate_generalizability", "tabulate_robustness"} <= set(
        jobs
    )


def test_table_1_trains_nothing(folder):
    figures = [f"results/figures/figure{number}.png" for number in (1, 3, 4)]
    jobs = planned(folder, CONFIG, "results/tables/table1.csv", *figures)
    assert jobs["check_network"] == 4
    assert not [rule for rule in jobs if rule.startswith("train_")]


def test_schedules_are_the_papers():
    config = yaml.safe_load(CONFIG.read_text())
    models, variants = config["models"], config["generalizability"]["variants"]
    sgd, adamw = models["resnet50_500"]["train"], models["swin_t_500"]["train"]
    steps, adaptive = sgd["optimizer"], adamw["optimizer"]
    assert (steps["lr"], steps["weight_decay"], steps["momentum"]) == (0.1, 1e-4, 0.9)
    assert (adaptive["lr"], adaptive["weight_decay"]) == (0.002, 0.05)
    for name, train in ("literal", sgd), ("literal-adamw", adamw):
        assert variants[name]["strengths"] == [train["optimizer"]["weight_decay"]]
    for train, milestones in (sgd, [30, 60]), (adamw, [60, 80]):
        assert (train["epochs"], train["batch_size"], train["split"]) == (90, 256, "train_500")
        assert train["schedule"]["sched_kwargs"] == {
            "decay_milestones": milestones,
            "decay_rate": 0.1,
        }
