"""New categories learned as linear combinations of base categories' logits (Tables 2 and 4).

A network `f` was trained on the base categories only. The logits of `n_new` further categories are
`W f(x)`, and the whole classifier is ``f_all = [f; W f]``. As `f` is frozen, its logits of the
training images are stored once, and learning `W` (n_new x n_base) is a convex problem.
"""

import logging
import time
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize

from neuraldeps.errors import InputError
from neuraldeps.generalizability.training_logits import TrainingLogits

logger = logging.getLogger(__name__)
CHOICE_TOLERANCE, FINAL_TOLERANCE = 1e-2, 1e-3
MAX_STEPS = 20_000
GAP_EVERY = 20


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
        New categories.
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
            f"{solution.gap:.1e} after {solution.passes} passes; use a larger strength"
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
        New categories.
    variant : Variant
        Its images, penalty and strengths.
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
        Its images, penalty and strengths.
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
            "has a label; label some of generalizability.fit_split, or choose another split"
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
