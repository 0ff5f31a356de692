"""What Sec. 2.3 proves and supposes of CovLasso's zeros, counted over every solution of a pair.

With b = E[f g_i], lambda = 2 alpha and a solution w:

- Eq. 5: err(lambda) does not decrease with lambda, and lies between err(0) and E[g_i^2].
- Theorem 3: ``|b_j| / max |b| < 1 - 2 sqrt(M_jj) sqrt(m_i - err(0)) (1/lambda - 1/lambda_max)``
  makes w_j zero: j is *screened*.
- Conjecture 1: ``|b_j| < lambda / 2`` makes w_j zero, "seldom wrong": j is *supposed* zero.
"""

from typing import NamedTuple

import numpy as np
import xarray as xr

from neuraldeps.dependencies.covlasso import cross_moment
from neuraldeps.logs import progress
from neuraldeps.stores import fingerprint, map_array, open_store, provenance
from neuraldeps.stores.layouts import SPARSITY

ROUNDING = 1e-9  # of both sides of Theorem 3, and of m_i in Eq. 5
COUNTS = ("n_screened", "n_screened_wrong", "n_supposed", "n_supposed_wrong", "n_sources")


class Counts(NamedTuple):
    """Sources of one target at M penalties; each an ndarray of int64, shape (M,).

    Attributes
    ----------
    n_screened, n_screened_wrong
        Sources that Theorem 3 screens, and those of them that the solution has: always none.
    n_supposed, n_supposed_wrong
        Sources that Conjecture 1 supposes to be zero, and those of them that the solution has.
    n_sources
        Sources that the solution has.
    """

    n_screened: np.ndarray
    n_screened_wrong: np.ndarray
    n_supposed: np.ndarray
    n_supposed_wrong: np.ndarray
    n_sources: np.ndarray


def count_zeros(
    b: np.ndarray,
    size: np.ndarray,
    reach: float,
    alpha: np.ndarray,
    support: np.ndarray,
) -> Counts:
    """Hold Theorem 3 and Conjecture 1 against the solutions of one target (Sec. 2.3).

    Parameters
    ----------
    b : ndarray, shape (n,), float64, squared logits
        E[f_j g_i]; NaN for categories that may be no source.
    size : ndarray, shape (n,), float64, logits
        sqrt(M_jj).
    reach : float
        sqrt(m_i - err(0)), in logits; sqrt(m_i) where err(0) is not known, which screens less.
    alpha : ndarray, shape (M,), float64, squared logits
        Penalties, half of the paper's lambda; NaN where there is no solution.
    support : ndarray of int, shape (M, S)
        Sources of each solution, padded with -1.

    Returns
    -------
    Counts
        Of every penalty; zeros where there is no solution.

    Examples
    --------
    >>> b = np.array([4.0, 1.0, np.nan])
    >>> found = count_zeros(b, np.ones(3), 4.0, np.array([3.9]), np.array([[0]]))
    >>> [count.tolist() for count in found]
    [[1], [0], [1], [0], [1]]
    """
    magnitude = np.abs(b)
    is_allowed = np.isfinite(magnitude)
    largest = magnitude[is_allowed].max(initial=0.0)
    solved = np.isfinite(alpha) & (alpha > 0) & (largest > 0)
    has = np.zeros((len(alpha), len(b)), bool)
    row, slot = np.nonzero(support >= 0)
    has[row, support[row, slot]] = True
    bar = np.where(solved, alpha, 1.0)[:, np.newaxis]
    # 1/lambda - 1/lambda_max, with lambda = 2 alpha and lambda_max = 2 max |b|
    distance = 0.5 * (1 / bar - 1 / (largest or 1.0))
    threshold = 1 - 2 * size * reach * np.maximum(distance, 0.0)
    among = is_allowed & solved[:, np.newaxis]
    with np.errstate(invalid="ignore"):
        screened = among & (magnitude / (largest or 1.0) < threshold - ROUNDING)
        supposed = among & (magnitude < bar)
    each = (screened, screened & has, supposed, supposed & has, has & solved[:, np.newaxis])
    return Counts(*(mask.sum(axis=1) for mask in each))


def breaks_of_monotony(squared_error: np.ndarray, err0: float, power: float) -> int:
    """How often Eq. 5 is broken along a path: none, unless there is a bug.

    Parameters
    ----------
    squared_error : ndarray, shape (knots,), float64, squared logits
        err(lambda) at falling penalties; NaN beyond the path's end.
    err0 : float
        err(0), or a lower bound of it.
    power : float
        m_i = E[g_i^2].

    Returns
    -------
    int
        Knots with a larger error than the one before, above m_i or below err(0), by more than
        rounding.

    Examples
    --------
    >>> breaks_of_monotony(np.array([4.0, 3.0, 3.5, np.nan]), 0.0, 4.0)
    1
    """
    error = squared_error[np.isfinite(squared_error)]
    allowed = ROUNDING * power
    rises = np.diff(error) > allowed
    beyond = (error > power + allowed) | (error < err0 - allowed)
    return int(rises.sum() + beyond.sum())


def check_sparsity(
    paths: str,
    source: str,
    pair: str,
    models: tuple[str, str],
    *,
    exclude_own: bool,
    redundancy: str | None = None,
) -> xr.Dataset:
    """Hold Eq. 5, Theorem 3 and Conjecture 1 against every stored solution of a pair (Sec. 2.3).

    Parameters
    ----------
    paths : str
        CovLasso store of the ordered pair.
    source, pair : str
        Second moments of the source network, and of the pair.
    models : tuple of str
        Names of source and target.
    exclude_own : bool
        Whether, between two networks, the target's own category is no source.
    redundancy : str, optional
        Redundancy store of the network, within one: with its err(0), Theorem 3 screens more. It is
        the lower bound that holds for the logits as they are stored.

    Returns
    -------
    xarray.Dataset
        Of the layout `SPARSITY`: what `Counts` has, along sizes and along penalties.

    Raises
    ------
    ArithmeticError
        If Eq. 5 or Theorem 3 is broken anywhere: both are proven, so a solution is wrong.
    """
    solved = open_store(paths).load()
    gram, cross = map_array(source, "second_moment"), cross_moment(pair, models[0])
    targets = solved["target_category"].values
    power = solved["target_second_moment"].values
    size = np.sqrt(np.diagonal(gram))
    err0 = np.zeros(len(targets))
    if redundancy is not None:
        err0 = open_store(redundancy)["err0_at_least"].values[targets]
    solutions = {
        "": ("alpha_at_support_size", "support_at_support_size"),
        "_at_penalty": ("alpha_at_penalty", "support_at_penalty"),
    }
    alphas = {suffix: solved[alpha].values for suffix, (alpha, _) in solutions.items()}
    # without a certificate there is no solution
    alphas["_at_penalty"][np.isnan(solved["dual_gap_at_penalty"].values)] = np.nan
    found = {
        name + suffix: np.zeros(alpha.shape, np.int64)
        for suffix, alpha in alphas.items()
        for name in COUNTS
    }
    breaks = np.zeros(len(targets), np.int64)
    for row, target in enumerate(progress(targets, "check", len(targets), "target")):
        b = cross[:, target].copy()
        if models[0] == models[1] or exclude_own:
            b[target] = np.nan
        reach = np.sqrt(max(power[row] - err0[row], 0.0))
        for suffix, (_, support) in solutions.items():
            counts = count_zeros(b, size, reach, alphas[suffix][row], solved[support].values[row])
            for name, count in zip(COUNTS, counts, strict=True):
                found[name + suffix][row] = count
        breaks[row] = breaks_of_monotony(solved["squared_error"].values[row], err0[row], power[row])
    _refuse_what_is_proven_wrong(paths, targets, breaks, found)
    coords = {name: solved[name] for name in SPARSITY.coords if name in solved.coords}
    return SPARSITY.dataset(
        found | {"n_knots": solved["n_knots"].values},
        coords=coords,
        attrs={
            "source": models[0],
            "target": models[1],
            "n_allowed": len(size) - int(models[0] == models[1] or exclude_own),
            "uses_err0": redundancy is not None,
            **provenance(
                "check_sparsity",
                f"Eq. 5, Theorem 3 and Conjecture 1 on {models[0]} -> {models[1]}",
                config={"models": list(models), "exclude_own": exclude_own},
                sources={"paths": fingerprint(paths), "pair": fingerprint(pair)},
            ),
        },
    )


def _refuse_what_is_proven_wrong(
    paths: str, targets: np.ndarray, breaks: np.ndarray, found: dict[str, np.ndarray]
) -> None:
    wrong = [found["n_screened_wrong" + suffix].sum(axis=1) for suffix in ("", "_at_penalty")]
    for what, count in (("Theorem 3", wrong[0] + wrong[1]), ("Eq. 5", breaks)):
        if count.any():
            worst = int(count.argmax())
            raise ArithmeticError(
                f"{paths}: {what} does not hold for {np.count_nonzero(count)} targets, for category "
                f"{targets[worst]} {count[worst]} times; it is proven, so a solution is wrong: "
                "please report this"
            )
