"""All targets: a compiled loop over a chunk of them, and threads over the chunks."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit

from neuraldeps.best_subset.exhaustion import NEAREST, make_pairs, reach_of_pairs, reach_of_triples
from neuraldeps.best_subset.target import Answer, find_chunk, make_buffers
from neuraldeps.covlasso.batch import Problem, solve_rows
from neuraldeps.covlasso.kernels import OPTIONS, aligned
from neuraldeps.covlasso.path import PRECISION_FLOOR

_TARGETS_PER_CHUNK = 128


@njit(**OPTIONS)
def _read_paths(found, rows, kept, first, paths):
    """Fill the support at every size along each path: `paths` (T, S, S), row `rows[t] - first`."""
    end = 0
    wanted = paths.shape[1]
    for t in range(rows.size):
        size, start = 1, end
        for q in range(found.n_knots[t]):
            # a knot is the last for the sizes that the segment below it exceeds
            last = q + 1 == found.n_knots[t]
            limit = wanted if last else min(found.active_size[t, q + 1] - 1, wanted)
            count = found.support_size[t, q]
            while kept[t] and size <= limit:
                for i in range(min(count, size)):
                    paths[rows[t] - first, size - 1, i] = found.support[start + i]
                size += 1
            start += count
        end = start


def _follow_paths(problem: Problem, rows: np.ndarray, wanted: int) -> np.ndarray:
    """CovLasso's supports (T, S, S) of every size up to `wanted`, padded with -1."""
    paths = np.full((rows.size, wanted, wanted), -1)
    parts = solve_rows(
        problem,
        rows,
        np.zeros(problem.targets.size),
        PRECISION_FLOOR,
        at_alpha=False,
        limit=wanted,
        last_only=False,
    )
    for found, solved, kept in parts:
        _read_paths(found, solved, kept, rows[0], paths)
    return paths


def _make_answer(n_targets: int, wanted: int) -> Answer:
    return Answer(
        size=np.zeros((n_targets, wanted), np.int32),
        support=np.full((n_targets, wanted, wanted), -1, np.int32),
        coef=np.zeros((n_targets, wanted, wanted)),
        squared_error=np.empty((n_targets, wanted)),
        status=np.empty((n_targets, wanted), np.int8),
    )


def find_subsets(
    problem: Problem, *, max_support: int, width: int, proven: int, n_threads: int
) -> Answer:
    """Find the sets of every size up to `max_support` of every target of `problem`.

    The answer is the same bytes for any number of threads, and of a target for any batch.

    Parameters
    ----------
    problem : Problem
        Checked moments of the targets.
    max_support : int
        The largest size.
    width : int
        Sets of every size that the search goes on with.
    proven : int
        Size up to which sets are found by exhaustion.
    n_threads : int
        Threads; no number depends on it.

    Returns
    -------
    Answer
        Supports, coefficients, squared errors and what is known of each, by target and size.
    """
    second_moment, n_sources = problem.second_moment, len(problem.second_moment)
    n_targets = problem.targets.size
    root = np.sqrt(np.diagonal(second_moment))
    scale = np.divide(1.0, root, out=np.zeros(n_sources), where=root > 0)
    pairs = make_pairs(n_sources if proven >= 2 else 0)
    triples = np.zeros((2, n_sources, n_sources) if proven >= 3 else (2, 1, 1))
    answer = _make_answer(n_targets, max_support)

    def bound_pairs(rows):
        start, stop, row = rows[0], rows[-1] + 1, aligned(n_sources)
        reach_of_pairs(second_moment, scale, start, stop, row, np.empty(NEAREST), pairs)

    def bound_triples(rows):
        start, stop, row, rest = rows[0], rows[-1] + 1, aligned(n_sources), aligned(n_sources)
        reach_of_triples(second_moment, scale, pairs.near, start, stop, row, rest, triples)

    def find(rows):
        part = slice(rows[0], rows[-1] + 1)
        paths = _follow_paths(problem, rows, max_support)
        buffers = make_buffers(n_sources, max_support, paths.shape[1], width)
        find_chunk(
            second_moment,
            scale,
            root,
            problem.cross_rows(rows),
            problem.target_second_moment[part],
            problem.own[part],
            paths,
            pairs,
            triples,
            proven,
            buffers,
            Answer(*(array[part] for array in answer)),
        )

    def chunks(n):
        return np.array_split(np.arange(n), -(-n // _TARGETS_PER_CHUNK))

    with ThreadPoolExecutor(n_threads) as pool:
        if proven >= 2:
            list(pool.map(bound_pairs, chunks(n_sources)))
        if proven >= 3:
            list(pool.map(bound_triples, chunks(n_sources)))
        list(pool.map(find, chunks(n_targets)))
    return answer
