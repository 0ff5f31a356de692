"""The arms of Table 3, and the penalty that cuts a dependency off."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


TINY = 1e-30  # keeps 0 / 0 from a batch in which both logits are dead


def literal(f_i: "Tensor", f_j: "Tensor") -> "Tensor":
    """``|E[f_i f_j]|`` over a batch, as the paper writes it; squared logits.

    Parameters
    ----------
    f_i, f_j : Tensor, shape (image,), float32
        Logits of the two categories over a batch.

    Returns
    -------
    Tensor, shape ()
        Sec. 3.3's regulariser, without its weight.
    """
    return (f_i * f_j).mean().abs()


def normalised(f_i: "Tensor", f_j: "Tensor") -> "Tensor":
    """``|E[f_i f_j]| / sqrt(E[f_i^2] E[f_j^2])`` over a batch; of no unit, at most 1.

    Parameters
    ----------
    f_i, f_j : Tensor, shape (image,), float32
        Logits of the two categories over a batch.

    Returns
    -------
    Tensor, shape ()
        The same for logits of any scale.
    """
    return literal(f_i, f_j) / (f_i.square().mean() * f_j.square().mean()).clamp_min(TINY).sqrt()


@dataclass(frozen=True)
class Arm:
    """One way to go on from the baseline; the tables and figures show it by its name in `ARMS`.

    Attributes
    ----------
    penalty : callable of (f_i, f_j), optional
        The term that is added to the loss, of logits (image,) over a batch, without its weight.
    loss : str
        How the notes of Table 3 write the loss, with its ``{weight:g}``.
    """

    penalty: "Callable[[Tensor, Tensor], Tensor] | None" = None
    loss: str = ""


BASELINE, CONTROL = "baseline", "control"
# the baseline is not fine-tuned; all others are, and are compared with the control
ARMS = {
    BASELINE: Arm(),
    CONTROL: Arm(),
    "literal": Arm(literal, "loss CE + {weight:g} |E f_i f_j| as the paper writes it"),
    "normalised": Arm(normalised, "CE + {weight:g} |E f_i f_j| / sqrt(E f_i^2 E f_j^2)"),
}
FINETUNED = [name for name in ARMS if name != BASELINE]
PENALISED = [name for name, arm in ARMS.items() if arm.penalty is not None]


def describe_penalties(weight: float) -> str:
    """Say what the loss of every arm with a penalty is.

    Parameters
    ----------
    weight : float
        Of the penalty in the loss.

    Returns
    -------
    str
        One clause per arm.

    Examples
    --------
    >>> describe_penalties(0.2)[:70]
    'literal: loss CE + 0.2 |E f_i f_j| as the paper writes it; normalised:'
    """
    losses = [f"{name}: {ARMS[name].loss.format(weight=weight)}" for name in PENALISED]
    return f"{'; '.join(losses)}; expectations over the batch."


@dataclass(frozen=True)
class DependencyPenalty:
    """The paper's regulariser of one pair, an extra loss for `neuraldeps.networks.training.train`.

    The expectations are over the batch of one device, in float32 at least.

    Parameters
    ----------
    target, source : int
        i and j.
    weight : float
        0.2 in the paper; for squared logits, or of no unit where normalised.
    form : str
        The arm of `ARMS` whose penalty it is.

    References
    ----------
    Feng et al. "Neural Dependencies Emerging from Learning Massive Categories". CVPR 2023, Sec. 3.3.
    """

    target: int
    source: int
    weight: float
    form: str

    def __call__(self, logits: "Tensor", labels: "Tensor") -> "Tensor":
        """Penalty of a batch of logits (image, category); the labels do not enter."""
        penalty = ARMS[self.form].penalty
        if penalty is None:
            raise ValueError(f"{self.form} has no penalty; take one of {', '.join(PENALISED)}")
        wide = logits if logits.element_size() >= 4 else logits.float()
        return self.weight * penalty(wide[:, self.target], wide[:, self.source])
