"""Solve many targets: a compiled loop over a chunk of them, and threads over the chunks."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numba import njit

from neuraldeps.covlasso import kernels
from neuraldeps.covlasso.active_set import make_working_set, solve_at
from neuraldeps.covlasso.certificate import certify_knots, make_panel
from neuraldeps.covlasso.kernels import (
    OPTIONS,
    follow_path,
    make_knots,
    make_state,
)
from neuraldeps.covlasso.repair import repair
from neuraldeps.covlasso.validation import MomentError, UncertifiedError

TOLERANCE = 1e-12  # largest certified duality gap, as a fraction of the target's second moment
REPAIR_ABOVE = 1e-13  # duality gap, as that fraction, worth a second look
_TARGETS_PER_CHUNK = 64
_COLUMNS_PER_CATEGORY = 8  # room of a working set, per active category


class Problem(NamedTuple):
    """Moments of a batch of targets, ready for the kernels; positions count allowed sources."""

    second_moment: np.ndarray  # (p, p) float64, C-contiguous, read-only
    cross_moment: np.ndarray  # (n_source, n_target) view, all of it
    target_second_moment: np.ndarray  # (T,)
    own: np.ndarray  # (T,) int64, position that must stay zero, or -1
    targets: np.ndarray  # (T,) int64
    allowed: np.ndarray | None  # (p,) int64 sources, None for all

    def cross_rows(self, rows: np.ndarray) -> np.ndarray:
        """Cross moments (len(rows), p) of some of the targets, copied."""
        block = self.cross_moment.T[self.targets[rows]]
        if self.allowed is not None:
            block = block[:, self.allowed]
        return np.ascontiguousarray(block, dtype=np.float64)


class Result(NamedTuple):
    """Knots of a chunk of targets; `K` and `S` are what the chunk needed at most."""

    status: np.ndarray  # (T,) int8
    n_knots: np.ndarray  # (T,) int32
    alpha: np.ndarray  # (T, K)
    active_size: np.ndarray  # (T, K) int32, categories active on the segment above the knot
    support_size: np.ndarray  # (T, K) int32
    support: np.ndarray  # (T, K, S) int32, positions
    coef: np.ndarray  # (T, K, S)
    squared_error: np.ndarray  # (T, K)
    dual_gap: np.ndarray  # (T, K)
    residual: np.ndarray  # (T, K)


def _empty_result(n_targets: int, n_knots: int, capacity: int) -> Result:
    """Padded but for the supports and coefficients: untouched, their pages cost nothing."""
    by_knot = (n_targets, n_knots)
    return Result(
        status=np.zeros(n_targets, np.int8),
        n_knots=np.zeros(n_targets, np.int32),
        alpha=np.full(by_knot, np.nan),
        active_size=np.zeros(by_knot, np.int32),
        support_size=np.zeros(by_knot, np.int32),
        support=np.empty((*by_knot, capacity), np.int32),
        coef=np.empty((*by_knot, capacity)),
        squared_error=np.full(by_knot, np.nan),
        dual_gap=np.full(by_knot, np.nan),
        residual=np.full(by_knot, np.nan),
    )


@njit(**OPTIONS)
def _store(result, t, knots, n_knots):
    """Copy one target's knots, without the coefficients that are zero there."""
    for q in range(n_knots):
        result.alpha[t, q] = knots.alpha[q]
        result.active_size[t, q] = knots.size[q]
        result.squared_error[t, q] = knots.squared_error[q]
        result.dual_gap[t, q] = knots.dual_gap[q]
        result.residual[t, q] = knots.residual[q]
        size = 0
        for i in range(knots.size[q]):
            if knots.coef[q, i] != 0.0:
                result.support[t, q, size] = knots.support[q, i]
                result.coef[t, q, size] = knots.coef[q, i]
                size += 1
        result.support_size[t, q] = size
        for i in range(size, result.coef.shape[2]):
            result.support[t, q, i] = -1
            result.coef[t, q, i] = 0.0


@njit(**OPTIONS)
def _follow_chunk(
    second_moment, cross_moment, target_second_moment, own, alpha_stop, floor, last_only, result
):
    """Follow the path of every target of a chunk."""
    n_sources = second_moment.shape[0]
    capacity = result.coef.shape[2]
    state = make_state(n_sources, capacity)
    knots = make_knots(result.alpha.shape[1], capacity)
    panel = make_panel(n_sources, capacity)
    for t in range(cross_moment.shape[0]):
        b, m, i = cross_moment[t], target_second_moment[t], own[t]
        status, n_knots = follow_path(
            second_moment, b, i, alpha_stop[t], floor, capacity, last_only, state, knots
        )
        certify_knots(second_moment, b, m, i, knots, n_knots, panel)
        _store(result, t, knots, n_knots)
        result.status[t] = status
        result.n_knots[t] = n_knots


@njit(**OPTIONS)
def _solve_chunk_at(second_moment, cross_moment, target_second_moment, own, alpha, result):
    """Solve every target of a chunk at its penalty."""
    n_sources = second_moment.shape[0]
    capacity = result.coef.shape[2]
    columns = min(n_sources, _COLUMNS_PER_CATEGORY * capacity + 64)
    state = make_state(columns, capacity)
    working = make_working_set(n_sources, capacity)
    knots = make_knots(1, capacity)
    panel = make_panel(n_sources, capacity)
    for t in range(cross_moment.shape[0]):
        b, m, i = cross_moment[t], target_second_moment[t], own[t]
        status = solve_at(second_moment, b, i, alpha[t], state, working, knots)
        certify_knots(second_moment, b, m, i, knots, 1, panel)
        _store(result, t, knots, 1)
        result.status[t] = status
        result.n_knots[t] = 1


def _used(result: Result) -> Result:
    """Views of the knots and slots that hold something."""
    n_knots, capacity = result.n_knots.max(), max(1, result.support_size.max())
    return Result(
        result.status,
        result.n_knots,
        *(field[:, :n_knots] for field in result[2:5]),
        *(field[:, :n_knots, :capacity] for field in result[5:7]),
        *(field[:, :n_knots] for field in result[7:]),
    )


def _solve_rows(problem, rows, alpha_stop, floor, max_support, last_only):
    """Solve the targets at `rows`; pairs of a result and its rows.

    Each target goes through attempts of its own, so that its bytes depend on no other: more room
    where its support or knots need it, and the path where the active set left it uncertified.
    """
    n_sources = problem.second_moment.shape[0]
    limit = n_sources if max_support is None else min(max_support, n_sources)
    capacity = min(limit, 64) if max_support is None else limit
    attempts = [(rows, capacity, 1 if last_only else 2 * capacity + 16, max_support is None)]
    solved = []
    while attempts:
        rows, capacity, n_knots, active_set = attempts.pop()
        moment = problem.target_second_moment[rows]
        cross_moment = problem.cross_rows(rows)
        given = (problem.second_moment, cross_moment, moment, problem.own[rows], alpha_stop[rows])
        result = _empty_result(rows.size, n_knots, capacity)
        if active_set:
            _solve_chunk_at(*given, result)
        else:
            _follow_chunk(*given, floor, last_only, result)
        cramped = result.status == kernels.OUT_OF_KNOTS
        if capacity < limit:
            cramped |= result.status == kernels.REACHED_SUPPORT
        spoilt = np.zeros(rows.size, bool)
        if active_set:
            spoilt = ~(result.dual_gap[:, 0] <= REPAIR_ABOVE * moment) & ~cramped
            spoilt |= result.status == kernels.STALLED
        if cramped.any():
            room = (min(4 * capacity, limit), 1 if last_only else 4 * n_knots)
            attempts.append((rows[cramped], *room, active_set))
        if spoilt.any():
            attempts.append((rows[spoilt], capacity, n_knots, False))
        done = ~cramped & ~spoilt
        if done.any():
            part = result if done.all() else Result(*(field[done] for field in result))
            _repair_knots(problem, rows[done], cross_moment[done], part)
            _refuse_uncertified(problem, rows[done], part)
            solved.append((_used(part), rows[done]))
    return solved


def _repair_knots(problem, rows, cross_moment, result):
    """Improve the knots whose certificate rounding has spoilt; in place."""
    moment = problem.target_second_moment[rows]
    for t, q in np.argwhere(result.dual_gap > REPAIR_ABOVE * moment[:, None]):
        size = result.support_size[t, q]
        point = repair(
            problem.second_moment,
            cross_moment[t],
            moment[t],
            problem.own[rows[t]],
            result.alpha[t, q],
            result.support[t, q, :size],
            result.coef[t, q, :size],
            goal=0.1 * REPAIR_ABOVE * moment[t],
        )
        size = point.support.size
        if point.dual_gap < result.dual_gap[t, q] and size <= result.coef.shape[2]:
            result.support[t, q] = -1
            result.coef[t, q] = 0.0
            result.support[t, q, :size] = point.support
            result.coef[t, q, :size] = point.coef
            result.support_size[t, q] = size
            result.squared_error[t, q] = point.squared_error
            result.dual_gap[t, q] = point.dual_gap
            result.residual[t, q] = np.inf  # no longer on the segments that meet here


def _refuse_uncertified(problem, rows, result):
    """Raise for the first target whose answer is not certified."""
    moment = problem.target_second_moment[rows]
    for t, target in enumerate(problem.targets[rows]):
        used = slice(0, result.n_knots[t])
        if result.status[t] == kernels.INDEFINITE:
            raise MomentError(
                f"second_moment is not positive semidefinite (met at target {target}): pass the "
                "uncentred second moment of one set of images, in float64."
            )
        if (result.squared_error[t, used] < -1e-9 * moment[t]).any():
            raise MomentError(
                f"target {target} has second moment {moment[t]:.6g}, less than its cross moments "
                "explain: the moments are not jointly positive semidefinite; take all of them "
                "from the same images."
            )
        worst = np.argmax(result.dual_gap[t, used])
        gap = result.dual_gap[t, worst]
        if result.status[t] == kernels.STALLED or not gap <= TOLERANCE * moment[t]:
            raise UncertifiedError(
                f"target {target} cannot be certified at alpha={result.alpha[t, worst]:.6g}: "
                f"duality gap {gap:.3g} exceeds {TOLERANCE:g} of its second moment "
                f"{moment[t]:.6g}; use a larger alpha or a smaller support."
            )
    np.maximum(result.squared_error, 0.0, out=result.squared_error)


def _join(parts, chunks, n_targets: int) -> Result:
    n_knots = max(part.alpha.shape[1] for part in parts)
    capacity = max(part.coef.shape[2] for part in parts)
    joined = _empty_result(n_targets, n_knots, capacity)
    joined.support.fill(-1)
    joined.coef.fill(0.0)
    for rows, part in zip(chunks, parts, strict=True):
        for target, source in zip(joined, part, strict=True):
            target[(rows, *(slice(0, length) for length in source.shape[1:]))] = source
    unused = np.arange(n_knots) >= joined.n_knots[:, None]
    joined.support[unused] = -1
    joined.coef[unused] = 0.0
    return joined


def solve_targets(
    problem: Problem,
    alpha_stop: np.ndarray,
    *,
    floor: float,
    max_support: int | None,
    last_only: bool,
    n_threads: int,
) -> Result:
    """Solve every target of `problem`; the answer does not depend on `n_threads`.

    Raises
    ------
    UncertifiedError
        If an answer's duality gap exceeds `TOLERANCE` of the target's second moment.
    MomentError
        If the moments turn out to be inconsistent.
    """
    n_targets = problem.targets.size
    chunks = np.array_split(np.arange(n_targets), -(-n_targets // _TARGETS_PER_CHUNK))

    def solve(rows):
        return _solve_rows(problem, rows, alpha_stop, floor, max_support, last_only)

    if n_threads == 1:
        solved = [solve(rows) for rows in chunks]
    else:
        with ThreadPoolExecutor(n_threads) as pool:
            solved = list(pool.map(solve, chunks))
    parts, rows = zip(*(pair for chunk in solved for pair in chunk), strict=True)
    return _join(parts, rows, n_targets)
