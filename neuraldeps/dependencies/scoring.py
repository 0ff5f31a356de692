"""Judge dependencies on images: errors of the predicted logit, accuracy with the logit replaced.

All categories in one pass over the logits. Replacing one logit changes the arg-max of an image only
where that category is or becomes the winner, so the two highest logits of each image are enough.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numba import njit

from neuraldeps.dependencies.candidates import Candidates
from neuraldeps.logits.store import Centering, Logits
from neuraldeps.logs import progress

EPSILON = (0.05, 0.10, 0.20)  # Definition 1's eps, as a share of the logit's size
ROWS = 2048  # images at once: a chunk of 1000 categories stays in the last-level cache
# a replaced logit must meet its rivals unrounded: equal ones stay equal
EXACT: dict[Centering, type[np.floating]] = {"none": np.float32, "per_image": np.float64}


class Sums(NamedTuple):
    """What one pass adds up for T targets and M predictors each; float64 sums, exact counts.

    Attributes
    ----------
    error, error_positive : ndarray of float64, shape (T, M)
        Sum of |g_i - w.f| over all images, and over the positive images of the target, logits.
    missed, missed_positive : ndarray of int64, shape (T, M, len(EPSILON))
        Images whose logit is missed by more than each `EPSILON`: of the target's scale over all
        images, of the logit itself over the positive ones.
    correct, correct_positive : ndarray of int64, shape (T, M)
        Images whose label wins when g_i is replaced by w.f, over the same populations.
    size, size_positive : ndarray of float64, shape (T,)
        Sum of |g_i| over the same populations, logits.
    n_positive, original_correct_positive : ndarray of int64, shape (T,)
        Positive images, and those that the network itself gets right.
    """

    error: np.ndarray
    error_positive: np.ndarray
    missed: np.ndarray
    missed_positive: np.ndarray
    correct: np.ndarray
    correct_positive: np.ndarray
    size: np.ndarray
    size_positive: np.ndarray
    n_positive: np.ndarray
    original_correct_positive: np.ndarray

    @classmethod
    def zeros(cls, n_targets: int, n_solutions: int) -> "Sums":
        """Nothing added yet.

        Parameters
        ----------
        n_targets, n_solutions : int
            T and M.

        Returns
        -------
        Sums
            All zero.
        """
        one, each = (n_targets,), (n_targets, n_solutions)
        by_epsilon = (*each, len(EPSILON))
        return cls(
            error=np.zeros(each),
            error_positive=np.zeros(each),
            missed=np.zeros(by_epsilon, np.int64),
            missed_positive=np.zeros(by_epsilon, np.int64),
            correct=np.zeros(each, np.int64),
            correct_positive=np.zeros(each, np.int64),
            size=np.zeros(one),
            size_positive=np.zeros(one),
            n_positive=np.zeros(one, np.int64),
            original_correct_positive=np.zeros(one, np.int64),
        )


@dataclass(frozen=True)
class Evaluation:
    """Sums over all images with the counts that make means of them.

    Attributes
    ----------
    sums : Sums
    original_correct : int
        Images that the target network itself gets right.
    n_samples, n_labelled : int
    pseudo_positives : bool
        Whether too few images have a label, so that the network's own winner stands for it.
    """

    sums: Sums
    original_correct: int
    n_samples: int
    n_labelled: int
    pseudo_positives: bool


class _Chunk(NamedTuple):
    """Some images, category-major, with what the arg-max needs of each."""

    source: np.ndarray  # (source categories, rows), of a type that holds them exactly
    target: np.ndarray  # (target categories, rows)
    label: np.ndarray  # (rows,) int32
    top: np.ndarray  # (rows,) int32, the winner
    first: np.ndarray  # (rows,) its logit
    runner_up: np.ndarray  # (rows,) int32
    second: np.ndarray  # (rows,) its logit
    by_label: np.ndarray  # rows sorted by label; those of label i start at label_start[i]
    label_start: np.ndarray
    by_top: np.ndarray  # the same by winner
    top_start: np.ndarray


@njit(nogil=True, cache=True)
def _wins(value: float, category: int, rival: float, rival_category: int) -> bool:
    """Whether a logit wins the arg-max against a rival: the first of equal ones wins."""
    return value > rival or (value == rival and category < rival_category)


@njit(nogil=True, cache=True)
def _predict(source, support, coef, prediction):  # type: ignore[no-untyped-def]
    """Set prediction = w.f for every row."""
    prediction[:] = 0.0
    for s in range(len(support)):
        weight = coef[s]
        values = source[support[s]]
        for row in range(len(prediction)):
            prediction[row] += weight * values[row]


@njit(nogil=True, cache=True)
def _add_targets(chunk, candidates, allowed, sums, begin, end):  # type: ignore[no-untyped-def]
    """Add one chunk of images to the sums of targets `begin:end`."""
    prediction = np.empty(len(chunk.label))
    for t in range(begin, end):
        i = candidates.targets[t]
        truth = chunk.target[i]
        positives = chunk.by_label[chunk.label_start[i] : chunk.label_start[i + 1]]
        won = chunk.by_top[chunk.top_start[i] : chunk.top_start[i + 1]]
        for row in range(len(truth)):
            sums.size[t] += abs(truth[row])
        for row in positives:
            sums.size_positive[t] += abs(truth[row])
            sums.original_correct_positive[t] += chunk.top[row] == i
        sums.n_positive[t] += len(positives)
        for m in range(candidates.n_solutions):
            at = t * candidates.n_solutions + m
            entries = slice(candidates.indptr[at], candidates.indptr[at + 1])
            _predict(
                chunk.source, candidates.support[entries], candidates.coef[entries], prediction
            )
            sums.error[t, m] += _error(truth, prediction)
            for e in range(allowed.shape[1]):
                sums.missed[t, m, e] += _count_missed(truth, prediction, allowed[t, e])
            sums.correct[t, m] += _change(chunk, i, positives, won, prediction)
            for row in positives:
                error = abs(truth[row] - prediction[row])
                sums.error_positive[t, m] += error
                for e in range(len(EPSILON)):
                    sums.missed_positive[t, m, e] += error > EPSILON[e] * abs(truth[row])
                if chunk.top[row] == i:
                    rival, rival_category = chunk.second[row], chunk.runner_up[row]
                else:
                    rival, rival_category = chunk.first[row], chunk.top[row]
                sums.correct_positive[t, m] += _wins(prediction[row], i, rival, rival_category)


@njit(nogil=True, cache=True)
def _error(truth, prediction):  # type: ignore[no-untyped-def]
    """Sum of |truth - prediction|, in eight lanes by hand.

    A compiler that may reorder sums does it differently in a process that compiles and in one that
    loads the compiled code: the bytes would depend on the cache.
    """
    lanes = np.zeros(8)
    whole = len(truth) // 8 * 8
    for row in range(0, whole, 8):
        for lane in range(8):
            lanes[lane] += abs(truth[row + lane] - prediction[row + lane])
    for row in range(whole, len(truth)):
        lanes[row - whole] += abs(truth[row] - prediction[row])
    total = 0.0
    for lane in range(8):
        total += lanes[lane]
    return total


@njit(nogil=True, cache=True)
def _count_missed(truth, prediction, allowed):  # type: ignore[no-untyped-def]
    """Images whose logit is missed by more than `allowed`."""
    count = 0
    for row in range(len(truth)):
        count += abs(truth[row] - prediction[row]) > allowed
    return count


@njit(nogil=True, cache=True)
def _change(chunk, i, positives, won, prediction):  # type: ignore[no-untyped-def]
    """Images that become right minus images that become wrong when logit i is replaced."""
    change = 0
    for row in range(len(prediction)):  # i takes over an image that was right
        value = prediction[row]
        takes = (value > chunk.first[row]) | ((value == chunk.first[row]) & (i < chunk.top[row]))
        change -= takes & (chunk.top[row] == chunk.label[row])
    for row in won:  # i was the winner: the loop above took it for its own rival
        value = prediction[row]
        change += (value > chunk.first[row]) & (chunk.label[row] == i)
        if not _wins(value, i, chunk.second[row], chunk.runner_up[row]):
            change += chunk.label[row] == chunk.runner_up[row]
            change -= chunk.label[row] == i
    for row in positives:  # i takes over an image of its own
        if chunk.top[row] != i:
            change += _wins(prediction[row], i, chunk.first[row], chunk.top[row])
    return change


def _two_highest(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Winner, its logit, runner-up, its logit; the first of equal logits wins, as in arg-max."""
    rows = np.arange(len(logits))
    top = logits.argmax(axis=1)
    first = logits[rows, top]
    rest = logits.copy()
    rest[rows, top] = -np.inf
    runner_up = rest.argmax(axis=1)
    return top.astype(np.int32), first, runner_up.astype(np.int32), rest[rows, runner_up]


def _grouped(keys: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows sorted by key, and where each key's rows start; keys below zero come in no group."""
    order = np.argsort(keys, kind="stable").astype(np.int64)
    starts = np.searchsorted(keys[order], np.arange(n + 1)).astype(np.int64)
    return order, starts


def _read(
    source: Logits, target: Logits, label: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """f, g and labels of `ROWS` images at a time, one array where f is g; every shard is read once."""
    rows = target.rows_at_once
    for begin in progress(range(0, len(label), rows), "evaluate", None, "shard"):
        end = min(begin + rows, len(label))
        g = target.rows(begin, end)
        f = g if source == target else source.rows(begin, end)
        for first in range(0, end - begin, ROWS):
            piece = slice(first, min(first + ROWS, end - begin))
            ours = g[piece].astype(EXACT[target.centering], copy=False)
            theirs = ours if f is g else f[piece].astype(EXACT[source.centering], copy=False)
            yield theirs, ours, label[begin:end][piece]


def _chunk(f: np.ndarray, g: np.ndarray, label: np.ndarray | None) -> _Chunk:
    """Arrange images for `_add_targets`; without labels the winners take their place."""
    top, first, runner_up, second = _two_highest(g)
    truth = top if label is None else label.astype(np.int32)
    g_columns = np.ascontiguousarray(g.T)
    f_columns = g_columns if f is g else np.ascontiguousarray(f.T)
    by_label, by_top = (_grouped(keys, g.shape[1]) for keys in (truth, top))
    return _Chunk(f_columns, g_columns, truth, top, first, runner_up, second, *by_label, *by_top)


def evaluate(
    source: Logits,
    target: Logits,
    candidates: Candidates,
    label: np.ndarray,
    *,
    scale: np.ndarray | None = None,
    min_positives: int = 1,
    n_threads: int = 1,
) -> Evaluation:
    """Judge every candidate on every image in one pass (protocol of Table 1).

    Parameters
    ----------
    source, target : LogitsFile or LogitsArray
        f and g over the same images, (samples, categories).
    candidates : Candidates
        For each target category i its predictors w.
    label : ndarray of int, shape (samples,)
        Category of each image, -1 where there is none.
    scale : ndarray, shape (T,), optional
        Of each target's logit, in logits, which `missed` is counted by. Without, none is missed.
    min_positives : int
        Where some images have no label and no category has this many that do, the target network's
        own winner takes the label's place in all of them: *pseudo-positives*.
    n_threads : int
        Each thread takes its own targets; the sums do not depend on how many there are.

    Returns
    -------
    Evaluation
        For every target and candidate: errors |g_i - w.f| over all and over positive images,
        and how many images are right when g_i is replaced by w.f and the rest left. Targets that
        are masked have NaN for errors.

    References
    ----------
    "Neural Dependencies Emerging from Learning Massive Categories", CVPR 2023, Sec. 2.1, Table 1.
    """
    n_targets = len(candidates.targets)
    sums = Sums.zeros(n_targets, candidates.n_solutions)
    scale = np.full(n_targets, np.inf) if scale is None else scale
    allowed = np.asarray(scale, float)[:, np.newaxis] * np.array(EPSILON)
    labelled = np.bincount(label[label >= 0], minlength=1)
    pseudo_positives = bool((label < 0).any() and labelled.max() < min_positives)
    cuts = np.linspace(0, len(candidates.targets), 4 * n_threads + 1).astype(int)
    original_correct = n_labelled = 0
    with ThreadPoolExecutor(n_threads) as pool:
        for f, g, given in _read(source, target, label):
            chunk = _chunk(f, g, None if pseudo_positives else given)
            jobs = [
                pool.submit(_add_targets, chunk, candidates, allowed, sums, begin, end)
                for begin, end in pairwise(cuts)
            ]
            for job in jobs:
                job.result()
            original_correct += int((chunk.top == chunk.label).sum())
            n_labelled += int((chunk.label >= 0).sum())
    sums.correct[:] += original_correct
    _leave_out(sums, np.isin(candidates.targets, target.masked), original_correct)
    return Evaluation(sums, original_correct, len(label), n_labelled, pseudo_positives)


def _leave_out(sums: Sums, masked: np.ndarray, original_correct: int) -> None:
    """Nothing is predicted of masked targets: they have no error, and no logit is replaced."""
    for total in (sums.error, sums.error_positive, sums.size, sums.size_positive):
        total[masked] = np.nan
    sums.correct[masked] = original_correct
    sums.correct_positive[masked] = sums.original_correct_positive[masked, None]
