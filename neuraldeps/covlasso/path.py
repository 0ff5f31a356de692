"""The exact CovLasso path and its solutions, for every target category, from second moments."""

from numbers import Real

import numpy as np

from neuraldeps.covlasso.batch import TOLERANCE, UNCERTIFIED, Problem, Result, solve_targets
from neuraldeps.covlasso.homotopy import REACHED_SUPPORT, STALLED
from neuraldeps.covlasso.kernels import aligned
from neuraldeps.covlasso.solution import CovLassoPath, CovLassoSolution
from neuraldeps.covlasso.validation import (
    UncertifiedError,
    as_alpha,
    as_cross_moment,
    as_indices,
    as_own,
    as_second_moment,
    check_cross_moment,
    check_positive_integer,
    check_second_moment,
)

# Below this fraction of alpha_max the rounding of the moments is no longer small against alpha,
# and no duality gap can be certified. alpha = 0 itself is the least squares problem, err(0).
PRECISION_FLOOR = 1e-8
_COPIED = 2048  # categories: up to here a copy costs little memory and saves much time


def pose(
    second_moment, cross_moment, target_second_moment, targets, sources, exclude_own, validate
) -> Problem:
    """Check the moments and arrange them for the kernels.

    Parameters
    ----------
    second_moment : (n_source, n_source) float64
        M, squared logits.
    cross_moment : (n_source, n_target) float64, optional
        B, squared logits; left out within a network.
    target_second_moment : (n_target,) float64, optional
        m, squared logits; required with `cross_moment`.
    targets : sequence of int, optional
        Target categories; default all.
    sources : sequence of int, optional
        Source categories allowed; default all.
    exclude_own : bool or sequence of int
        Source that each target leaves out.
    validate : bool
        Whether the moments are looked at.

    Returns
    -------
    Problem
        In the layout that kernels work on, without a copy of M where all sources are allowed.

    Raises
    ------
    MomentError
        If the moments are malformed or do not fit together.
    """
    matrix = as_second_moment(second_moment)
    n_sources = matrix.shape[0]
    within = cross_moment is None
    if within and target_second_moment is not None:
        raise ValueError(
            "target_second_moment was given without cross_moment; within a network leave both out."
        )
    if within:
        cross, moments = matrix.T, np.diagonal(matrix)
    else:
        cross, moments = as_cross_moment(cross_moment, target_second_moment, n_sources)
    targets = as_indices(targets, cross.shape[1], "targets")
    allowed = None if sources is None else as_indices(sources, n_sources, "sources")
    own = as_own(exclude_own, targets, n_sources, within=within)
    if validate:
        check_second_moment(matrix)
        if not within:
            check_cross_moment(cross, moments, np.diagonal(matrix), targets)
    if allowed is not None:
        position = np.full(n_sources + 1, -1)
        position[allowed] = np.arange(allowed.size)
        own = position[own]
        matrix = np.ascontiguousarray(matrix[np.ix_(allowed, allowed)])
        matrix.flags.writeable = False
    return Problem(
        second_moment=_line_up(matrix),
        cross_moment=cross,
        target_second_moment=np.ascontiguousarray(moments[targets], dtype=np.float64),
        own=own,
        targets=targets,
        allowed=allowed,
    )


def _line_up(matrix: np.ndarray) -> np.ndarray:
    """A copy whose rows start on cache lines; large moments are used where they are."""
    n_sources = len(matrix)
    if n_sources > _COPIED:
        return matrix
    copy = aligned(n_sources, n_sources)
    copy[:, :n_sources] = matrix
    copy.flags.writeable = False
    return copy


def _renumber(result: Result, problem: Problem) -> np.ndarray:
    """Supports in the full numbering of the sources."""
    if problem.allowed is None:
        return result.support
    return np.append(problem.allowed, -1).astype(np.int32)[result.support]


def _refuse_uncertified(result: Result, problem: Problem, uncertified: np.ndarray) -> None:
    """Raise for the first of the targets whose solution, or whose path's end, is not certified."""
    for t in np.flatnonzero(uncertified)[:1]:
        last = result.n_knots[t] - 1
        gap, alpha = result.dual_gap[t, last], result.alpha[t, last]
        moment = problem.target_second_moment[t]
        if gap <= TOLERANCE * moment:
            why = f"the path of target {problem.targets[t]} cannot be certified below alpha={alpha:.6g}"
        else:
            why = (
                f"target {problem.targets[t]} cannot be certified at alpha={alpha:.6g}: duality gap "
                f"{gap:.3g} exceeds {TOLERANCE:g} of its second moment {moment:.6g}"
            )
        raise UncertifiedError(f"{why}; use a larger alpha or a smaller support.")


def covlasso_path(
    second_moment,
    cross_moment=None,
    target_second_moment=None,
    *,
    targets=None,
    sources=None,
    exclude_own=True,
    max_support: int = 20,
    alpha_min: float = 0.0,
    n_threads: int = 1,
    validate: bool = True,
) -> CovLassoPath:
    r"""Exact, certified CovLasso path of every target category, from second moments alone.

    For target `i` of network g and the categories of network f the path holds, for every
    `alpha` from `alpha_max` down, the minimiser of

        1/2 E[(g_i - w.f)^2] + alpha |w|_1
            = 1/2 (m_i - 2 b.w + w.M w) + alpha |w|_1,      b = B[:, i],

    without intercept, centring or normalisation. `alpha` has scikit-learn's meaning, the
    paper's (Eq. 2) `lambda` is `2 * alpha`. Within a network g = f.

    Parameters
    ----------
    second_moment : (n_source, n_source) float64
        `M = E[f f^T]`, squared logits. Used in place when contiguous, memory-mapped or not.
    cross_moment : (n_source, n_target) float64, optional
        `B = E[f g^T]` over the same images; any strides. Left out within a network.
    target_second_moment : (n_target,) float64
        `m_i = E[g_i^2]`, required with `cross_moment`.
    targets : sequence of int, optional
        Target categories; default all.
    sources : sequence of int, optional
        Source categories allowed; default all. Their block of `M` is copied. Results keep the
        full numbering.
    exclude_own : bool or sequence of int
        Leave out the source with the target's index (always so within a network), or the source
        given for each target, -1 for none.
    max_support : int
        A path ends where its support would exceed this.
    alpha_min : float
        A path ends at this penalty. 0 means the end of what float64 can certify, 1e-8 of
        `alpha_max`.
    n_threads : int
        Threads; results are the same bytes for any number.
    validate : bool
        Check that the moments are finite, symmetric and positive semidefinite. Turn it off for
        further batches over moments already checked.

    Returns
    -------
    CovLassoPath

    Raises
    ------
    MomentError
        If the moments are malformed or do not fit together.
    UncertifiedError
        If not even the first knot of a path can be certified. Where a later one's duality gap
        exceeds 1e-12 of the target's second moment the path ends above it, `ended_by` says so, and
        what lies below is an error when it is asked for.

    References
    ----------
    Feng et al. "Neural Dependencies Emerging from Learning Massive Categories". CVPR 2023.

    Examples
    --------
    >>> import numpy as np
    >>> logits = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.5], [1.0, 0.0, 2.0]])
    >>> path = covlasso_path(logits.T @ logits / 4, max_support=1)
    >>> path.alpha[0, : path.n_knots[0]].round(4)
    array([0.75, 0.5 ])
    """
    max_support = check_positive_integer(max_support, "max_support")
    n_threads = check_positive_integer(n_threads, "n_threads")
    if not (isinstance(alpha_min, Real) and np.isfinite(alpha_min) and alpha_min >= 0):
        raise ValueError(f"alpha_min={alpha_min}; it must be one number, finite and not negative.")
    problem = pose(
        second_moment, cross_moment, target_second_moment, targets, sources, exclude_own, validate
    )
    result = solve_targets(
        problem,
        np.full(problem.targets.size, float(alpha_min)),
        floor=PRECISION_FLOOR if alpha_min == 0 else 0.0,
        max_support=max_support,
        last_only=False,
        n_threads=n_threads,
    )
    _refuse_uncertified(result, problem, (result.status == UNCERTIFIED) & (result.n_knots == 1))
    ended_by = np.full(problem.targets.size, "alpha" if alpha_min > 0 else "precision", "U11")
    ended_by[result.status == REACHED_SUPPORT] = "support"
    ended_by[np.isin(result.status, (UNCERTIFIED, STALLED))] = "certificate"
    return CovLassoPath(
        targets=problem.targets,
        n_knots=result.n_knots,
        alpha=result.alpha,
        support_size=result.support_size,
        active_size=result.active_size,
        support=_renumber(result, problem),
        coef=result.coef,
        squared_error=result.squared_error,
        dual_gap=result.dual_gap,
        stationarity_residual=result.residual,
        target_second_moment=problem.target_second_moment,
        alpha_max=result.alpha[:, 0].copy(),
        max_support=max_support,
        ended_by=ended_by,
        size_below=result.below,
    )


def solve_covlasso(
    second_moment,
    cross_moment=None,
    target_second_moment=None,
    *,
    alpha=None,
    support_size: int | None = None,
    or_empty: bool = False,
    targets=None,
    sources=None,
    exclude_own=True,
    n_threads: int = 1,
    validate: bool = True,
) -> CovLassoSolution:
    r"""Certified CovLasso solution of every target category, at one penalty or support size.

    Minimises `1/2 E[(g_i - w.f)^2] + alpha |w|_1` (see `covlasso_path` for the moments and the
    other arguments). `alpha` has scikit-learn's meaning: the paper's `lambda` is `2 * alpha`.

    Parameters
    ----------
    alpha : float or (T,) sequence, optional
        Penalty, finite and positive; one for all targets or one for each.
    support_size : int, optional
        Instead of `alpha`: the last point of each path, going down from `alpha_max`, before the
        support first exceeds this size (the end of the path where it never does).
    second_moment, cross_moment, target_second_moment, targets, sources, exclude_own, n_threads, validate
        As in `covlasso_path`.
    or_empty : bool
        Give a target that cannot be certified an empty support and a squared error and duality gap
        of NaN, in place of an error.

    Returns
    -------
    CovLassoSolution

    Raises
    ------
    MomentError
        If the moments are malformed or do not fit together.
    UncertifiedError
        If a duality gap exceeds 1e-12 of the target's second moment, unless `or_empty`.

    Examples
    --------
    >>> import numpy as np
    >>> logits = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.5], [1.0, 0.0, 2.0]])
    >>> solution = solve_covlasso(logits.T @ logits / 4, alpha=0.1)
    >>> solution.to_sparse(3).toarray().round(3)
    array([[0.   , 0.778, 0.178],
           [0.432, 0.   , 0.004],
           [0.333, 0.033, 0.   ]])
    """
    if (alpha is None) == (support_size is None):
        raise ValueError(
            f"alpha={alpha!r} and support_size={support_size!r}; give exactly one of the two."
        )
    n_threads = check_positive_integer(n_threads, "n_threads")
    if support_size is not None:
        support_size = check_positive_integer(support_size, "support_size")
    problem = pose(
        second_moment, cross_moment, target_second_moment, targets, sources, exclude_own, validate
    )
    n_targets = problem.targets.size
    result = solve_targets(
        problem,
        np.zeros(n_targets) if alpha is None else as_alpha(alpha, n_targets),
        floor=PRECISION_FLOOR if alpha is None else 0.0,
        max_support=support_size,
        last_only=True,
        n_threads=n_threads,
    )
    failed = np.isin(result.status, (UNCERTIFIED, STALLED))
    if support_size is not None:
        failed &= result.below <= support_size
    if not or_empty:
        _refuse_uncertified(result, problem, failed)
    at_last = np.arange(n_targets), result.n_knots - 1
    found = CovLassoSolution(
        targets=problem.targets,
        alpha=result.alpha[at_last] if alpha is None else as_alpha(alpha, n_targets),
        support_size=result.support_size[at_last],
        support=_renumber(result, problem)[at_last],
        coef=result.coef[at_last],
        squared_error=result.squared_error[at_last],
        dual_gap=result.dual_gap[at_last],
    )
    for values, nothing in (
        (found.support_size, 0), (found.support, -1), (found.coef, 0.0),
        (found.squared_error, np.nan), (found.dual_gap, np.nan),
    ):  # fmt: skip
        values[failed] = nothing
    return found
