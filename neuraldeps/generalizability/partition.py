"""Categories drawn as base and new ones."""

import csv
from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """Base and new categories: ascending int64 indices, disjoint, together all of them."""

    base: np.ndarray
    new: np.ndarray


def split_categories(n_categories: int, n_new: int, seed: int) -> Split:
    """Draw the new categories.

    The same seed draws nested sets: the one of 999 -> 1 is among the hundred of 900 -> 100.

    Parameters
    ----------
    n_categories : int
        All categories.
    n_new : int
        How many of them are new.
    seed : int
        Of the draw.

    Returns
    -------
    Split
        Positions of base and new categories, ascending.

    Examples
    --------
    >>> split_categories(5, 2, seed=0)
    Split(base=array([0, 1, 3]), new=array([2, 4]))
    """
    order = np.random.default_rng(seed).permutation(n_categories)
    return Split(np.sort(order[n_new:]), np.sort(order[:n_new]))


def read_split(path: str) -> Split:
    """Read what `split_categories` drew, from the table with the columns `category` and `role`.

    Parameters
    ----------
    path : str
        A file that the rule `split_categories` made.

    Returns
    -------
    Split
        Positions of base and new categories.
    """
    with open(path, newline="", encoding="utf-8") as file:
        rows = [(int(row["category"]), row["role"]) for row in csv.DictReader(file)]
    base, new = ([category for category, is_a in rows if is_a == role] for role in ("base", "new"))
    return Split(np.array(base, np.int64), np.array(new, np.int64))
