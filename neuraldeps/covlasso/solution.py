"""What is solved: whole paths, and one solution per target."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from neuraldeps.covlasso.batch import TOLERANCE
from neuraldeps.covlasso.validation import UncertifiedError, as_alpha, check_positive_integer


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
        """Coefficients as a CSR array (T, n_sources), columns sorted.

        Parameters
        ----------
        n_sources : int
            Number of source categories.

        Returns
        -------
        scipy.sparse.csr_array, shape (T, n_sources), float64
            Row t holds the coefficients of target t.
        """
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
    support. Every knot is certified; what ended a path at its last one, `ended_by` says.

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
        Number of categories used on the open segment above each knot: their coefficients are not
        zero all along it.
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
    ended_by : (T,) str
        ``support``: the path goes on below its last knot with more than `max_support` categories.
        ``alpha``: the last knot is at `alpha_min`. ``precision``: it is at 1e-8 of `alpha_max`,
        below which no solution can be certified in float64. ``certificate``: what comes below it
        could not be certified.
    size_below : (T,) int32
        How many categories the path uses below its last knot, at least; 0 where that is unknown.
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
    ended_by: np.ndarray
    size_below: np.ndarray

    def at_support_size(self, k: int, *, or_last: bool = False) -> CovLassoSolution:
        """The last point of each path before its support first exceeds `k`.

        Where the support never does, the last knot.

        Parameters
        ----------
        k : int
            A size.
        or_last : bool
            Take the last knot, too, where the path ended for want of a certificate before that
            point, in place of an error.

        Returns
        -------
        CovLassoSolution
            One point of each path.

        Raises
        ------
        ValueError
            If `k` exceeds `max_support` and a path ended because of it.
        UncertifiedError
            If a path ended for want of a certificate before that point.
        """
        k = check_positive_integer(k, "k")
        if k > self.max_support and (self.ended_by == "support").any():
            raise ValueError(
                f"k={k} exceeds max_support={self.max_support}; compute the path with "
                f"max_support={k}."
            )
        too_large = self.active_size > k
        open_ended = (self.ended_by == "certificate") & (self.size_below <= k)
        open_ended &= ~too_large.any(axis=1)
        if open_ended.any() and not or_last:
            t = int(open_ended.argmax())
            last = self.n_knots[t] - 1
            raise UncertifiedError(
                f"the path of target {self.targets[t]} to a support of {k} cannot be certified below "
                f"alpha={self.alpha[t, last]:.6g}, where its support is "
                f"{self.support_size[t, last]}; ask for a smaller support."
            )
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

        Parameters
        ----------
        alpha : float or array-like of shape (T,)
            Penalty, lambda / 2, squared logits.

        Returns
        -------
        CovLassoSolution
            One point of each path.

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
