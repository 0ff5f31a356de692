"""The estimators of dependencies: which sources each takes, and with which coefficients."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from neuraldeps.palette import BLUE, GREEN, ORANGE
from neuraldeps.refit import refit


class Solutions(NamedTuple):
    """Sparse combinations: `M` for each of `T` targets, of at most `S` sources.

    Attributes
    ----------
    support : ndarray of int32, shape (T, M, S)
        Source categories, padded with -1 at the end.
    coef : ndarray, shape (T, M, S), float64
        Their coefficients, padded with 0.
    """

    support: np.ndarray
    coef: np.ndarray


@dataclass(frozen=True)
class Solved:
    """What was solved for an ordered pair of networks, from which estimators take theirs.

    Attributes
    ----------
    second_moment : ndarray, shape (n, n), float64
        E[f f^T] of the source network, squared logits.
    cross_moment : ndarray, shape (n, n_target), float64
        E[f g^T], squared logits.
    targets : ndarray of int, shape (T,)
        Target categories.
    covlasso : Solutions
        CovLasso's, along its path or at penalties.
    best_subset : Solutions, optional
        The best subsets of every size; none at a penalty.
    """

    second_moment: np.ndarray
    cross_moment: np.ndarray
    targets: np.ndarray
    covlasso: Solutions
    best_subset: Solutions | None = None


@dataclass(frozen=True)
class Estimator:
    """One way to find a dependency, and how it is told from the others.

    Attributes
    ----------
    solutions : callable
        From `Solved` to `Solutions`.
    label : str
        Its name in figures.
    meaning : str
        What it is, for the notes of a table.
    color : str
        Of its curves.
    line_style : str or tuple
        Of its curves on the split that it was fitted on, as Matplotlib takes it.
    has_penalty : bool
        Whether it has a solution at every penalty, and not at every size alone.
    """

    solutions: Callable[[Solved], Solutions]
    label: str
    meaning: str
    color: str
    line_style: Any
    has_penalty: bool


def _lasso(solved: Solved) -> Solutions:
    return solved.covlasso


def _refit(solved: Solved) -> Solutions:
    support = solved.covlasso.support
    coef = refit(solved.second_moment, solved.cross_moment, solved.targets, support)
    return Solutions(support, coef)


def _subset(solved: Solved) -> Solutions:
    assert solved.best_subset is not None
    return solved.best_subset


ESTIMATORS = {
    "lasso": Estimator(
        _lasso, "lasso", "CovLasso's own solution", BLUE, (0, (1, 2)), has_penalty=True
    ),
    "refit": Estimator(
        _refit,
        "refit",
        "least squares on CovLasso's categories",
        ORANGE,
        (0, (4, 2)),
        has_penalty=True,
    ),
    "subset": Estimator(
        _subset,
        "subset",
        "the categories, at most as many, whose least-squares combination misses the logit least",
        GREEN,
        (0, (4, 1, 1, 1)),
        has_penalty=False,
    ),
}
WITH_PENALTY = [name for name, estimator in ESTIMATORS.items() if estimator.has_penalty]
