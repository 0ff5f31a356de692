"""The penalties that `W`, new categories' logits from base categories' logits, is learned with.

The configuration and the tables' notes read this list; `neuraldeps.generalizability.learning.SOLVERS` has
what minimises the loss with each of them.
"""

from typing import NamedTuple


class WeightPenalty(NamedTuple):
    """What is added to the cross-entropy, and what bounds the loss that a solution leaves."""

    formula: str
    bound: str


WEIGHT_PENALTIES = {
    "l1": WeightPenalty("strength * sum |W|", "a duality gap"),
    "l2": WeightPenalty("strength / 2 * sum W^2", "strong convexity"),
}
FORMULAS = ", ".join(f"{name} is {one.formula}" for name, one in WEIGHT_PENALTIES.items())
BOUNDS = ", ".join(f"for {name} by {one.bound}" for name, one in WEIGHT_PENALTIES.items())
