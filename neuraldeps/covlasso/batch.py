"""Solve many targets: a compiled loop over a chunk of them, and threads over the chunks."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numba import njit

from neuraldeps.covlasso import homotopy
from neuraldeps.covlasso.active_set import solve_at
from neuraldeps.covlasso.certificate import make_knots, make_panel
from neuraldeps.covlasso.homotopy import follow_path
from neuraldeps.covlasso.kernels import OPTIONS
from neuraldeps.covlasso.repair import repair
from neuraldeps.covlasso.validation import MomentError, UncertifiedError
from neuraldeps.covlasso.working_set import make_state

TOLERANCE = 1e-12  # largest certified duality gap, as a fraction of the target's second moment
REPAIR_ABOVE = 1e-13  # duality gap, as that fraction, worth a second look
_TARGETS_PER_CHUNK = 128
_COLUMNS = 256  # room of a working set, with four for each active category


class Problem(NamedTuple):
    """Moments of a batch of targets, ready for the kernels; positions count allowed sources."""

    second_moment: np.ndarray  # (p, p or more) float64, C-contiguous, read-only
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
        if not np.isfinite(block).all():
            t, j = np.argwhere(~np.isfinite(block))[0]
            raise MomentError(
                f"the cross moment of target {self.targets[rows[t]]} and source "
                f"{j if self.allowed is None else self.allowed[j]} is {block[t, j]}; remove such logits first."
            )
        return np.ascontiguousarray(block, dtype=np.float64)


class Result(NamedTuple):
    """Knots of all targets; `K` and `S` are what they needed at most.

    A chunk's own result has its supports and coefficients one after the other, without padding.
    """

    status: np.ndarray  # (T,) int8
    n_knots: np.ndarray  # (T,) int32
    alpha: np.ndarray  # (T, K), padded with NaN
    active_size: np.ndarray  # (T, K) int32, categories active on the segment above the knot
    support_size: np.ndarray  # (T, K) int32
    squared_error: np.ndarray  # (T, K), padded with NaN
    dual_gap: np.ndarray  # (T, K), padded with NaN
    residual: np.ndarray  # (T, K), padded with NaN
    support: np.ndarray  # (T, K, S) int32, positions, padded with -1
    coef: np.ndarray  # (T, K, S), padded with 0


def _make_result(n_targets: int, n_knots: int, supports: tuple[int, ...]) -> Result:
    """Room for knots, padded but for the supports and coefficients, which have their own shape."""
    by_knot = (n_targets, n_knots)
    return Result(
        status=np.empty(n_targets, np.int8),
        n_knots=np.empty(n_targets, np.int32),
        alpha=np.full(by_knot, np.nan),
        active_size=np.zeros(by_knot, np.int32),
        support_size=np.zeros(by_knot, np.int32),
        squared_error=np.full(by_knot, np.nan),
        dual_gap=np.full(by_knot, np.nan),
        residual=np.full(by_knot, np.nan),
        support=np.empty(supports, np.int32),
        coef=np.empty(supports),
    )


@njit(**OPTIONS)
def _store(found, end, t, knots, first, last):
    """Append knots first .. last - 1 of one target, without the coefficients that are zero."""
    for q in range(first, last):
        slot = q - first
        found.alpha[t, slot] = knots.alpha[q]
        found.active_size[t, slot] = knots.size[q]
        found.squared_error[t, slot] = knots.squared_error[q]
        found.dual_gap[t, slot] = knots.dual_gap[q]
        found.residual[t, slot] = knots.residual[q]
        start = end
        support, coef = knots.support[q], knots.coef[q]
        for i in range(knots.size[q]):
            if coef[i] != 0.0:
                found.support[end] = support[i]
                found.coef[end] = coef[i]
                end += 1
        found.support_size[t, slot] = end - start
    return end


@njit(**OPTIONS)
def _follow_chunk(
    second_moment,
    cross_moment,
    target_second_moment,
    own,
    alpha_stop,
    floor,
    max_support,
    last_only,
    state,
    knots,
    panel,
    found,
):
    """Follow the path of every target of a chunk; keep all knots or the last."""
    end = 0
    for t in range(cross_moment.shape[0]):
        b, m, i = cross_moment[t], target_second_moment[t], own[t]
        status, n_knots = follow_path(
            second_moment, b, m, i, alpha_stop[t], floor, max_support, state, knots, panel
        )
        first = n_knots - 1 if last_only else 0
        end = _store(found, end, t, knots, first, n_knots)
        found.status[t] = status
        found.n_knots[t] = n_knots - first


@njit(**OPTIONS)
def _solve_chunk_at(
    second_moment,
    cross_moment,
    target_second_moment,
    own,
    alpha,
    state,
    knots,
    panel,
    found,
):
    """Solve every target of a chunk at its penalty."""
    end = 0
    for t in range(cross_moment.shape[0]):
        b, m, i = cross_moment[t], target_second_moment[t], own[t]
        found.status[t] = solve_at(second_moment, b, m, i, alpha[t], state, knots, panel)
        end = _store(found, end, t, knots, 0, 1)
        found.n_knots[t] = 1


@njit(**OPTIONS)
def _spread(found, result, rows, kept):
    """Copy the kept targets of a chunk to their rows, padding what they do not use."""
    end = 0
    _, n_knots, capacity = result.coef.shape
    for t in range(rows.size):
        row = rows[t]
        start = end
        for q in range(found.n_knots[t]):
            end += found.support_size[t, q]
        if not kept[t]:
            continue
        result.status[row] = found.status[t]
        result.n_knots[row] = found.n_knots[t]
        for q in range(n_knots):
            size = 0
            if q < found.n_knots[t]:
                size = found.support_size[t, q]
                result.alpha[row, q] = found.alpha[t, q]
                result.active_size[row, q] = found.active_size[t, q]
                result.squared_error[row, q] = found.squared_error[t, q]
                result.dual_gap[row, q] = found.dual_gap[t, q]
                result.residual[row, q] = found.residual[t, q]
            result.support_size[row, q] = size
            support, coef = result.support[row, q], result.coef[row, q]
            for i in range(size):
                support[i] = found.support[start + i]
                coef[i] = found.coef[start + i]
            for i in range(size, capacity):
                support[i] = -1
                coef[i] = 0.0
            start += size


def _join(parts, n_targets: int) -> Result:
    """One result of all chunks."""
    n_knots = max(found.n_knots[kept].max() for found, _, kept in parts)
    capacity = max(1, *(found.support_size[kept].max() for found, _, kept in parts))
    result = _make_result(n_targets, n_knots, (n_targets, n_knots, capacity))
    for found, rows, kept in parts:
        _spread(found, result, rows, kept)
    return result


class _Attempt(NamedTuple):
    """Targets to solve, how, and the room they get."""

    rows: np.ndarray
    by_path: bool
    capacity: int  # active categories
    n_knots: int
    n_columns: int  # of the working set


def _further_attempts(attempt, found, problem, limit):
    """What stopped short and what it needs: more room, or the path where the active set failed.

    Each target goes through attempts of its own, so that its bytes depend on no other.
    """
    status = found.status
    cramped = (status == homotopy.REACHED_SUPPORT) & (attempt.capacity < limit)
    needs = [
        (status == homotopy.OUT_OF_KNOTS, {"n_knots": 4 * attempt.n_knots}),
        (status == homotopy.OUT_OF_COLUMNS, {"n_columns": 4 * attempt.n_columns}),
        (
            cramped,
            {
                "capacity": min(4 * attempt.capacity, limit),
                "n_knots": 4 * attempt.n_knots,
                "n_columns": 4 * attempt.n_columns,
            },
        ),
    ]
    if not attempt.by_path:
        goal = REPAIR_ABOVE * problem.target_second_moment[attempt.rows]
        spoilt = (status == homotopy.REACHED_ALPHA) & ~(found.dual_gap[:, 0] <= goal)
        needs.append((spoilt | (status == homotopy.STALLED), {"by_path": True}))
    return [
        attempt._replace(rows=attempt.rows[stopped], **need)
        for stopped, need in needs
        if stopped.any()
    ]


def solve_rows(problem, rows, alpha_stop, floor, by_path, limit, last_only):
    """Solve the targets at `rows`; what was found, and for which rows."""
    n_sources = len(problem.second_moment)
    capacity = min(limit, 256 if by_path else 64)
    attempts = [_Attempt(rows, by_path, capacity, 2 * capacity + 16, 4 * capacity + _COLUMNS)]
    solved = []
    while attempts:
        attempt = attempts.pop()
        rows, capacity, n_knots = attempt.rows, attempt.capacity, attempt.n_knots
        given = (
            problem.second_moment,
            problem.cross_rows(rows),
            problem.target_second_moment[rows],
            problem.own[rows],
            alpha_stop[rows],
        )
        buffers = (
            make_state(n_sources, min(attempt.n_columns, n_sources), capacity),
            make_knots(n_knots, capacity),
            make_panel(n_sources, capacity),
        )
        n_kept = 1 if last_only else n_knots
        # what is not used of the supports' room is never touched
        found = _make_result(rows.size, n_kept, (rows.size * n_kept * capacity,))
        if attempt.by_path:
            _follow_chunk(*given, floor, capacity, last_only, *buffers, found)
        else:
            _solve_chunk_at(*given, *buffers, found)
        further = _further_attempts(attempt, found, problem, limit)
        unfinished = [row for again in further for row in again.rows]
        done = np.isin(rows, unfinished, invert=True)
        attempts += further
        if done.any():
            solved.append((found, rows, done))
    return solved


def _repair_knots(problem, result, limit) -> Result:
    """Improve the knots whose certificate rounding has spoilt."""
    moment = problem.target_second_moment
    second_moment = problem.second_moment[:, : len(problem.second_moment)]
    for t, q in np.argwhere(result.dual_gap > REPAIR_ABOVE * moment[:, None]):
        size = result.support_size[t, q]
        point = repair(
            second_moment,
            problem.cross_rows(np.array([t]))[0],
            moment[t],
            problem.own[t],
            result.alpha[t, q],
            result.support[t, q, :size],
            result.coef[t, q, :size],
            goal=0.1 * REPAIR_ABOVE * moment[t],
        )
        size = point.support.size
        if point.dual_gap < result.dual_gap[t, q] and size <= limit:
            missing = ((0, 0), (0, 0), (0, max(0, size - result.coef.shape[2])))
            if missing[2][1]:
                result = result._replace(
                    support=np.pad(result.support, missing, constant_values=-1),
                    coef=np.pad(result.coef, missing),
                )
            result.support[t, q] = -1
            result.coef[t, q] = 0.0
            result.support[t, q, :size] = point.support
            result.coef[t, q, :size] = point.coef
            result.support_size[t, q] = size
            result.active_size[t, q] = max(result.active_size[t, q], size)
            result.squared_error[t, q] = point.squared_error
            result.dual_gap[t, q] = point.dual_gap
            result.residual[t, q] = np.inf  # no longer on the segments that meet here
    return result


def _refuse_uncertified(problem, result):
    """Raise for the first target whose answer is not certified."""
    moment = problem.target_second_moment
    worst = np.where(np.isnan(result.dual_gap), -1.0, result.dual_gap).argmax(axis=1)
    gap = result.dual_gap[np.arange(worst.size), worst]
    negative = (result.squared_error < -1e-9 * moment[:, None]).any(axis=1)
    indefinite = result.status == homotopy.INDEFINITE
    uncertified = (result.status == homotopy.STALLED) | ~(gap <= TOLERANCE * moment)
    for t in np.flatnonzero(indefinite | negative | uncertified)[:1]:
        target = problem.targets[t]
        if indefinite[t]:
            raise MomentError(
                f"second_moment is not positive semidefinite (met at target {target}): pass the "
                "uncentred second moment of one set of images, in float64."
            )
        if negative[t]:
            raise MomentError(
                f"target {target} has second moment {moment[t]:.6g}, less than its cross moments "
                "explain: the moments are not jointly positive semidefinite; take all of them "
                "from the same images."
            )
        if result.status[t] == homotopy.STALLED:
            raise UncertifiedError(
                f"the path of target {target} stalls on ties at alpha="
                f"{result.alpha[t, result.n_knots[t] - 1]:.6g}; use a larger alpha or a smaller support."
            )
        raise UncertifiedError(
            f"target {target} cannot be certified at alpha={result.alpha[t, worst[t]]:.6g}: "
            f"duality gap {gap[t]:.3g} exceeds {TOLERANCE:g} of its second moment "
            f"{moment[t]:.6g}; use a larger alpha or a smaller support."
        )
    np.maximum(result.squared_error, 0.0, out=result.squared_error)


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

    Without `max_support` only the solution at `alpha_stop` is certified and returned.

    Raises
    ------
    UncertifiedError
        If an answer's duality gap exceeds `TOLERANCE` of the target's second moment.
    MomentError
        If the moments turn out to be inconsistent.
    """
    n_targets = problem.targets.size
    chunks = np.array_split(np.arange(n_targets), -(-n_targets // _TARGETS_PER_CHUNK))

    n_sources, by_path = len(problem.second_moment), max_support is not None
    limit = n_sources if max_support is None else min(max_support, n_sources)

    def solve(rows):
        return solve_rows(problem, rows, alpha_stop, floor, by_path, limit, last_only)

    if n_threads == 1:
        solved = [solve(rows) for rows in chunks]
    else:
        with ThreadPoolExecutor(n_threads) as pool:
            solved = list(pool.map(solve, chunks))
    result = _join([part for chunk in solved for part in chunk], n_targets)
    result = _repair_knots(problem, result, limit)
    _refuse_uncertified(problem, result)
    return result
