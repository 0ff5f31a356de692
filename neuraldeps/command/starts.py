"""Configurations to start from: readable, and right as they are but for paths and counts."""

from collections.abc import Mapping
from typing import Any

import yaml

PHOTOS = """\
# Neural dependencies of image classifiers, from weights and images in folders.
# Paths are relative to the folder that `neuraldeps run` is typed in. All other keys have defaults.

dataset:
  kind: photos
  n_categories: 1000
  # In the order of the networks' outputs: imagenet-1k, or a .csv with the columns code and name.
  # null: the folders' names, in the order of the numbers in them.
  categories: imagenet-1k
  splits:
    # data/train/CATEGORY/*.jpg; more images than categories
    fit: {data_dir: data, origin_split: train, samples_per_category: 50}
    # data/val/CATEGORY/*.jpg; data_dir may also be a folder without splits, or a .tar
    test: {data_dir: data, origin_split: validation}

# Dependencies are found on the images of fit, and judged on those of test.
roles: {fit: fit, test: test}

models:
  # a name of your own, and an architecture of timm: `timm.list_models()` has them all
  mine:
    architecture: resnet50
    # .safetensors, .pth, .pt or .ckpt; or `pretrained: true` for timm's own weights
    checkpoint: mine.safetensors

# How images are run: raise workers for speed, gpu to 1 where there is one. No result depends on it.
resources: {workers: 2, gpu: 0}
"""


def logits_start(
    models: Mapping[str, Mapping[str, Any]],
    n_categories: int,
    categories: str | None = None,
    centering: str = "none",
) -> str:
    """A configuration of a classifier's logits, with comments.

    Parameters
    ----------
    models : mapping
        By name, the paths of `logits`, `labels` and `paths`, each by split.
    n_categories : int
        Of the classifier.
    categories : str, optional
        Table of their codes and names.
    centering : str
        ``none`` or ``per_image``.

    Returns
    -------
    str
        YAML.
    """
    named = {"categories": categories} if categories else {}
    dataset = {"kind": "logits", "n_categories": n_categories, **named}
    dataset["splits"] = {"fit": {}, "test": {}}
    return "\n".join(
        [
            "# Neural dependencies of a classifier of any kind of input, from its logits.",
            "# `neuraldeps run` in this folder runs it; all other keys have defaults.",
            "",
            "# The categories, in the order of the logits' columns, and the two sets of inputs.",
            *_block(dataset=dataset),
            "",
            "# Dependencies are found on the inputs of fit, and judged on those of test.",
            "roles: {fit: fit, test: test}",
            "",
            "# Logits (input, category) before any softmax, and each input's category, -1 for none.",
            *_block(models={name: dict(parts) for name, parts in models.items()}),
            "",
            "# per_image subtracts each input's mean: for log-probabilities, or logits up to a constant.",
            *_block(centering=centering),
            "",
            "# What a dependency is worth: on halves of the inputs, beside controls, by the theory. Each of",
            "# them takes as long as the dependencies themselves, and can be turned off.",
            "stability: {enabled: true}",
            "controls: {enabled: true}",
            "theory: {enabled: true, redundancy: true}",
            "",
        ]
    )


def _block(**keys: Any) -> list[str]:
    text = yaml.safe_dump(keys, sort_keys=False, allow_unicode=True, width=1000)
    return text.rstrip("\n").split("\n")


EXAMPLE: dict[str, dict[str, dict[str, str]]] = {
    "mine": {
        "logits": {"fit": "fit.npy", "test": "test.npy"},
        "labels": {"fit": "fit_labels.npy", "test": "test_labels.npy"},
    }
}
