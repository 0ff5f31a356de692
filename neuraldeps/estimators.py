"""The estimators of a dependency's coefficients, and least squares on a support."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from neuraldeps.palette import BLUE, ORANGE
from neuraldeps.refit import refit


@dataclass(frozen=True)
class Supports:
    """The supports of an ordered pair of networks, `M` of each of `T` targets, of at most `S` sources.

    Attributes
    ----------
    second_moment : ndarray, shape (n, n), float64
        E[f f^T] of the source network, squared logits.
    cross_moment : ndarray, shape (n, n_target), float64
        E[f g^T], squared logits.
    targets : ndarray of int, shape (T,)
        Target categories.
    support : ndarray of int32, shape (T, M, S)
        Source categories, padded with -1 at the end.
    lasso : ndarray, shape (T, M, S), float64
        CovLasso's coefficients on them, padded with 0.
    """

    second_moment: np.ndarray
    cross_moment: np.ndarray
    targets: np.ndarray
    support: np.ndarray
    lasso: np.ndarray


@dataclass(frozen=True)
class Estimator:
    """One way to give coefficients on supports, and how it is told from the others.

    Attributes
    ----------
    coefficients : callable
        From `Supports` to coefficients of shape (T, M, S), 0 where the support is padded.
    label : str
        Its name in figures.
    meaning : str
        What it is, for the notes of a table.
    color : str
        Of its curves.
    line_style : str or tuple
        Of its curves on the split that it was fitted on, as Matplotlib takes it.
    """

    coefficients: Callable[[Supports], np.ndarray]
    label: str
    meaning: str
    color: str
    line_style: Any


def _lasso(on: Supports) -> np.ndarray:
    return on.lasso


def _refit(on: Supports) -> np.ndarray:
    return refit(on.second_moment, on.cross_moment, on.targets, on.support)


ESTIMATORS = {
    "lasso": Estimator(_lasso, "lasso", "the solution itself", BLUE, (0, (1, 2))),
    "refit": Estimator(
        _refit, "refit", "least squares on the same categories", ORANGE, (0, (4, 2))
    ),
}
