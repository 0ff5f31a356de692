"""The exact CovLasso path and its solutions, for every target category, from second moments."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
import scipy.sparse

from neuraldeps.covlasso.batch import TOLERANCE, Problem, Result, solve_targets
from neuraldeps.covlasso.homotopy import REACHED_SUPPORT
from neuraldeps.covlasso.kernels import aligned
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


@dataclass(frozen=True)
class CovLassoSolution:
    """One solution per target; `T` targets, supports of at most `S` categories.

    `alpha` has scikit-learn's meaning: the paper's `lambda` is `2 * alpha`.

    Attributes
    ----------
    targets : (T,) int64
        Target categories.
    alpha : (T,) float64
        Penalty of each solution, squared logits.
    support_size : (T,) int32
        Number of non-zero coefficients.
    support : (T, S) int32
        Source categories with a non-zero coefficient, in no particular order; padded with -1.
    coef : (T, S) float64
        Their coefficients, padded with 0.
    squared_error : (T,) float64
        `E[(g_i - w.f)^2]`, squared logits.
    dual_gap : (T,) float64
        Certified bound on how far `1/2 E[(g_i - w.f)^2] + alpha |w|_1` lies above its minimum.
    """

    targets: np.ndarray
    alpha: np.ndarray
    support_size: np.ndarray
    support: np.ndarray
    coef: np.ndarray
    squared_error: np.ndarray
    dual_gap: np.ndarray

    def to_sparse(self, n_sources: int) -> scipy.sparse.csr_array:
        """Coefficients as a CSR array (T, n_sources), columns sorted."""
        used = self.support >= 0
        ends = np.concatenate([[0], np.cumsum(self.support_size)])
        matrix = scipy.sparse.csr_array(
            (self.coef[used], self.support[used], ends), shape=(len(self.targets), n_sources)
        )
        matrix.sort_indices()
        return matrix


@dataclass(frozen=True)
class CovLassoPath:
    """The whole solution path of every target; `T` targets, `K` knots, supports of at most `S`.

    Between two knots every coefficient is linear in `alpha`. Knot 0 is `alpha_max` with an empty
    support. The last knot is the point at which the support would exceed `max_support`, or
    `alpha_min`, or 1e-8 of `alpha_max`, below which no solution can be certified in float64.

    Attributes
    ----------
    targets : (T,) int64
        Target categories.
    n_knots : (T,) int32
        Number of knots of each target.
    alpha : (T, K) float64
        Penalty at each knot, strictly decreasing, padded with NaN. scikit-learn's meaning: the
        paper's `lambda` is `2 * alpha`.
    support_size : (T, K) int32
        Number of non-zero coefficients at each knot.
    active_size : (T, K) int32
        Number of non-zero coefficients on the open segment above each knot.
    support : (T, K, S) int32
        Source categories with a non-zero coefficient, in the order in which they entered,
        padded with -1.
    coef : (T, K, S) float64
        Their coefficients, padded with 0.
    squared_error : (T, K) float64
        `E[(g_i - w.f)^2]`, padded with NaN.
    dual_gap : (T, K) float64
        Certified duality gap on `1/2 E[(g_i - w.f)^2] + alpha |w|_1`, padded with NaN.
    stationarity_residual : (T, K) float64
        Largest violation of the stationarity conditions at the knot, squared logits, over the
        categories active on either side of it and all others; padded with NaN. Infinite at a
        knot whose rounding was repaired, from which nothing is interpolated.
    target_second_moment : (T,) float64
        `E[g_i^2]`.
    alpha_max : (T,) float64
        The least penalty at which no source is used.
    max_support : int
        Largest support that was asked for.
    ended_by_support : (T,) bool
        Whether the path goes on below its last knot with a larger support.
    """

    targets: np.ndarray
    n_knots: np.ndarray
    alpha: np.ndarray
    support_size: np.ndarray
    active_size: np.ndarray
    support: np.ndarray
    coef: np.ndarray
    squared_error: np.ndarray
    dual_gap: np.ndarray
    stationarity_residual: np.ndarray
    target_second_moment: np.ndarray
    alpha_max: np.ndarray
    max_support: int
    ended_by_support: np.ndarray

    def at_support_size(self, k: int) -> CovLassoSolution:
        """The last point of each path before its support first exceeds `k`.

        Where the support never does, the last knot.

        Raises
        ------
        ValueError
            If `k` exceeds `max_support` and a path ended because of it.
        """
        k = check_positive_integer(k, "k")
        if k > self.max_support and self.ended_by_support.any():
            raise ValueError(
                f"k={k} exceeds max_support={self.max_support}; compute the path with "
                f"max_support={k}."
            )
        too_large = self.active_size > k
        knot = np.where(too_large.any(axis=1), too_large.argmax(axis=1), self.n_knots) - 1
        rows = np.arange(len(self.targets))
        size = self.support_size[rows, knot]
        width = max(1, int(size.max()))
        return CovLassoSolution(
            targets=self.targets.copy(),
            alpha=self.alpha[rows, knot],
            support_size=size,
            support=self.support[rows, knot, :width],
            coef=self.coef[rows, knot, :width],
            squared_error=self.squared_error[rows, knot],
            dual_gap=self.dual_gap[rows, knot],
        )

    def at_alpha(self, alpha) -> CovLassoSolution:
        """The solution at `alpha` (a number, or one per target), interpolated between knots.

        Its `dual_gap` is a bound: with `e` the larger stationarity residual of the two knots,
        correlations between them are within `e` of stationary as well (they are affine in
        alpha), so the gap is at most `2 e |w|_1 + (e / (alpha + e))^2 / 2 * squared_error`.

        Raises
        ------
        ValueError
            If `alpha` lies below the end of a target's path.
        UncertifiedError
            If the bound exceeds 1e-12 of a target's second moment.
        """
        alpha = as_alpha(alpha, len(self.targets))
        parts = [self._interpolate(t, value) for t, value in enumerate(alpha)]
        size = np.array([len(support) for support, *_ in parts], np.int32)
        width = max(1, int(size.max()))
        support = np.full((len(parts), width), -1, np.int32)
        coef = np.zeros((len(parts), width))
        for t, (members, values, _, _) in enumerate(parts):
            support[t, : size[t]] = members
            coef[t, : size[t]] = values
        return CovLassoSolution(
            targets=self.targets.copy(),
            alpha=alpha,
            support_size=size,
            support=support,
            coef=coef,
            squared_error=np.array([part[2] for part in parts]),
            dual_gap=np.array([part[3] for part in parts]),
        )

    def _interpolate(self, t, alpha):
        """Support, coefficients, squared error and gap bound of one target."""
        knots = self.alpha[t, : self.n_knots[t]]
        if alpha >= knots[0]:
            return np.empty(0, np.int32), np.empty(0), self.target_second_moment[t], 0.0
        if alpha < knots[-1]:
            raise ValueError(
                f"alpha={alpha:.6g} lies below the end of target {self.targets[t]}'s path, "
                f"{knots[-1]:.6g}; compute it with a larger max_support or a smaller alpha_min."
            )
        q = int(np.searchsorted(-knots, -alpha, side="left"))  # knots[q - 1] > alpha >= knots[q]
        size = self.support_size[t, q]
        if alpha == knots[q]:
            return (
                self.support[t, q, :size],
                self.coef[t, q, :size],
                self.squared_error[t, q],
                self.dual_gap[t, q],
            )
        fraction = (knots[q - 1] - alpha) / (knots[q - 1] - knots[q])
        members, upper, lower = self._segment(t, q)
        values = upper + fraction * (lower - upper)
        # Along a segment E[(dw.f)^2] = -dalpha * d|w|_1 and c = alpha s on the active set.
        growth = np.abs(lower).sum() - np.abs(upper).sum()
        width = knots[q - 1] - knots[q]
        error = (
            self.squared_error[t, q - 1]
            - 2 * fraction * knots[q - 1] * growth
            + fraction**2 * width * growth
        )
        error = max(error, 0.0)
        departure = self.stationarity_residual[t, q - 1 : q + 1].max()
        bound = 2 * departure * np.abs(values).sum()
        bound += 0.5 * error * (1 - alpha / (alpha + departure)) ** 2
        if not bound <= TOLERANCE * self.target_second_moment[t]:
            raise UncertifiedError(
                f"target {self.targets[t]} cannot be certified at alpha={alpha:.6g} between two "
                f"knots (gap bound {bound:.3g}); solve at this alpha instead."
            )
        return members, values, error, bound

    def _segment(self, t, q):
        """Categories active between knots q - 1 and q, and their coefficients at both."""
        upper_size, lower_size = self.support_size[t, q - 1], self.support_size[t, q]
        upper = dict(
            zip(
                self.support[t, q - 1, :upper_size].tolist(),
                self.coef[t, q - 1, :upper_size],
                strict=True,
            )
        )
        lower = dict(
            zip(
                self.support[t, q, :lower_size].tolist(),
                self.coef[t, q, :lower_size],
                strict=True,
            )
        )
        members = list(dict.fromkeys([*upper, *lower]))
        return (
            np.array(members, np.int32),
            np.array([upper.get(j, 0.0) for j in members]),
            np.array([lower.get(j, 0.0) for j in members]),
        )


def pose(
    second_moment, cross_moment, target_second_moment, targets, sources, exclude_own, validate
) -> Problem:
    """Check the moments and arrange them for the kernels."""
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
        If a knot's duality gap exceeds 1e-12 of the target's second moment.

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
        ended_by_support=result.status == REACHED_SUPPORT,
    )


def solve_covlasso(
    second_moment,
    cross_moment=None,
    target_second_moment=None,
    *,
    alpha=None,
    support_size: int | None = None,
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

    Returns
    -------
    CovLassoSolution

    Raises
    ------
    MomentError
        If the moments are malformed or do not fit together.
    UncertifiedError
        If a duality gap exceeds 1e-12 of the target's second moment.

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
    return CovLassoSolution(
        targets=problem.targets,
        alpha=result.alpha[:, 0],
        support_size=result.support_size[:, 0],
        support=_renumber(result, problem)[:, 0],
        coef=result.coef[:, 0],
        squared_error=result.squared_error[:, 0],
        dual_gap=result.dual_gap[:, 0],
    )
