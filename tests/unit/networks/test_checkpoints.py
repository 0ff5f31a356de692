"""Weights from files of any origin: what is found in them, what is refused, and that no code runs."""

import argparse
import logging
import pickle
import re

import lightning.pytorch as lightning
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.optim.swa_utils import AveragedModel

from neuraldeps.errors import InputError
from neuraldeps.images.glyphs import data_config
from neuraldeps.networks.build import build_network
from neuraldeps.networks.checkpoints import load_checkpoint, save_checkpoint, weights_digest

SPEC = {"architecture": "test_resnet"}
OTHER = {"criterion.weight": torch.ones(4), "epoch": torch.tensor(3)}
WRAPPERS = (
    *("state_dict", "model", "model_state_dict", "net", "module", "ema", "state_dict_ema"),
    *("model_ema", "checkpoint/model", ""),
)
PREFIXES = (
    *("", "model.", "module.", "_orig_mod.", "net.", "backbone.", "module.model."),
    *("module._orig_mod.", "_orig_mod.module.", "network.timm_model."),
)


def build(seed, spec=SPEC, n_categories=7):
    return build_network("net", spec, n_categories, data_config(32), seed=seed)


@pytest.fixture
def said(caplog):
    """What the log says of the checkpoint that was loaded: one line."""
    caplog.set_level(logging.INFO, logger="neuraldeps.networks.checkpoints")

    def line():
        (record,) = caplog.records
        assert "\n" not in record.getMessage()
        return record.getMessage()

    return line


def under(prefix, weights):
    return {prefix + name: value.clone() for name, value in weights.items()}


def wrapped(content, wrapper):
    for key in filter(None, reversed(wrapper.split("/"))):
        content = {key: content}
    return content


def scaled(weights, factor=0.5):
    """Weights of another network of the same names."""
    return {name: (value * factor).to(value.dtype) for name, value in weights.items()}


def saved(content, path):
    torch.save(content, path)
    return str(path)


def refused(message, call, *args):
    with pytest.raises(InputError, match=message) as caught:
        call(*args)
    assert "\n" not in str(caught.value)


def assert_loads(path, network, expected):
    load_checkpoint(network, str(path), "net")
    assert weights_digest(network) == weights_digest(expected)


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
    refused(key + r".* does not have, 1 tensors \(extra", load_checkpoint, network, path, "net")
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


@pytest.mark.parametrize("prefix", PREFIXES)
def test_any_wrapper_and_any_prefix_whatever_lies_beside(trained, other, tmp_path, prefix):
    optimizer = torch.optim.SGD(trained.parameters(), 0.1, momentum=0.9)
    beside = {"epoch": 3, "acc": 91.2, "arch": "x", "optimizer": optimizer.state_dict()}
    weights = under(prefix, trained.state_dict())
    weights |= {"criterion.weight": torch.ones(4)} if prefix else {}
    for wrapper in WRAPPERS:
        content = {**beside, **wrapped(weights, wrapper)}
        with torch.no_grad():
            other.get_classifier().bias.fill_(9.0)
        assert_loads(saved(content, tmp_path / "model.ckpt"), other, trained)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_prefix_in_safetensors(trained, other, tmp_path, prefix):
    save_file(under(prefix, trained.state_dict()) | ({**OTHER} if prefix else {}), tmp_path / "a")
    assert_loads(tmp_path / "a", other, trained)


def test_the_log_says_in_one_line_what_was_taken(trained, other, tmp_path, said):
    weights = under("model.", trained.state_dict()) | {"criterion.weight": torch.ones(4)}
    path = saved({"state_dict": weights, "epoch": 3, "callbacks": {}}, tmp_path / "a.ckpt")
    load_checkpoint(other, path, "net")
    assert said() == (
        f"models.net.checkpoint: {path} 92 tensors of state_dict, model.* are taken by name; "
        "not taken: epoch, callbacks, criterion"
    )


@pytest.mark.parametrize("kind", ["pth", "safetensors", "position"])
def test_a_missing_count_of_batches_begins_at_zero(network, tmp_path, kind, said):
    weights = network.state_dict()
    weights = {n: value for n, value in weights.items() if not n.endswith("num_batches_tracked")}
    if kind == "position":
        weights = {f"_{n}": value for n, value in weights.items()}
    (save_file if kind == "safetensors" else torch.save)(weights, tmp_path / "old")
    assert_loads(tmp_path / "old", build(1), network)
    assert "15 missing num_batches_tracked begin at 0" in said()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_another_precision_are_cast_and_it_is_said(
    network, other, tmp_path, dtype, said
):
    cast = {
        n: value.to(dtype) if value.is_floating_point() else value
        for n, value in network.state_dict().items()
    }
    load_checkpoint(other, saved(cast, tmp_path / "a.pth"), "net")
    for name, value in other.state_dict().items():
        assert torch.equal(value, cast[name].to(value.dtype)), name
    assert f"{dtype} is cast to torch.float32" in said()


def test_what_profilers_and_averages_count_is_no_weight(trained, other, tmp_path, said):
    counted = dict(trained.state_dict())
    for module in "", "conv1.", "layer1.0.":
        counted |= {f"{module}total_{what}": torch.zeros(1).double() for what in ("ops", "params")}
    counted["n_averaged"] = torch.tensor(5)
    save_file(counted, tmp_path / "model.safetensors")
    assert_loads(tmp_path / "model.safetensors", other, trained)
    assert "not taken: n_averaged, total_ops, total_params" in said()


def test_namespaces_and_numbers_of_numpy_may_lie_beside(trained, other, tmp_path):
    beside = {
        "args": argparse.Namespace(lr=0.1, model="resnet"),
        "best_acc": np.float64(91.2),
        "seen": np.int64(3),
        "done": np.bool_(True),
    }
    for how in {}, {"_use_new_zipfile_serialization": False}:
        torch.save({"model": trained.state_dict(), **beside}, tmp_path / "a.pth", **how)
        assert_loads(tmp_path / "a.pth", build(1), trained)


def averages(network, kind):
    """What holds both a network's weights and their averages, and what becomes of the latter."""
    weights = network.state_dict()
    mean = scaled(weights)
    swa = AveragedModel(network).state_dict()
    swa |= under("module.", mean)
    return {
        "ema": {"model": weights, "ema": mean},
        "ema of its own prefix": {"model": weights, "model_ema": under("module.", mean)},
        "timm": {"state_dict": weights, "state_dict_ema": mean, "args": argparse.Namespace()},
        "swa": {"model": weights, "averaged": swa},
        "by its counter": {"model": weights, "second": swa},
        "in one mapping": {
            "state_dict": {
                **under("model.", weights),
                **under("model_ema.module.", mean),
                "model_ema.decay": torch.tensor(0.99),
                "model_ema.num_updates": torch.tensor(7),
            }
        },
        "beside the plain names": {**weights, **under("ema.", mean)},
        "lightning": {
            "state_dict": under("network.", mean),
            "current_model_state": under("network.", weights),
            "averaging_state": {"n_averaged": torch.tensor(2)},
        },
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        *("ema", "ema of its own prefix", "timm", "swa", "by its counter", "in one mapping"),
        *("beside the plain names", "lightning"),
    ],
)
def test_averaged_weights_come_first(trained, other, tmp_path, kind, said):
    expected = build(0)
    expected.load_state_dict(scaled(trained.state_dict()))
    assert_loads(saved(averages(trained, kind), tmp_path / "a.pth"), other, expected)
    assert "92 averaged tensors of " in said()


def test_averages_of_swa_utils_alone(trained, other, tmp_path):
    average = AveragedModel(trained)
    average.update_parameters(trained)
    for content in average.state_dict(), {"model": average.state_dict()}:
        assert_loads(saved(content, tmp_path / "a.pth"), other, trained)


def test_what_lightnings_own_averaging_saves(network, tmp_path):
    from torch.utils.data import DataLoader

    class Loop(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = build(0)

        def training_step(self, batch, _):
            return self.model(batch).square().mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    averaging = lightning.callbacks.WeightAveraging()
    trainer = lightning.Trainer(
        max_steps=2,
        accelerator="cpu",
        callbacks=[averaging],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(Loop(), DataLoader(torch.randn(4, 1, 32, 32), 2))
    (path,) = tmp_path.rglob("*.ckpt")
    content = torch.load(path, weights_only=True)
    load_checkpoint(network, str(path), "net")
    for name, value in network.state_dict().items():
        assert torch.equal(value, content["state_dict"][f"model.{name}"])
    newest = content["current_model_state"]["model.fc.weight"]
    assert not torch.equal(network.state_dict()["fc.weight"], newest)


def test_the_same_weights_twice_are_no_question(trained, other, tmp_path):
    content = {"model": trained.state_dict(), "state_dict": under("net.", trained.state_dict())}
    assert_loads(saved(content, tmp_path / "a.pth"), other, trained)


def test_weights_that_could_both_be_meant_are_refused(trained, other, tmp_path):
    own = trained.state_dict()
    content = {"teacher": own, "student": under("net.", scaled(own))}
    message = "under teacher and different ones under student, net.*; save the ones you mean"
    path = saved(content, tmp_path / "a.pth")
    refused(re.escape(message), load_checkpoint, other, path, "net")
    content = {"ema": own, "model_swa": scaled(own), "model": own}
    path = saved(content, tmp_path / "a.pth")
    refused("under ema and different ones under model_swa", load_checkpoint, other, path, "net")
    # the advice
    assert_loads(saved(torch.load(path)["ema"], tmp_path / "meant.pth"), other, trained)


def test_an_optimisers_tensors_of_the_same_names_are_not_taken_in_silence(tmp_path):
    vit = build(0, {"architecture": "test_vit"})
    content = {"model": vit.state_dict(), "momentum": scaled(vit.state_dict(), 0.0)}
    path = saved(content, tmp_path / "a.pth")
    refused("under model and different ones under momentum", load_checkpoint, vit, path, "net")


@pytest.mark.parametrize("kind", ["by name", "under a prefix", "by position"])
def test_weights_for_other_categories_are_refused_with_both_numbers(network, other, tmp_path, kind):
    weights = build(0, n_categories=10).state_dict()
    if kind != "by name":
        weights = under("model." if kind == "under a prefix" else "_", weights)
    path = saved({"state_dict": weights}, tmp_path / "a.pth")
    refused(r"is for 10 categories, the network for 7; give", load_checkpoint, other, path, "net")


def test_weights_that_are_not_finite_are_refused(network, other, tmp_path):
    digest = weights_digest(other)
    for value, dtype in (np.nan, torch.float32), (np.inf, torch.float16), (1e300, torch.float64):
        weights = network.state_dict()
        weights["bn1.bias"] = weights["bn1.bias"].to(dtype, copy=True)
        weights["bn1.bias"][2] = value
        path = saved({"model": weights}, tmp_path / "a.pth")
        message = "has bn1.bias with 1 of 32 values not finite"
        refused(message, load_checkpoint, other, path, "net")
    assert weights_digest(other) == digest


def test_weights_that_are_no_plain_numbers_are_refused(network, other, tmp_path):
    name = "fc.weight"
    plain = network.state_dict()[name]
    for value in (
        plain.to(torch.int8),
        torch.quantize_per_tensor(plain, 0.1, 0, torch.qint8),
        plain.to_sparse(),
        plain.to("meta"),
        plain.to(torch.complex64),
    ):
        path = saved({**network.state_dict(), name: value}, tmp_path / "a.pth")
        refused("has fc.weight as .* not as plain", load_checkpoint, other, path, "net")


def test_more_than_the_network_has_is_another_network(network, other, tmp_path):
    """A second head, or a block: left out, the logits would be others."""
    more = {**network.state_dict(), "aux.weight": torch.ones(3)}
    for prefix in "", "model.":
        path = saved({"state_dict": under(prefix, more)}, tmp_path / "a.pth")
        message = r"has, and the network does not have, 1 tensors \(aux.weight\)"
        refused(message, load_checkpoint, other, path, "net")


def test_where_the_lacking_tensors_were_looked_for_is_said(network, other, tmp_path):
    some = dict(list(network.state_dict().items())[1:])
    path = saved({"state_dict": under("model.", some)}, tmp_path / "a.ckpt")
    message = r"\(state_dict, model\.\*\) lacks 1 tensors \(conv1\.0\.weight\)"
    refused(message, load_checkpoint, other, path, "net")
    path = saved({"features.0.weight": torch.ones(3)}, tmp_path / "a.pth")
    refused("its names are like features.0.weight", load_checkpoint, other, path, "net")
