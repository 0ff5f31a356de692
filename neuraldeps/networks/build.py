"""Networks by timm: built from their configuration, described on a card."""

import difflib
from collections.abc import Mapping
from typing import Any

import timm
import torch
from timm.data import resolve_model_data_config
from torch import Tensor, nn

from neuraldeps.errors import InputError, first_line
from neuraldeps.networks.card import NetworkCard

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
        """Standardise a batch (image, channel, y, x) uint8 to float32.

        Parameters
        ----------
        pixels : Tensor, shape (image, channel, y, x), uint8
            As images are stored.

        Returns
        -------
        Tensor, float32
            Of the same shape.
        """
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
        Outputs of the classifier.
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
            f"({first_line(error)}); connect to the network, or give models.{name}.checkpoint"
        ) from error
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise InputError(
            f"models.{name}.model_kwargs: {architecture} cannot be built with {model_kwargs} "
            f"({first_line(error)}); use options of its timm constructor"
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
            f"categories, dataset.n_categories is {n_categories}; correct one of them"
        )


def describe_network(
    name: str,
    spec: Mapping[str, Any],
    network: nn.Module,
    n_categories: int,
    *,
    use_test_size: bool = False,
    categories: list[int] | None = None,
) -> NetworkCard:
    """Describe a network after having seen it work on one blank image.

    Parameters
    ----------
    name, spec, n_categories
        See `build_network`.
    network : Module
        With its weights.
    use_test_size : bool
        Take the image size and crop that timm evaluates its weights at, where they differ from those
        they were trained at.
    categories : list of int, optional
        Those that it knows, where it does not know all.

    Returns
    -------
    NetworkCard

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
                f"{data_config['input_size']} ({first_line(error)}); correct img_size in its model_kwargs"
            ) from error
    if logits.shape != (1, n_categories):
        raise InputError(
            f"models.{name}.architecture: {spec['architecture']} gives an output of shape "
            f"{tuple(logits.shape)}, expected (1, {n_categories}); choose a network that classifies"
        )
    dimension = _feature_dimension(network)
    data: dict[str, Any] = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in data_config.items()
    }
    return NetworkCard(
        model=name,
        architecture=spec["architecture"],
        model_kwargs=dict(spec.get("model_kwargs") or {}),
        n_categories=n_categories,
        param_count=sum(parameter.numel() for parameter in network.parameters()),
        feature_dimension=dimension,
        rank_bound=min(n_categories, dimension + 1),
        categories=categories,
        **data,
    )


def _feature_dimension(network: Any) -> int:
    """Dimension of what the linear classifier sees."""
    classifier = network.get_classifier()
    for attribute in "in_features", "in_channels":
        if hasattr(classifier, attribute):
            return int(getattr(classifier, attribute))
    return int(getattr(network, "head_hidden_size", network.num_features))


def _nearest(architecture: str) -> list[str]:
    return difflib.get_close_matches(architecture, timm.list_models(), n=3, cutoff=0)
