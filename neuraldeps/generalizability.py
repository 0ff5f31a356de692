"""New categories learned as linear combinations of base categories' logits (Tables 2 and 4).

A network `f` was trained on the base categories only. The logits of `n_new` further categories are
`W f(x)`, and the whole classifier is ``f_all = [f; W f]``. As `f` is frozen, its logits of the
training images are stored once, and learning `W` (n_new x n_base) is a convex problem.
"""

import csv
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import entr, logsumexp

from neuraldeps.errors import InputError
from neuraldeps.labels import position_among

logger = logging.getLogger(__name__)

ROWS = 4096  # images at once: their probabilities stay in the last-level cache
RANK_TOLERANCE = 1e-11  # of the largest eigenvalue; float32 logits carry about 1e-14
CHOICE_TOLERANCE, FINAL_TOLERANCE = 1e-2, 1e-3
MAX_STEPS = 20_000
GAP_EVERY = 20
GROUPS, ARGMAX = ("all", "base", "new"), ("full", "restricted")


class Split(NamedTuple):
    """Base and new categories: ascending int64 indices, disjoint, together all of them."""

    base: np.ndarray
    new: np.ndarray


@dataclass(frozen=True)
class Variant:
    """What `W` minimises.

    Attributes
    ----------
    images : {"new", "all"}
        Whether the cross-entropy runs over the images of new categories alone, or over all.
        Its softmax always runs over all categories, base and new.
    penalty : str
        A name in `neuraldeps.weight_penalties.WEIGHT_PENALTIES`.
    strengths : tuple of float
        In nats per image; of several, the best on held-out training images is taken.
    """

    images: str
    penalty: str
    strengths: tuple[float, ...]


class Solution(NamedTuple):
    """A certified `W`.

    Attributes
    ----------
    weights : ndarray of float64, shape (n_new, n_base)
    gap : float
        Certified bound on (loss - least loss) / loss: for l1 a duality gap, for l2 what strong
        convexity leaves, ``|gradient|^2 / (2 strength)``.
    passes : int
        Evaluations of the loss, each a pass over the stored logits.
    """

    weights: np.ndarray
    gap: float
    passes: int


class Learned(NamedTuple):
    """The outcome of one variant.

    Attributes
    ----------
    solution : Solution
        On all training images, at the chosen strength; `passes` counts the choice's, too.
    strength : float
        The chosen one.
    held_out_accuracy : ndarray of float64, shape (strength,)
        On held-out training images; NaN where nothing had to be chosen.
    seconds : float
        Wall-clock time of all fits, the choice's and the last one, and of judging the held-out
        images; not of reading the logits. For log files only.
    """

    solution: Solution
    strength: float
    held_out_accuracy: np.ndarray
    seconds: float


def split_categories(n_categories: int, n_new: int, seed: int) -> Split:
    """Draw the new categories.

    The same seed draws nested sets: the one of 999 -> 1 is among the hundred of 900 -> 100.

    Examples
    --------
    >>> split_categories(5, 2, seed=0)
    Split(base=array([0, 1, 3]), new=array([2, 4]))
    """
    order = np.random.default_rng(seed).permutation(n_categories)
    return Split(np.sort(order[n_new:]), np.sort(order[:n_new]))


def read_split(path: str) -> Split:
    """Read what `split_categories` drew, from the table with the columns `category` and `role`."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = [(int(row["category"]), row["role"]) for row in csv.DictReader(file)]
    base, new = ([category for category, is_a in rows if is_a == role] for role in ("base", "new"))
    return Split(np.array(base, np.int64), np.array(new, np.int64))


@dataclass(frozen=True)
class TrainingLogits:
    """Stored logits of a base network, as `W` is learned from them.

    Where the logits have a lower rank than there are base categories (a narrow classifier), images
    are kept as coordinates in the space that they span: what `W` does outside of it changes no
    logit, the L2 penalty makes it zero, and the L1 penalty is taken on `W` itself.

    Attributes
    ----------
    features : ndarray of float32 or float64, shape (stored image, rank)
        The only large array, held once: `take` shares it.
    basis : ndarray of float64, shape (rank, n_base), or None
        Orthonormal rows: ``logits = features @ basis``. None is the identity.
    offset : ndarray of float64, shape (image,)
        ``log sum exp`` of the base logits: all that the loss needs of them besides the features.
    label : ndarray of int64, shape (image,)
        Position among the new categories, -1 for an image of a base category.
    highest : ndarray of float64, shape (image,)
        The highest base logit.
    is_right : ndarray of bool, shape (image,)
        Whether an image is classified rightly if no new category wins.
    taken : ndarray of int64, shape (image,), or None
        Rows of `features` that are these images. None is all of them.
    """

    features: np.ndarray
    basis: np.ndarray | None
    offset: np.ndarray
    label: np.ndarray
    highest: np.ndarray
    is_right: np.ndarray
    taken: np.ndarray | None = None

    @classmethod
    def from_logits(
        cls,
        logits: Any,
        label: np.ndarray,
        split: Split,
        *,
        images: np.ndarray | None = None,
        binary: bool = False,
    ) -> "TrainingLogits":
        """Compress logits of images with labels among all categories.

        The logits are read twice, `ROWS` images at a time. What is held of them are the features of
        `images`: float32 as they are, or float64 of a rank of at most 0.8 `n_base`.

        Parameters
        ----------
        logits : array of float32, shape (sample, n_base)
            In memory or in a store: anything that takes rows, such as ``store["logits"]``.
        label : ndarray of int64, shape (sample,)
            -1 where there is none.
        split : Split
        images : ndarray of int64, optional
            Samples to learn from, all with a label; by default every sample that has one. No other
            is read.
        binary : bool
            Whether images of base categories are right as soon as no new category wins.
        """
        images = np.flatnonzero(label >= 0) if images is None else images
        label = label[images]
        of_base, of_new = position_among(split.base, label), position_among(split.new, label)
        is_right, (offset, highest) = of_base >= 0, np.empty((2, len(images)))
        moment = np.zeros((logits.shape[1],) * 2)
        for rows, block in _blocks(logits, images):
            offset[rows], highest[rows] = logsumexp(block, axis=1), block.max(axis=1)
            moment += block.T @ block
            if not binary:
                is_right[rows] = block.argmax(axis=1) == of_base[rows]
        basis = _spanned(moment)
        if basis is None:
            features = np.empty((len(images), logits.shape[1]), logits.dtype)
        else:
            features = np.empty((len(images), len(basis)))
        for rows, block in _blocks(logits, images):
            features[rows] = block if basis is None else block @ basis.T
        return cls(features, basis, offset, of_new, highest, is_right)

    @property
    def n_base(self) -> int:
        """Number of base categories."""
        return (self.features if self.basis is None else self.basis).shape[1]

    def take(self, images: np.ndarray) -> "TrainingLogits":
        """Some of the images, by index or by mask; their features stay where they are."""
        taken = np.arange(len(self.label)) if self.taken is None else self.taken
        return replace(
            self,
            taken=taken[images],
            offset=self.offset[images],
            label=self.label[images],
            highest=self.highest[images],
            is_right=self.is_right[images],
        )

    def lower(self, weights: np.ndarray) -> np.ndarray:
        """Turn `W` (n_new, n_base) into coefficients (rank, n_new) of the features."""
        return weights.T if self.basis is None else self.basis @ weights.T

    def lift(self, coefficients: np.ndarray) -> np.ndarray:
        """Turn a gradient or coefficients (rank, n_new) of the features into those of `W`."""
        return coefficients.T if self.basis is None else coefficients.T @ self.basis

    def loss(self, coefficients: np.ndarray) -> float:
        """Mean cross-entropy; see `loss_and_gradient`."""
        parts = (self._forward(rows, coefficients) for rows in self._rows())
        return sum(loss for loss, *_ in parts) / len(self.label)

    def loss_and_gradient(self, coefficients: np.ndarray) -> tuple[float, np.ndarray]:
        r"""Mean cross-entropy of the softmax over all categories, base and new, and its gradient.

        With ``z = W f(x)`` and ``c = log sum_base exp f(x)`` it is, but for a term that `W` does
        not enter, ``log(1 + sum_k exp(z_k - c)) - [y is new] (z_y - c)``.

        Parameters
        ----------
        coefficients : ndarray of float64, shape (rank, n_new)
            See `lower`.

        Returns
        -------
        float
            Nats per image.
        ndarray of float64, shape (rank, n_new)
        """
        total, gradient = 0.0, np.zeros_like(coefficients)
        for rows in self._rows():
            loss, new, _ = self._forward(rows, coefficients)
            images, own = self._of_new(rows)
            new[images, own] -= 1
            total += loss
            gradient += self._block(rows).T @ new
        return total / len(self.label), gradient / len(self.label)

    def dual(self, coefficients: np.ndarray, scale: float) -> float:
        """Value of the loss's dual at its own residuals, shrunk by a factor.

        ``u = scale (p - y)``, with `p` the softmax and `y` the label, is a dual point, of value
        minus the mean of ``c sum_new u + sum q log q``, where ``q = u + y`` sums to one.
        """
        total = 0.0
        for rows in self._rows():
            _, new, base = self._forward(rows, coefficients)
            images, own = self._of_new(rows)
            new *= scale
            new[images, own] += 1 - scale
            base = scale * base + (1 - scale) * (self.label[rows] < 0)
            residual = new.sum(axis=1) - (self.label[rows] >= 0)
            total += float(residual @ self.offset[rows])
            total -= float(entr(new).sum() + entr(base).sum())
        return -total / len(self.label)

    def accuracy(self, weights: np.ndarray) -> float:
        """Share of images that ``[f; W f]`` classifies rightly; a base category wins a tie."""
        coefficients, right = self.lower(weights), 0
        for rows in self._rows():
            new = self._block(rows) @ coefficients
            new_wins = new.max(axis=1) > self.highest[rows]
            right_new = new.argmax(axis=1) == self.label[rows]
            right += int(np.where(new_wins, right_new, self.is_right[rows]).sum())
        return right / len(self.label)

    def _rows(self) -> Iterator[slice]:
        return (slice(first, first + ROWS) for first in range(0, len(self.label), ROWS))

    def _block(self, rows: slice) -> np.ndarray:
        """Features of some of the images, float64."""
        at = rows if self.taken is None else self.taken[rows]
        return self.features[at].astype(np.float64, copy=False)

    def _of_new(self, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        """Images of new categories among some rows, and which category each shows."""
        images = np.flatnonzero(self.label[rows] >= 0)
        return images, self.label[rows][images]

    def _forward(
        self, rows: slice, coefficients: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Summed loss, probabilities (image, n_new) and that of all base categories together."""
        logits = self._block(rows) @ coefficients
        logits -= self.offset[rows, None]
        images, own = self._of_new(rows)
        loss = -float(logits[images, own].sum())
        top = np.maximum(logits.max(axis=1), 0)
        logits -= top[:, None]
        new, base = np.exp(logits, out=logits), np.exp(-top)
        norm = new.sum(axis=1) + base
        loss += float((top + np.log(norm)).sum())
        new /= norm[:, None]
        return loss, new, base / norm


def learn(
    logits: TrainingLogits,
    n_new: int,
    penalty: str,
    strength: float,
    *,
    start: np.ndarray | None = None,
    tolerance: float = FINAL_TOLERANCE,
) -> Solution:
    """Find the `W` that minimises cross-entropy plus a penalty, to a certified bound on the rest.

    Parameters
    ----------
    logits : TrainingLogits
        Of the images that the cross-entropy runs over.
    n_new : int
    penalty, strength
        See `Variant`.
    start : ndarray, shape (n_new, n_base), optional
        Zero by default.
    tolerance : float
        Largest certified (loss - least loss) / loss; see `Solution`.

    Returns
    -------
    Solution

    Raises
    ------
    InputError
        If the tolerance is not reached.
    """
    start = np.zeros((n_new, logits.n_base)) if start is None else start
    solution = SOLVERS[penalty](logits, strength, start, tolerance)
    if not solution.gap <= tolerance:
        raise InputError(
            f"generalizability.variants: penalty {penalty} of strength {strength:g} leaves a gap of "
            f"{solution.gap:.1e} after {solution.passes} passes; take a larger strength"
        )
    return solution


def _learn_ridge(
    logits: TrainingLogits, strength: float, start: np.ndarray, tolerance: float
) -> Solution:
    """L-BFGS. Strong convexity bounds loss - least loss by ``|gradient|^2 / (2 strength)``."""
    lowered = logits.lower(start)
    gap, passes = np.inf, 0

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal gap, passes
        coefficients = flat.reshape(lowered.shape)
        loss, gradient = logits.loss_and_gradient(coefficients)
        loss += strength / 2 * float(flat @ flat)
        gradient += strength * coefficients
        gap, passes = float(np.vdot(gradient, gradient)) / (2 * strength * loss), passes + 1
        return loss, gradient.ravel()

    def stop(intermediate_result: Any) -> None:
        if gap <= tolerance:
            raise StopIteration

    options = {"maxiter": MAX_STEPS, "maxfun": MAX_STEPS, "maxcor": 20, "ftol": 0, "gtol": 0}
    found = minimize(
        objective, lowered.ravel(), jac=True, method="L-BFGS-B", callback=stop, options=options
    )
    objective(found.x)
    return Solution(logits.lift(found.x.reshape(lowered.shape)), gap, passes)


def _learn_sparse(
    logits: TrainingLogits, strength: float, start: np.ndarray, tolerance: float
) -> Solution:
    """FISTA with backtracking and restarts (Beck and Teboulle 2009, O'Donoghue and Candes 2015).

    The gap is the duality gap: to the dual of `TrainingLogits.dual`, shrunk until no correlation exceeds the
    strength.
    """
    weights, point, momentum, curvature = start.copy(), start.copy(), 1.0, 1.0
    gap, passes = np.inf, 0
    for step in range(MAX_STEPS):
        if step % GAP_EVERY == 0:
            gap, passes = _sparse_gap(logits, strength, weights), passes + 2
            if gap <= tolerance:
                break
        loss, gradient = logits.loss_and_gradient(logits.lower(point))
        gradient, passes = logits.lift(gradient), passes + 1
        while True:
            moved = point - gradient / curvature
            moved = np.sign(moved) * np.maximum(np.abs(moved) - strength / curvature, 0)
            change = moved - point
            passes += 1
            bound = loss + np.vdot(gradient, change) + curvature / 2 * np.vdot(change, change)
            if logits.loss(logits.lower(moved)) <= bound + 1e-12 * abs(bound):
                break
            curvature *= 2
        if np.vdot(point - moved, moved - weights) > 0:
            momentum = 1.0
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        point = moved + (momentum - 1) / following * (moved - weights)
        weights, momentum, curvature = moved, following, 0.98 * curvature
    return Solution(weights, gap, passes)


def _sparse_gap(logits: TrainingLogits, strength: float, weights: np.ndarray) -> float:
    coefficients = logits.lower(weights)
    loss, gradient = logits.loss_and_gradient(coefficients)
    loss += strength * float(np.abs(weights).sum())
    steepest = float(np.abs(logits.lift(gradient)).max())
    scale = min(1.0, strength / steepest) if steepest > 0 else 1.0
    return (loss - logits.dual(coefficients, scale)) / loss


# what learns W with each penalty that the configuration knows
SOLVERS = {"l1": _learn_sparse, "l2": _learn_ridge}


def learn_variant(
    logits: TrainingLogits, n_new: int, variant: Variant, held_out: np.ndarray
) -> Learned:
    """Learn `W` as a variant says, the strength of its penalty chosen on held-out training images.

    Parameters
    ----------
    logits : TrainingLogits
        Of all training images.
    n_new : int
    variant : Variant
    held_out : ndarray of bool, shape (image,)
        Images of all categories, base and new, on which the strengths compete; the winner, the
        largest among equals, is then learned on all training images.

    Returns
    -------
    Learned

    Raises
    ------
    InputError
        As `check_images` and `learn`.
    """
    began = time.perf_counter()
    check_images(variant, logits.label >= 0, held_out)
    of_loss = _of_loss(variant, logits.label >= 0)
    strengths = sorted(variant.strengths, reverse=True)
    accuracy = dict.fromkeys(strengths, np.nan)
    solutions: dict[float, Solution] = {}
    if len(strengths) > 1:
        rest, judges = logits.take(of_loss & ~held_out), logits.take(held_out)
        start = None
        for strength in strengths:
            found = learn(
                rest, n_new, variant.penalty, strength, start=start, tolerance=CHOICE_TOLERANCE
            )
            solutions[strength], start = found, found.weights
            accuracy[strength] = judges.accuracy(found.weights)
    chosen = max(strengths, key=lambda strength: accuracy[strength])
    passes = sum(solution.passes for solution in solutions.values())
    start = solutions[chosen].weights if solutions else None
    whole = logits if of_loss.all() else logits.take(of_loss)
    solution = learn(whole, n_new, variant.penalty, chosen, start=start)
    seconds = time.perf_counter() - began
    logger.info(
        "%s: strength %g, gap %.1e, %d passes, %.1f s",
        variant,
        chosen,
        solution.gap,
        passes + solution.passes,
        seconds,
    )
    return Learned(
        solution._replace(passes=passes + solution.passes),
        chosen,
        np.array([accuracy[strength] for strength in variant.strengths]),
        seconds,
    )


def check_images(variant: Variant, is_new: np.ndarray, held_out: np.ndarray) -> None:
    """Refuse training images that a variant has nothing to learn from, or to be chosen on.

    Parameters
    ----------
    variant : Variant
    is_new, held_out : ndarray of bool, shape (image,)
        Whether an image shows a new category, and whether strengths compete on it.

    Raises
    ------
    InputError
        If there is no image for its loss, or for its choice of a strength.
    """
    of_loss = _of_loss(variant, is_new)
    if not of_loss.any():
        what = "training image" if variant.images == "all" else "training image of a new category"
        raise InputError(
            f"generalizability.variants: one is learned on images: {variant.images}, but no {what} "
            "has a label; label some of generalizability.fit_split, or take another split"
        )
    n_rest, n_held_out = np.count_nonzero(of_loss & ~held_out), np.count_nonzero(held_out)
    if len(variant.strengths) > 1 and not (n_rest and n_held_out):
        raise InputError(
            f"generalizability.held_out_every: {n_held_out} of {len(held_out)} training images are held out "
            f"and {n_rest} left to learn from, where one of {len(variant.strengths)} strengths is to be "
            "chosen; set held_out_every to at most the images of a category, or give each variant one strength"
        )


def _of_loss(variant: Variant, is_new: np.ndarray) -> np.ndarray:
    """Whether the cross-entropy runs over each image."""
    return np.ones_like(is_new) if variant.images == "all" else is_new


def classified_rightly(
    base_logits: np.ndarray,
    new_logits: np.ndarray,
    label: np.ndarray,
    split: Split,
    *,
    binary: bool = False,
) -> np.ndarray:
    """Which images a classifier gets right: with the full arg-max, and with the restricted one.

    Parameters
    ----------
    base_logits : ndarray, shape (image, n_base)
    new_logits : ndarray, shape (image, n_new)
    label : ndarray of int64, shape (image,)
        Among all categories; -1 where there is none, and no classifier is right.
    split : Split
    binary : bool
        Whether the task is to tell new categories from the others: right is whether a new
        logit wins where it should, and nothing is restricted.

    Returns
    -------
    ndarray of bool, shape (image, 2)
        In the order of `ARGMAX`: over all categories, and over the image's own group, base or new
        (Table 4). A base category wins a tie, then the earlier one.
    """
    is_new = position_among(split.new, label) >= 0
    new_wins = new_logits.max(axis=1) > base_logits.max(axis=1)
    if binary:
        right = (new_wins == is_new) & (label >= 0)
        return np.stack([right, right], axis=1)
    winner_in_base = split.base[base_logits.argmax(axis=1)]
    winner_in_new = split.new[new_logits.argmax(axis=1)]
    full = np.where(new_wins, winner_in_new, winner_in_base) == label
    restricted = np.where(is_new, winner_in_new, winner_in_base) == label
    return np.stack([full, restricted], axis=1)


def group_accuracy(right: np.ndarray, is_new: np.ndarray) -> np.ndarray:
    """Shares of images classified rightly, per group of `GROUPS` and arg-max of `ARGMAX`.

    Parameters
    ----------
    right : ndarray of bool, shape (image, 2)
        Of images that have a label; see `classified_rightly`.
    is_new : ndarray of bool, shape (image,)

    Returns
    -------
    ndarray of float64, shape (3, 2)
        NaN for a group without images.
    """
    return np.stack([_share(right), _share(right[~is_new]), _share(right[is_new])])


def _share(right: np.ndarray) -> np.ndarray:
    return right.mean(axis=0) if len(right) else np.full(right.shape[1], np.nan)


def _blocks(logits: Any, images: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Logits of some images, float64, `ROWS` at a time, and which of the images they are."""
    for first in range(0, len(images), ROWS):
        rows = slice(first, min(first + ROWS, len(images)))
        yield rows, np.asarray(logits[images[rows]]).astype(np.float64, copy=False)


def _spanned(moment: np.ndarray) -> np.ndarray | None:
    """Orthonormal rows that span logits of this second moment; None if they span nearly everything."""
    values, vectors = np.linalg.eigh(moment)
    spanned = values > RANK_TOLERANCE * values[-1]
    return None if spanned.mean() > 0.8 else np.ascontiguousarray(vectors[:, spanned].T)
