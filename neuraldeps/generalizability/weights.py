"""The store of what new categories' logits are as combinations of base categories' logits."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from threadpoolctl import threadpool_limits

from neuraldeps.generalizability.learning import Learned, Variant, check_images, learn_variant
from neuraldeps.generalizability.partition import Split
from neuraldeps.generalizability.training_logits import TrainingLogits
from neuraldeps.images.labels import rank_within_label
from neuraldeps.logs import progress
from neuraldeps.stores import fingerprint, open_store, provenance, strings
from neuraldeps.stores.layouts import WEIGHTS


def fit_new_categories(
    logits: str,
    split: Split,
    *,
    variants: Mapping[str, Mapping[str, Any]],
    samples_per_category: int | None,
    held_out_every: int,
    binary: bool,
    model: str,
    seed: int,
) -> tuple[xr.Dataset, dict[str, Learned]]:
    """Learn the new categories from a base network's stored logits, in every variant.

    Parameters
    ----------
    logits : str
        Store of the base network's logits of training images.
    split : Split
        Name of the split that W is learned on.
    variants : mapping of str to mapping
        Fields of `Variant` by the variants' names.
    samples_per_category : int, optional
        Images of every category that `W` is learned from; all by default.
    held_out_every : int
        One in so many images is held out to choose a strength on.
    binary : bool
        Whether to tell new categories from the others, on a balanced set of images.
    model : str
        Name of the network.
    seed : int
        Of the split; for the attributes.

    Returns
    -------
    xarray.Dataset
        `weights` (variant, new_category, base_category), their certified gap and their strength.
    dict of str to Learned
        By the variants' names; they know how long it took, which is no result.

    Raises
    ------
    InputError
        As `check_images` and `learn_variant`.
    """
    stored = open_store(logits)
    # of the one category, positive and negative images are what the paper learns from
    over = {"images": "all"} if binary else {}
    wanted = {name: Variant(**{**how, **over}) for name, how in variants.items()}
    label = stored["label"].values.astype(np.int64)
    images, rank = _training_images(stored, split, samples_per_category, binary)
    is_new = np.isin(label[images], split.new)
    is_held_out = rank % held_out_every == held_out_every - 1
    for variant in wanted.values():
        check_images(variant, is_new, is_held_out)
    with threadpool_limits(1, "blas"):
        data = TrainingLogits.from_logits(
            stored["logits"], label, split, images=images, binary=binary
        )
        learned = {
            name: learn_variant(data, len(split.new), variant, is_held_out)
            for name, variant in progress(wanted.items(), "learn W", len(wanted), "variant")
        }
    config = {
        "model": model,
        "variants": {name: dict(how) for name, how in variants.items()},
        "samples_per_category": samples_per_category,
        "held_out_every": held_out_every,
        "binary": binary,
    }
    attrs = provenance(
        "fit_new_categories",
        "New categories' logits as linear combinations of base categories' logits",
        config=config,
        sources={"logits": fingerprint(logits)},
        seed=seed,
        packages=("scipy",),
    )
    attrs["n_images"] = len(images)
    attrs["n_images_of_new"] = int(is_new.sum())
    attrs["rank"] = data.features.shape[1]
    return _dataset(learned, wanted, split, stored, attrs), learned


def _training_images(
    stored: xr.Dataset, split: Split, samples_per_category: int | None, binary: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Which images `W` is learned from, and the rank of each among those that it is held out of."""
    label = stored["label"].values
    view = stored["view"].values if "view" in stored else np.zeros(len(label), np.int64)
    # an image without a label is of no category, neither a base one nor a new one
    is_learned = label >= 0
    if "part" in stored:
        is_learned &= stored["part"].values == "train"
    images = np.flatnonzero(is_learned)
    label, view = label[images], view[images]
    if binary:
        # of a balanced set, base categories have an image or two each: every k-th image of each side
        return images, rank_within_label(np.isin(label, split.new).astype(int), view)
    rank = rank_within_label(label, view)
    taken = rank < (samples_per_category or len(label))
    return images[taken], rank[taken]


def _dataset(
    learned: Mapping[str, Learned],
    variants: Mapping[str, Variant],
    split: Split,
    stored: xr.Dataset,
    attrs: Mapping[str, Any],
) -> xr.Dataset:
    grid = max(len(variant.strengths) for variant in variants.values())

    def padded(values) -> np.ndarray:
        return np.pad(np.asarray(values, float), (0, grid - len(values)), constant_values=np.nan)

    solutions = [one.solution for one in learned.values()]
    return WEIGHTS.dataset(
        {
            "weights": np.stack([one.weights for one in solutions]),
            "gap": np.array([one.gap for one in solutions]),
            "passes": np.array([one.passes for one in solutions]),
            "strength": np.array([one.strength for one in learned.values()], float),
            "candidate_strength": np.stack([padded(one.strengths) for one in variants.values()]),
            "held_out_accuracy": np.stack(
                [padded(one.held_out_accuracy) for one in learned.values()]
            ),
        },
        {
            "variant": strings(list(learned)),
            "images": strings([one.images for one in variants.values()]),
            "penalty": strings([one.penalty for one in variants.values()]),
            "new_category": split.new.astype(np.int32),
            "base_category": split.base.astype(np.int32),
        },
        attrs,
    )
