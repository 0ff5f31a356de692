"""What a reader should look at first: one list of flags, each a rule on a card's numbers."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

REDUNDANT_ERROR, REDUNDANT_SIZE = 0.10, 4
LARGE, UNLIKE = 0.5, 0.3
UNCONFIDENT = 0.1
UNSTABLE = 0.5


@dataclass(frozen=True)
class Flag:
    """A rule that raises a flag.

    Attributes
    ----------
    rule : callable
        From a card's numbers to whether it is raised; None where what it asks for was not measured.
    meaning : str
        The rule in words.
    """

    rule: Callable[[Mapping[str, Any]], bool | None]
    meaning: str


def name_likeness(first: str, second: str) -> float:
    """How alike two names are, from 0 to 1: twice the letters that match over all letters.

    Ratcliff and Obershelp's measure, as `difflib.SequenceMatcher` has it.

    Parameters
    ----------
    first, second : str
        Names, in any case and either order.

    Returns
    -------
    float
        1 where they are the same but for case, 0 where no letter matches.

    Examples
    --------
    >>> round(name_likeness("BLACK SMALL SQUARE", "BLACK MEDIUM SQUARE"), 2)
    0.76
    """
    one, other = sorted((first.casefold(), second.casefold()))  # the ratio depends on the order
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


def _redundant(card: Mapping[str, Any]) -> bool | None:
    errors = [error for size, error in card["subset_errors"].items() if size <= REDUNDANT_SIZE]
    known = [error for error in errors if error is not None]
    return any(error < REDUNDANT_ERROR for error in known) if known else None


def _peculiar(card: Mapping[str, Any]) -> bool | None:
    terms = zip(card["shares"], card["likeness"], strict=True)
    return any(share >= LARGE and likeness < UNLIKE for share, likeness in terms)


def _unconfident(card: Mapping[str, Any]) -> bool | None:
    return bool(card["relative_second_moment"] < UNCONFIDENT)


def _unstable(card: Mapping[str, Any]) -> bool | None:
    return None if card["stability"] is None else bool(card["stability"] < UNSTABLE)


FLAGS = {
    "redundant": Flag(
        _redundant,
        f"the best subset of at most {REDUNDANT_SIZE} others misses the logit by less than "
        f"{REDUNDANT_ERROR:.0%} on the category's own held-out images",
    ),
    "peculiar": Flag(
        _peculiar,
        f"a source of the best subset carries at least {LARGE:.0%} of the logit's root mean square "
        f"and has a name whose likeness is under {UNLIKE:g}",
    ),
    "unconfident": Flag(
        _unconfident,
        f"the logit's second moment is under {UNCONFIDENT:g} of the median category's: the paper's "
        "trivial case",
    ),
    "unstable": Flag(
        _unstable,
        f"the stability of the best subset over halves of the images is under {UNSTABLE:g}",
    ),
}
