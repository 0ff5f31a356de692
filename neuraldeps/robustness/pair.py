"""The pair of categories whose dependency is cut off."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr

from neuraldeps.arms import TINY
from neuraldeps.categories import Category, categories, find_category
from neuraldeps.errors import InputError


@dataclass(frozen=True)
class Pair:
    """Target i and source j, and why they were chosen.

    Attributes
    ----------
    target, source : int
        Category indices.
    target_name, target_code, source_name, source_code : str
    chosen : {"auto", "config"}
    support_size : int
        The dependency that was looked at has at most so many sources.
    coef : float
        theta_j of i there; 0 where j is not among the sources.
    shared_words : int
        Words that both names carry.
    shape_distance : float or None
        See `shape_distances`; None without bitmaps.
    """

    target: int
    source: int
    target_name: str
    target_code: str
    source_name: str
    source_code: str
    chosen: str
    support_size: int
    coef: float
    shared_words: int
    shape_distance: float | None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON.

        Returns
        -------
        dict
            By field.
        """
        return asdict(self)


def choose_pair(
    paths: xr.Dataset,
    bitmaps: np.ndarray | None = None,
    wanted: Sequence[str] | None = None,
    *,
    support_size: int = 4,
    shape_quantile: float = 0.75,
    key: str = "robustness.category_pair",
) -> Pair:
    """Choose the pair whose dependency is cut off: as configured, or the most irrational large one.

    Of all pairs (i, j) with a coefficient in i's dependency on at most `support_size` categories and
    with shapes less alike than `shape_quantile` of all pairs of categories, those whose names share
    the fewest words (in practice: none), and of these the one with the largest ``|theta_j|``.

    Parameters
    ----------
    paths : xarray.Dataset
        Store of CovLasso paths within one network.
    bitmaps : ndarray, shape (category, face, y, x), uint8, optional
        Without them names alone decide.
    wanted : sequence of two str, optional
        Names, codes or characters of i and j, in place of an automatic choice.
    support_size : int
        Most sources of a dependency.
    shape_quantile : float
        Between 0 and 1.
    key : str
        Configuration key to name in an error.

    Returns
    -------
    Pair
        The two categories, and why they.

    Raises
    ------
    InputError
        If `wanted` names no category, one twice or a dead i, or nothing is left to choose from.
    """
    if support_size not in paths["support_size"].values:
        raise InputError(
            f"robustness.choose_pair.support_size is {support_size}; it must be at most covlasso.max_support, "
            f"{int(paths.sizes['support_size'])}"
        )
    at = paths.sel(support_size=support_size)
    support = at["support_at_support_size"].transpose("target_category", "slot").values
    coef = at["coef_at_support_size"].transpose("target_category", "slot").values
    known = categories(paths, "target_category")
    distance = None if bitmaps is None else shape_distances(bitmaps)
    if wanted is not None:
        target, source = (find_category(known, name, key) for name in wanted)
        if target == source:
            raise InputError(f"{key}: {wanted[0]!r} is given twice; name two categories")
        if not paths["alpha_max"].values[target] > 0:
            raise InputError(
                f"{key}: {wanted[0]!r} depends on no category at any penalty (its alpha_max is 0, as of a "
                "logit that is always 0); name another i"
            )
    else:
        target, source = _most_irrational(known, support, coef, distance, shape_quantile, key)
    slot = np.flatnonzero(support[target] == source)
    return Pair(
        target=target,
        source=source,
        target_name=known[target].name,
        target_code=known[target].code,
        source_name=known[source].name,
        source_code=known[source].code,
        chosen="auto" if wanted is None else "config",
        support_size=support_size,
        coef=float(coef[target, slot[0]]) if slot.size else 0.0,
        shared_words=len(_words(known[target]) & _words(known[source])),
        shape_distance=None if distance is None else float(distance[target, source]),
    )


def _most_irrational(
    known: Sequence[Category],
    support: np.ndarray,
    coef: np.ndarray,
    distance: np.ndarray | None,
    shape_quantile: float,
    key: str,
) -> tuple[int, int]:
    target, slot = np.nonzero(support >= 0)
    source, size = support[target, slot], np.abs(coef[target, slot])
    if distance is not None:
        bar = np.quantile(distance[np.triu_indices(len(distance), 1)], shape_quantile)
        unlike = distance[target, source] >= bar
        target, source, size = target[unlike], source[unlike], size[unlike]
    if not target.size:
        raise InputError(
            f"{key}: no dependency joins two categories of unlike shape; name a pair, or lower "
            f"robustness.choose_pair.shape_quantile, {shape_quantile}"
        )
    words = [_words(category) for category in known]
    shared = [len(words[i] & words[j]) for i, j in zip(target, source, strict=True)]
    best = np.lexsort([source, target, -size, shared])[0]
    return int(target[best]), int(source[best])


def _words(category: Category) -> set[str]:
    return set(re.findall(r"\w+", category.name.casefold()))


def shape_distances(bitmaps: np.ndarray) -> np.ndarray:
    """Distance of the shapes of all pairs of categories, at half resolution.

    Parameters
    ----------
    bitmaps : ndarray, shape (category, face, y, x), uint8
        Sides even.

    Returns
    -------
    ndarray, shape (category, category), float64
        ``|a - b|^2 / (|a|^2 + |b|^2)``, mean over faces: 0 for the same pixels, 1 where no pixel is
        inked in both.
    """
    n, n_faces, height, width = bitmaps.shape
    total = np.zeros((n, n))
    for face in range(n_faces):
        halves = bitmaps[:, face].reshape(n, height // 2, 2, width // 2, 2)
        flat = halves.mean((2, 4)).reshape(n, -1)
        square = np.einsum("ij,ij->i", flat, flat)
        norm = np.maximum(square[:, None] + square, TINY)
        total += 1 - 2 * (flat @ flat.T) / norm
    return total / n_faces
