"""Labels of images: where they stand among some categories, and how often they came before."""

import numpy as np


def position_among(categories: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Position of each label among some ascending categories, -1 where it is none of them.

    Parameters
    ----------
    categories : ndarray of int, shape (k,)
        In ascending order.
    label : ndarray of int, shape (sample,)
        Labels, -1 where there is none.

    Returns
    -------
    ndarray of int64, shape (sample,)
        From 0.

    Examples
    --------
    >>> position_among(np.array([2, 5]), np.array([5, 3, 2, 9]))
    array([ 1, -1,  0, -1])
    """
    at = np.searchsorted(categories, label)
    found = categories[np.minimum(at, len(categories) - 1)] == label
    return np.where(found, at, -1)


def rank_within_label(label: np.ndarray, view: np.ndarray | None = None) -> np.ndarray:
    """How many earlier images show the same category; views of an image have one rank.

    Parameters
    ----------
    label : ndarray of int, shape (sample,)
        Category of each image, -1 where there is none.
    view : ndarray of int, shape (sample,), optional
        Number of a sample among the views of its image, which follow one another from 0.

    Returns
    -------
    ndarray of int64, shape (sample,)
        From 0.

    Examples
    --------
    >>> rank_within_label(np.array([7, 7, 1, 7, 1]))
    array([0, 1, 0, 2, 1])
    >>> rank_within_label(np.array([7, 7, 1, 1, 7, 7]), np.array([0, 1, 0, 1, 0, 1]))
    array([0, 0, 0, 0, 1, 1])
    """
    if view is not None:
        first = view == 0
        return rank_within_label(label[first])[np.cumsum(first) - 1]
    order = np.argsort(label, kind="stable")
    ordered = label[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    counts = np.diff(np.r_[starts, len(label)])
    rank = np.empty(len(label), np.int64)
    rank[order] = np.arange(len(label)) - np.repeat(starts, counts)
    return rank
