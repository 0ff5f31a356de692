"""Weight files as people have them: old, wrapped, prefixed, empty."""

import json

import pytest
import timm
import torch
import yaml
from safetensors.torch import save_file

from neuraldeps.logs import job_log
from scripts import check_network
from tests.cases.running import accepted, refused

CARD = "results/networks/net/card.json"
CONFIG = {
    "dataset": {
        "kind": "photos",
        "n_categories": 4,
        "splits": {"fit": {"data_dir": "photos"}, "test": {"data_dir": "photos"}},
    },
    "covlasso": {"max_support": 3},
    "tables": {"table1": {"support_size": [1, 3]}},
    "figures": {
        "correlation": {"n_targets": 2},
        "chord": {"n_base": 2, "n_targets": 2, "support_size": 1},
    },
}


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(5)
    return timm.create_model("test_resnet", num_classes=4).state_dict()


def under(prefix, weights):
    return {prefix + name: value.clone() for name, value in weights.items()}


def entry(checkpoint):
    return {"architecture": "test_resnet", "img_size": 64, "checkpoint": checkpoint}


def write(folder, checkpoint, content):
    """A weight file in a folder, and the configuration that names it."""
    if checkpoint.endswith(".safetensors"):
        save_file(content, folder / checkpoint)
    elif content is None:
        (folder / checkpoint).touch()
    else:
        torch.save(content, folder / checkpoint)
    config = {**CONFIG, "models": {"net": entry(checkpoint)}}
    (folder / "c.yaml").write_text(yaml.safe_dump(config))


def check(folder, checkpoint):
    """What the job of `check_network` does; its log comes back."""
    with job_log(f"{folder}/log"):
        check_network.main(
            f"{folder}/{checkpoint}",
            f"{folder}/card.json",
            model="net",
            spec={key: value for key, value in entry(checkpoint).items() if key != "checkpoint"},
            n_categories=4,
            dataset="images",
            img_size=32,
        )
    assert json.loads((folder / "card.json").read_text())["n_categories"] == 4
    return (folder / "log").read_text()


@pytest.mark.parametrize("checkpoint", ["old.pth", "old.safetensors"])
def test_19_a_state_dict_without_num_batches_tracked(tmp_path, weights, checkpoint):
    old = {n: value for n, value in weights.items() if not n.endswith("num_batches_tracked")}
    write(tmp_path, checkpoint, old)
    said = check(tmp_path, checkpoint)
    assert "15 missing num_batches_tracked begin at 0, which evaluation does not read" in said


@pytest.mark.parametrize("checkpoint", ["plain.ckpt", "model.safetensors"])
def test_20_lightnings_prefix(tmp_path, weights, checkpoint):
    plain = under("model.", weights)
    content = plain if checkpoint == "model.safetensors" else {"state_dict": plain, "epoch": 1}
    write(tmp_path, checkpoint, content)
    assert "model.* are taken by name" in check(tmp_path, checkpoint)


def test_20_lightnings_prefix_with_a_loss_beside(tmp_path, weights):
    content = {**under("model.", weights), "criterion.weight": torch.ones(4)}
    write(tmp_path, "with_loss.ckpt", {"state_dict": content, "epoch": 1})
    accepted(tmp_path, CARD)
    said = (tmp_path / "logs/check_network/net.log").read_text()
    assert "92 tensors of state_dict, model.* are taken by name; not taken: epoch, crit" in said


@pytest.mark.parametrize(
    ("wrapper", "beside"),
    [
        ("model_state_dict", {"optimizer_state_dict": {}, "loss": 0.3}),
        ("net", {"acc": 91.2, "epoch": 3}),
        ("module", {"arch": "resnet50", "is_pretrain": True}),
    ],
)
def test_25_wrappers(tmp_path, weights, wrapper, beside):
    write(tmp_path, "a.pth", {wrapper: weights, **beside})
    said = check(tmp_path, "a.pth")
    assert f"92 tensors of {wrapper} are taken by name; not taken: {', '.join(beside)}" in said


def test_25_an_empty_file(tmp_path):
    write(tmp_path, "empty.pth", None)
    line = r"models\.net\.checkpoint: empty\.pth cannot be .*: it is empty; fetch or copy it again"
    refused(tmp_path, line, CARD)
