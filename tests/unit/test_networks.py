import logging
import pickle
import re

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.data import create_transform, resolve_model_data_config

from neuraldeps.errors import InputError
from neuraldeps.glyphs import data_config
from neuraldeps.networks import (
    Standardise,
    build_network,
    describe_network,
    load_checkpoint,
    save_checkpoint,
    weights_digest,
)

SPEC = {"architecture": "test_resnet"}


@pytest.fixture
def network():
    return build_network("net", SPEC, 7, data_config(32), seed=0)


def test_timm_knows_the_preprocessing(network):
    config = resolve_model_data_config(network)
    assert config["input_size"] == (1, 32, 32)
    assert config["mean"] == (0.5,)
    assert config["std"] == (0.25,)


def test_own_preprocessing_of_an_architecture_is_kept():
    network = build_network("net", SPEC, 7)
    assert resolve_model_data_config(network) == resolve_model_data_config(
        timm.create_model("test_resnet")
    )


def test_an_entry_of_the_configuration_comes_first():
    network = build_network("net", {**SPEC, "mean": [0.1], "crop_pct": 0.9}, 7, data_config(32))
    config = resolve_model_data_config(network)
    assert config["mean"] == (0.1,)
    assert config["crop_pct"] == 0.9


def test_an_entry_of_null_leaves_what_the_images_say():
    nulls = dict.fromkeys(("mean", "std", "interpolation", "crop_pct", "img_size"))
    network = build_network("net", {**SPEC, **nulls}, 7, data_config(32))
    assert resolve_model_data_config(network)["mean"] == (0.5,)


def test_standardising_is_that_of_timms_transform():
    network = timm.create_model("test_resnet")
    config = resolve_model_data_config(network)
    pixels = np.random.default_rng(0).integers(0, 256, (*config["input_size"][1:], 3), np.uint8)
    from PIL import Image

    expected = create_transform(**{**config, "crop_pct": 1.0})(Image.fromarray(pixels))
    ours = Standardise(config)(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0]
    # float32: timm divides by 255 first
    torch.testing.assert_close(ours, expected, atol=2e-6, rtol=1e-5)


def test_a_seed_gives_the_same_weights_and_another_seed_others(network):
    again = build_network("net", SPEC, 7, data_config(32), seed=0)
    other = build_network("net", SPEC, 7, data_config(32), seed=1)
    assert weights_digest(network) == weights_digest(again) != weights_digest(other)


@pytest.mark.parametrize("kind", ["safetensors", "state_dict", "wrapped", "parallel"])
def test_checkpoints_come_back(network, tmp_path, kind):
    path = tmp_path / ("model.safetensors" if kind == "safetensors" else "model.pth")
    weights = network.state_dict()
    if kind == "safetensors":
        save_checkpoint(network, path)
    elif kind == "state_dict":
        torch.save(weights, path)
    elif kind == "wrapped":
        torch.save({"state_dict": weights, "epoch": 3}, path)
    else:
        torch.save({f"module.{name}": value for name, value in weights.items()}, path)
    other = build_network("net", SPEC, 7, data_config(32), seed=1)
    load_checkpoint(other, path, "net")
    assert weights_digest(other) == weights_digest(network)


def test_a_saved_checkpoint_has_the_same_bytes(network, tmp_path):
    for name in "a", "b":
        save_checkpoint(network, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_weights_under_other_names_are_taken_by_position(network, tmp_path, caplog):
    path = str(tmp_path / "model.pth")
    renamed = {
        f"_{i:04d}.{name.rsplit('.', 1)[-1]}": value
        for i, (name, value) in enumerate(network.state_dict().items())
    }
    torch.save(renamed, path)
    other = build_network("net", SPEC, 7, data_config(32), seed=1)
    with caplog.at_level(logging.WARNING):
        load_checkpoint(other, path, "net")
    assert weights_digest(other) == weights_digest(network)
    assert "taken by position" in caplog.text
    save_file(renamed, path := str(tmp_path / "model.safetensors"))
    refused(r"lacks \d+ tensors", load_checkpoint, network, path, "net")


def test_weights_of_another_kind_or_order_are_not_taken_by_position(network, tmp_path):
    path = str(tmp_path / "model.pth")
    weights = [(f"_{name}", value) for name, value in network.state_dict().items()]
    at = next(i for i, (name, _) in enumerate(weights) if name.endswith("running_mean"))
    weights[at], weights[at + 1] = weights[at + 1], weights[at]
    torch.save(dict(weights), path)
    refused(r"lacks \d+ tensors", load_checkpoint, network, path, "net")


def test_timms_filter_knows_the_names_of_other_projects(tmp_path):
    """ConvNeXt under its authors' names."""
    spec = {"architecture": "test_convnext"}
    network = build_network("net", spec, 7, seed=0)
    theirs = {}
    for name, value in network.state_dict().items():
        for pattern, other in (
            (r"^stem", "downsample_layers.0"),
            (r"stages\.(\d+)\.downsample", r"downsample_layers.\1"),
            (r"stages\.(\d+)\.blocks", r"stages.\1"),
            ("conv_dw", "dwconv"),
            (r"mlp\.fc", "pwconv"),
            (r"head\.norm", "norm"),
            (r"head\.fc", "head"),
        ):
            name = re.sub(pattern, other, name)
        theirs[name] = value
    assert theirs.keys() != network.state_dict().keys()
    torch.save({"model": theirs}, path := str(tmp_path / "model.pth"))
    other = build_network("net", spec, 7, seed=1)
    load_checkpoint(other, path, "net")
    assert weights_digest(other) == weights_digest(network)


def refused(message, call, *args):
    with pytest.raises(InputError, match=message) as caught:
        call(*args)
    assert "\n" not in str(caught.value)


def test_bad_checkpoints_are_refused_in_one_line(network, tmp_path):
    path = str(tmp_path / "model.safetensors")
    key = r"models\.net\.checkpoint: .*model"
    refused(key + r".* does not exist", load_checkpoint, network, path, "net")
    weights = network.state_dict()
    save_file(
        {name: value[:1].clone() if value.ndim else value for name, value in weights.items()}, path
    )
    refused(key + r".* of shape \(1, .*correct", load_checkpoint, network, path, "net")
    some = dict(list(weights.items())[1:])
    save_file(some, path)
    refused(key + r".* lacks 1 tensors \(.*set models", load_checkpoint, network, path, "net")
    save_file({**weights, "extra": torch.zeros(1)}, path)
    refused(key + r".* has not, 1 tensors \(extra", load_checkpoint, network, path, "net")
    (tmp_path / "model.safetensors").write_bytes(b"not weights")
    refused(key + r".* cannot be read as weights alone", load_checkpoint, network, path, "net")


def test_a_pickle_with_code_in_it_is_not_run(network, tmp_path):
    class Harmful:
        def __reduce__(self):
            return (open, (str(tmp_path / "was_here"), "w"))

    path = tmp_path / "model.pth"
    path.write_bytes(pickle.dumps(Harmful(), protocol=2))
    refused("cannot be read as weights alone", load_checkpoint, network, str(path), "net")
    torch.save(Harmful(), path)
    refused("cannot be read as weights alone", load_checkpoint, network, str(path), "net")
    assert not (tmp_path / "was_here").exists()


def test_unknown_architectures_and_options_are_refused_in_one_line():
    refused(
        r"models\.net\.architecture: timm knows no 'resnet180'; nearest are .*resnet18",
        *(build_network, "net", {"architecture": "resnet180"}, 7),
    )
    refused(
        r"models\.net\.model_kwargs: .*no_such_option",
        *(build_network, "net", {**SPEC, "model_kwargs": {"no_such_option": 1}}, 7),
    )


def test_pretrained_weights_of_other_categories_are_refused_before_a_download():
    """Timm would draw a new classifier in silence."""
    spec = {"architecture": "resnet18", "pretrained": True}
    refused(r"pretrained: .* for 1000 categories, .* is 7", build_network, "net", spec, 7)
    spec["architecture"] = "vit_base_patch16_18x2_224"
    refused("pretrained: timm has no weights of vit_base", build_network, "net", spec, 1000)


def test_a_download_that_fails_is_one_line(monkeypatch):
    def fail(*_, **__):
        raise OSError("no route to host\nsecond line")

    monkeypatch.setattr(timm, "create_model", fail)
    spec = {"architecture": "resnet18", "pretrained": True}
    refused("cannot be fetched .no route to host.; connect", build_network, "net", spec, 1000)


def test_card(network):
    card = describe_network("net", SPEC, network, 7)
    assert card["feature_dimension"] == network.get_classifier().in_features
    assert card["rank_bound"] == 7
    assert card["param_count"] == sum(p.numel() for p in network.parameters())
    assert card["input_size"] == [1, 32, 32]
    rebuilt = build_network("net", SPEC, 7, card)
    assert resolve_model_data_config(rebuilt) == resolve_model_data_config(network)


@pytest.mark.parametrize(
    ("given", "trained_at", "judged_at"),
    [({}, 160, 192), ({"img_size": 96}, 96, 96), ({"img_size": 96, "crop_pct": 0.7}, 96, 96)],
)
def test_finished_weights_are_judged_at_timms_test_size(given, trained_at, judged_at):
    spec = {"architecture": "test_mambaout", **given}
    network = build_network("net", spec, 7)
    for use_test_size, size in (False, trained_at), (True, judged_at):
        card = describe_network("net", spec, network, 7, use_test_size=use_test_size)
        assert card["input_size"] == [3, size, size]
        rebuilt = resolve_model_data_config(build_network("net", spec, 7, card))
        assert list(rebuilt["input_size"]) == card["input_size"]
        assert rebuilt["crop_pct"] == card["crop_pct"] == given.get("crop_pct", 1.0)


def test_rank_bound_holds():
    network = build_network("net", SPEC, 500, data_config(32), seed=0)
    card = describe_network("net", SPEC, network, 500)
    with torch.inference_mode():
        logits = network(torch.randn(600, 1, 32, 32)).double()
    assert card["rank_bound"] == card["feature_dimension"] + 1 < 500
    # float32 logits: singular values below 1e-5 of the largest are rounding
    assert torch.linalg.matrix_rank(logits, rtol=1e-5) <= card["rank_bound"]


def test_a_network_of_another_image_size_is_refused():
    spec = {"architecture": "vit_tiny_patch16_224", "model_kwargs": {"img_size": 64, "depth": 1}}
    network = build_network("net", spec, 7, data_config(32))
    refused("does not take images of .*img_size", describe_network, "net", spec, network, 7)


def test_a_transformer_takes_the_size_of_the_images():
    spec = {"architecture": "test_vit"}
    network = build_network("net", spec, 7, data_config(32))
    assert describe_network("net", spec, network, 7)["input_size"] == [1, 32, 32]
