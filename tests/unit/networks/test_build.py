import json

import numpy as np
import pytest
import timm
import torch
from timm.data import create_transform, resolve_model_data_config

from neuraldeps.errors import InputError
from neuraldeps.images.glyphs import data_config
from neuraldeps.networks.build import Standardise, build_network, describe_network
from neuraldeps.networks.card import NetworkCard
from neuraldeps.networks.checkpoints import weights_digest

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
    network = build_network(
        "net", {**SPEC, "data_kwargs": {"mean": [0.1], "crop_pct": 0.9}}, 7, data_config(32)
    )
    config = resolve_model_data_config(network)
    assert config["mean"] == (0.1,)
    assert config["crop_pct"] == 0.9


def test_an_entry_of_null_leaves_what_the_images_say():
    nulls = dict.fromkeys(("mean", "std", "interpolation", "crop_pct"))
    nulls = {"data_kwargs": nulls, "img_size": None}
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


def refused(message, call, *args):
    with pytest.raises(InputError, match=message) as caught:
        call(*args)
    assert "\n" not in str(caught.value)


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


def test_a_card_is_read_as_it_was_written(network, tmp_path):
    for categories in None, [0, 2, 3]:
        card = describe_network("net", SPEC, network, 7, categories=categories)
        card.to_json(tmp_path / "card.json")
        assert NetworkCard.from_json(tmp_path / "card.json") == card
        written = json.loads((tmp_path / "card.json").read_text())
        assert written.get("categories") == categories


@pytest.mark.parametrize("text", ['{"model": "net"}', "[1, 2]", "{"])
def test_a_file_that_is_no_card_is_said(text, tmp_path):
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(
        InputError, match=r"card\.json: is not the card of a network .*; remove it"
    ) as caught:
        NetworkCard.from_json(tmp_path / "card.json")
    assert "\n" not in str(caught.value)


def test_card(network):
    card = describe_network("net", SPEC, network, 7)
    assert card.feature_dimension == network.get_classifier().in_features
    assert card.rank_bound == 7
    assert card.param_count == sum(p.numel() for p in network.parameters())
    assert card.input_size == [1, 32, 32]
    rebuilt = build_network("net", SPEC, 7, card.data_config)
    assert resolve_model_data_config(rebuilt) == resolve_model_data_config(network)


@pytest.mark.parametrize(
    ("given", "trained_at", "judged_at"),
    [
        ({}, 160, 192),
        ({"img_size": 96}, 96, 96),
        ({"img_size": 96, "data_kwargs": {"crop_pct": 0.7}}, 96, 96),
    ],
)
def test_finished_weights_are_judged_at_timms_test_size(given, trained_at, judged_at):
    spec = {"architecture": "test_mambaout", **given}
    network = build_network("net", spec, 7)
    for use_test_size, size in (False, trained_at), (True, judged_at):
        card = describe_network("net", spec, network, 7, use_test_size=use_test_size)
        assert card.input_size == [3, size, size]
        rebuilt = resolve_model_data_config(build_network("net", spec, 7, card.data_config))
        assert list(rebuilt["input_size"]) == card.input_size
        assert (
            rebuilt["crop_pct"]
            == card.crop_pct
            == given.get("data_kwargs", {}).get("crop_pct", 1.0)
        )


def test_rank_bound_holds():
    network = build_network("net", SPEC, 500, data_config(32), seed=0)
    card = describe_network("net", SPEC, network, 500)
    with torch.inference_mode():
        logits = network(torch.randn(600, 1, 32, 32)).double()
    assert card.rank_bound == card.feature_dimension + 1 < 500
    # float32 logits: singular values below 1e-5 of the largest are rounding
    assert torch.linalg.matrix_rank(logits, rtol=1e-5) <= card.rank_bound


def test_a_network_of_another_image_size_is_refused():
    spec = {"architecture": "vit_tiny_patch16_224", "model_kwargs": {"img_size": 64, "depth": 1}}
    network = build_network("net", spec, 7, data_config(32))
    refused("does not take images of .*img_size", describe_network, "net", spec, network, 7)


def test_a_transformer_takes_the_size_of_the_images():
    spec = {"architecture": "test_vit"}
    network = build_network("net", spec, 7, data_config(32))
    assert describe_network("net", spec, network, 7).input_size == [1, 32, 32]
