"""Networks by timm: built from their configuration, loaded from a checkpoint, described on a card."""

import difflib
import hashlib
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from timm.data import resolve_model_data_config
from torch import Tensor, nn

from neuraldeps.errors import InputError
from neuraldeps.stores import aside

logger = logging.getLogger(__name__)

OVERLAY = ("input_size", "mean", "std", "interpolation", "crop_pct", "crop_mode")


class Standardise(nn.Module):
    """Turn 8-bit pixels into what a network was trained on: ``(pixel / 255 - mean) / std``.

    Parameters
    ----------
    data_config : mapping
        timm's data configuration of the network, of which `mean` and `std` are used.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, data_config: Mapping[str, Any]) -> None:
        super().__init__()
        for name in "mean", "std":
            value = torch.tensor(data_config[name], dtype=torch.float32) * 255
            self.register_buffer(name, value.reshape(1, -1, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Standardise a batch (image, channel, y, x) uint8 to float32."""
        return pixels.float().sub_(self.mean).div_(self.std)


def build_network(
    name: str,
    spec: Mapping[str, Any],
    n_categories: int,
    data_config: Mapping[str, Any] | None = None,
    *,
    seed: int | None = None,
) -> nn.Module:
    """Build a timm network with the weights it starts from.

    Parameters
    ----------
    name : str
        Name of the model in the configuration, for error messages.
    spec : mapping
        `architecture` (timm's name), optionally `model_kwargs` (for `timm.create_model`) and
        `pretrained` (weights by timm).
    n_categories : int
    data_config : mapping, optional
        What the images are, in timm's words (`input_size` (channel, y, x), `mean`, `std`,
        `interpolation`, `crop_pct`, `crop_mode`), in place of the architecture's own. Before it come
        `data_kwargs` in `spec`, of the same names, and `img_size`, the side of square images.
    seed : int, optional
        Seed of the initial weights.

    Returns
    -------
    Module
        In evaluation mode. ``timm.data.resolve_model_data_config(network)`` tells its preprocessing.

    Raises
    ------
    InputError
        If timm does not know the architecture, does not take its options, or has no weights of it
        for these categories.
    """
    architecture, model_kwargs = spec["architecture"], dict(spec.get("model_kwargs") or {})
    if not timm.is_model(architecture):
        near = timm.list_models(f"*{architecture}*")[:3] or _nearest(architecture)
        raise InputError(
            f"models.{name}.architecture: timm knows no {architecture!r}; nearest are {', '.join(near)}"
        )
    pretrained = bool(spec.get("pretrained"))
    check_pretrained(name, spec, n_categories)
    overlay = {
        key: value
        for config in (data_config or {}, spec.get("data_kwargs") or {})
        for key, value in config.items()
        if key in OVERLAY and value is not None
    }
    overlay = {key: tuple(v) if isinstance(v, list) else v for key, v in overlay.items()}
    channels = overlay.get("input_size", (3,))[0]
    if spec.get("img_size"):
        overlay["input_size"] = (channels, spec["img_size"], spec["img_size"])
    # what is given stands for judging, too
    overlay |= {f"test_{key}": None for key in ("input_size", "crop_pct") if key in overlay}
    if seed is not None:
        torch.manual_seed(seed)
    try:
        network = timm.create_model(
            architecture,
            pretrained=pretrained,
            num_classes=n_categories,
            in_chans=channels,
            pretrained_cfg_overlay=overlay or None,
            **model_kwargs,
        )
    except OSError as error:
        raise InputError(
            f"models.{name}.pretrained: the weights of {architecture} cannot be fetched "
            f"({_first_line(error)}); connect to the network, or give models.{name}.checkpoint"
        ) from error
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise InputError(
            f"models.{name}.model_kwargs: {architecture} cannot be built with {model_kwargs} "
            f"({_first_line(error)}); take options of its timm constructor"
        ) from error
    return network.eval()


def check_pretrained(name: str, spec: Mapping[str, Any], n_categories: int) -> None:
    """Refuse weights that timm has not, or has for other categories: it would draw new ones.

    Parameters
    ----------
    name, spec, n_categories
        See `build_network`.

    Raises
    ------
    InputError
        Where `pretrained` is asked for and cannot be had.
    """
    architecture = spec["architecture"]
    if not spec.get("pretrained") or not timm.is_model(architecture):
        return
    if not timm.is_model_pretrained(architecture):
        raise InputError(
            f"models.{name}.pretrained: timm has no weights of {architecture}; "
            f"give models.{name}.checkpoint or models.{name}.train"
        )
    weights = timm.get_pretrained_cfg(architecture)
    n_pretrained = weights.num_classes if weights else None
    if n_pretrained != n_categories:
        raise InputError(
            f"models.{name}.pretrained: the weights of {architecture} are for {n_pretrained} "
            f"categories, dataset.n_categories is {n_categories}; correct the one or the other"
        )


def load_checkpoint(network: nn.Module, path: str, name: str) -> None:
    """Load weights into a network; safetensors, or anything that `torch.load` reads as weights only.

    Weights under other names are taken by timm's own filter of the architecture, else by position:
    where the tensors, in their order, have the shapes and kinds (weight, bias, running mean, ...) of
    the network's own. Safetensors keeps no order, so that its names must be known.

    Parameters
    ----------
    network : Module
    path : str
    name : str
        Name of the model in the configuration, for error messages.

    Raises
    ------
    InputError
        If the file cannot be read, or holds other names or shapes than the network.
    """
    key = f"models.{name}.checkpoint: {path}"
    if not Path(path).is_file():
        raise InputError(f"{key} does not exist; correct the path")
    try:
        weights = timm.models.load_state_dict(path, device="cpu", weights_only=True)
    except (SafetensorError, UnpicklingError, RuntimeError, OSError, AttributeError) as error:
        raise InputError(
            f"{key} cannot be read as weights alone ({_first_line(error)}); "
            "give safetensors or a saved state dict"
        ) from error
    own = network.state_dict()
    weights = _rename(weights, network, key)
    for problem, names in (
        ("lacks", [n for n in own if n not in weights]),
        ("has, and the network has not,", [n for n in weights if n not in own]),
    ):
        if names:
            raise InputError(
                f"{key} {problem} {len(names)} tensors ({', '.join(names[:3])}); "
                f"set models.{name}.architecture and model_kwargs to what it was trained with"
            )
    for tensor, value in own.items():
        if value.shape != weights[tensor].shape:
            raise InputError(
                f"{key} has {tensor} of shape {tuple(weights[tensor].shape)}, the network "
                f"{tuple(value.shape)}; correct the checkpoint, model_kwargs or the number of categories"
            )
    network.load_state_dict(weights)


def _rename(weights: dict[str, Tensor], network: nn.Module, key: str) -> dict[str, Tensor]:
    """Weights under the network's own names where their order tells which is which."""
    own = network.state_dict()
    adapt = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if weights.keys() != own.keys() and adapt is not None:
        try:
            adapted = adapt(dict(weights), network)
        except (KeyError, AttributeError, RuntimeError, TypeError, ValueError) as error:
            logger.info("%s: timm's filter of other projects' names fails (%r)", key, error)
        else:
            if adapted.keys() == own.keys():
                logger.info("%s: names are another project's; timm's filter knows them", key)
                return adapted
    is_ordered = not key.endswith(".safetensors")
    if weights.keys() == own.keys() or not is_ordered or _kinds(weights) != _kinds(own):
        return weights
    logger.warning(
        "%s: has other names than the network; its %d tensors are taken by position, where shapes and "
        "kinds are the same (%s is %s)",
        *(key, len(own), next(iter(weights)), next(iter(own))),
    )
    return dict(zip(own, weights.values(), strict=True))


def _kinds(weights: Mapping[str, Tensor]) -> list[tuple[str, torch.Size]]:
    return [(name.rsplit(".", 1)[-1], value.shape) for name, value in weights.items()]


def save_checkpoint(network: nn.Module, path: str) -> None:
    """Save weights as safetensors, whole or not at all."""
    with aside(path) as work:
        save_file({name: value.contiguous() for name, value in network.state_dict().items()}, work)


def weights_digest(network: nn.Module) -> str:
    """SHA-256 of a network's weights, hexadecimal: names, shapes and bytes."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def describe_network(
    name: str,
    spec: Mapping[str, Any],
    network: nn.Module,
    n_categories: int,
    *,
    use_test_size: bool = False,
) -> dict[str, Any]:
    """Describe a network after having seen it work on one blank image.

    Parameters
    ----------
    name, spec, n_categories
        See `build_network`.
    network : Module
    use_test_size : bool
        Take the image size and crop that timm judges its weights at, where they differ from those
        they were trained at.

    Returns
    -------
    dict
        `architecture`, `model_kwargs`, `n_categories`, `param_count`, `feature_dimension` d (what
        the classifier sees), `rank_bound` ``min(n_categories, d + 1)`` of its logits, and timm's
        data configuration: `input_size`, `mean`, `std`, `interpolation`, `crop_pct`, `crop_mode`.

    Raises
    ------
    InputError
        If the network does not take images of its `input_size`, or gives another number of logits.
    """
    data_config = resolve_model_data_config(network, use_test_size=use_test_size)
    with torch.inference_mode():
        try:
            logits = network(torch.zeros(1, *data_config["input_size"]))
        except (RuntimeError, AssertionError, ValueError) as error:
            raise InputError(
                f"models.{name}.architecture: {spec['architecture']} does not take images of "
                f"{data_config['input_size']} ({_first_line(error)}); correct img_size in its model_kwargs"
            ) from error
    if logits.shape != (1, n_categories):
        raise InputError(
            f"models.{name}.architecture: {spec['architecture']} gives an output of shape "
            f"{tuple(logits.shape)}, expected (1, {n_categories}); take a network that classifies"
        )
    dimension = _feature_dimension(network)
    return {
        "model": name,
        "architecture": spec["architecture"],
        "model_kwargs": dict(spec.get("model_kwargs") or {}),
        "n_categories": n_categories,
        "param_count": sum(parameter.numel() for parameter in network.parameters()),
        "feature_dimension": dimension,
        "rank_bound": min(n_categories, dimension + 1),
        **{key: list(v) if isinstance(v, tuple) else v for key, v in data_config.items()},
    }


def _feature_dimension(network: Any) -> int:
    """Dimension of what the linear classifier sees."""
    classifier = network.get_classifier()
    for attribute in "in_features", "in_channels":
        if hasattr(classifier, attribute):
            return int(getattr(classifier, attribute))
    return int(getattr(network, "head_hidden_size", network.num_features))


def _nearest(architecture: str) -> list[str]:
    return difflib.get_close_matches(architecture, timm.list_models(), n=3, cutoff=0)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
