"""Accuracy of a classifier with learned categories, over all images and within groups."""

import numpy as np

from neuraldeps.generalizability.partition import Split
from neuraldeps.images.labels import position_among

GROUPS, ARGMAX = ("all", "base", "new"), ("full", "restricted")


def classified_rightly(
    base_logits: np.ndarray,
    new_logits: np.ndarray,
    label: np.ndarray,
    split: Split,
    *,
    binary: bool = False,
) -> np.ndarray:
    """Which images a classifier gets right: with the full arg-max, and with the restricted one.

    Parameters
    ----------
    base_logits : ndarray, shape (image, n_base)
        Logits of the base network.
    new_logits : ndarray, shape (image, n_new)
        W f of the same images.
    label : ndarray of int64, shape (image,)
        Among all categories; -1 where there is none, and no classifier is right.
    split : Split
        Base and new categories.
    binary : bool
        Whether the task is to tell new categories from the others: right is whether a new
        logit wins where it should, and nothing is restricted.

    Returns
    -------
    ndarray of bool, shape (image, 2)
        In the order of `ARGMAX`: over all categories, and over the image's own group, base or new
        (Table 4). A base category wins a tie, then the earlier one.
    """
    is_new = position_among(split.new, label) >= 0
    new_wins = new_logits.max(axis=1) > base_logits.max(axis=1)
    if binary:
        right = (new_wins == is_new) & (label >= 0)
        return np.stack([right, right], axis=1)
    winner_in_base = split.base[base_logits.argmax(axis=1)]
    winner_in_new = split.new[new_logits.argmax(axis=1)]
    full = np.where(new_wins, winner_in_new, winner_in_base) == label
    restricted = np.where(is_new, winner_in_new, winner_in_base) == label
    return np.stack([full, restricted], axis=1)


def group_accuracy(right: np.ndarray, is_new: np.ndarray) -> np.ndarray:
    """Shares of images classified rightly, per group of `GROUPS` and arg-max of `ARGMAX`.

    Parameters
    ----------
    right : ndarray of bool, shape (image, 2)
        Of images that have a label; see `classified_rightly`.
    is_new : ndarray of bool, shape (image,)
        Whether the label is a new category.

    Returns
    -------
    ndarray of float64, shape (3, 2)
        NaN for a group without images.
    """
    return np.stack([_share(right), _share(right[~is_new]), _share(right[is_new])])


def _share(right: np.ndarray) -> np.ndarray:
    return right.mean(axis=0) if len(right) else np.full(right.shape[1], np.nan)
