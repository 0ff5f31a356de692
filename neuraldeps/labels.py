"""Labels of images: where they stand among some categories, and how often they came before."""

import numpy as np


def position_among(categories: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Position of each label among some ascending categories, -1 where it is none of them.

    Examples
    --------
    >>> position_among(np.array([2, 5]), np.array([5, 3, 2, 9]))
    array([ 1, -1,  0, -1])
    """
    at = np.searchsorted(categories, label)
    found = categories[np.minimum(at, len(categories) - 1)] == label
    return np.where(found, at, -1)


def rank_within_label(label: np.ndarray) -> np.ndarray:
    """How many earlier images show the same category.

    Examples
    --------
    >>> rank_within_label(np.array([7, 7, 1, 7, 1]))
    array([0, 1, 0, 2, 1])
    """
    order = np.argsort(label, kind="stable")
    ordered = label[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    counts = np.diff(np.r_[starts, len(label)])
    rank = np.empty(len(label), np.int64)
    rank[order] = np.arange(len(label)) - np.repeat(starts, counts)
    return rank
