"""Imported logits in single precision: what the cast may change, and masked categories."""

import logging
from collections.abc import Iterable
from typing import Any

import numpy as np

from neuraldeps.errors import InputError

log = logging.getLogger(__name__)
MASKED = -1e30  # a logit at most this, or the least of float16, is a masked class's, no network's
HALF = float(np.finfo(np.float16).min)
# a logit moved by float32, in parts of its image's spread: worth a word, and too much
NOTICEABLE, COARSE = 2.0**-20, 2.0**-12


class Cast:
    """Logits as float32, checked: what they lose by it is refused, or counted and reported."""

    def __init__(self, key: str, masked: np.ndarray, one: np.ndarray) -> None:
        self.key, self.masked, self.one = key, masked, one
        self.constant = np.flatnonzero(~masked & (self.one != 0))
        self.rounded = self.winners = self.equal = 0

    def __call__(self, values: np.ndarray, first: int) -> np.ndarray:
        """Cast the logits (sample, category) of some images, of which `first` is the first one's row."""
        self._check_finite(values, first)
        self._check_masked(values, first)
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float32)
        if values.dtype.itemsize > narrow.dtype.itemsize:
            self._check_narrowed(values, narrow, first)
        self.equal += int((narrow == narrow[:, :1]).all(axis=1).sum())
        same = (values[:, self.constant] == self.one[self.constant]).all(axis=0)
        self.constant = self.constant[same]
        return narrow

    def report(self) -> None:
        """Say in the log what is odd and not refused."""
        told = {
            "logits of %d images are moved by float32 more than their spread is rounded; subtract "
            "each image's mean before you save them": self.rounded,
            "top-1 of %d images changes by float32, where two logits are equal but for its "
            "rounding": self.winners,
            "%d images have the same logit for all categories, as if a job had been killed before it "
            "wrote them": self.equal,
        }
        for what, count in told.items():
            if count:
                log.warning(f"%s: {what}", self.key, count)
        if self.constant.size:
            log.warning(
                "%s: categories with one logit for all images, which a dependency takes for an "
                "intercept: %s",
                self.key,
                listed(self.constant),
            )

    def _check_finite(self, values: np.ndarray, first: int) -> None:
        if np.isfinite(values).all():
            return
        row, column = np.argwhere(~np.isfinite(values))[0]
        value = values[row, column]
        at = f"{self.key}: the logit of image {first + row}, category {column} is {value}"
        if value == -np.inf and (values[:, column] == value).all():
            raise InputError(
                f"{at}, a masked class; give it numpy.finfo('float32').min in place of -inf, and it is "
                "left out"
            )
        if value == -np.inf:
            raise InputError(
                f"{at}, masked there and not for all images; save logits without a mask"
            )
        what = "not a number, or never written" if np.isnan(value) else f"beyond {values.dtype}"
        raise InputError(f"{at}, {what}; compute it again, or leave the image out of every file")

    def _check_masked(self, values: np.ndarray, first: int) -> None:
        if float(values.min()) > HALF and not self.masked.any():
            return
        odd = np.argwhere(_is_mask(values.astype(np.float64)) != self.masked)
        if odd.size:
            row, column = odd[0]
            raise InputError(
                f"{self.key}: the logit of image {first + row}, category {column} is "
                f"{values[row, column]:.3g}: masked for some images and not for all; save logits "
                "without a mask"
            )

    def _check_narrowed(self, values: np.ndarray, narrow: np.ndarray, first: int) -> None:
        if not np.isfinite(narrow).all():
            row, column = np.argwhere(~np.isfinite(narrow))[0]
            raise InputError(
                f"{self.key}: the logit of image {first + row}, category {column} is "
                f"{values[row, column]:.3g}, beyond float32; scale the logits, or give a masked class "
                "numpy.finfo('float32').min"
            )
        if self.masked.any():
            values, narrow = values[:, ~self.masked], narrow[:, ~self.masked]
        moved = np.abs(narrow - values).max(axis=1)
        spread = values.max(axis=1) - values.min(axis=1)
        if (coarse := (moved > COARSE * spread) & (spread > 0)).any():
            row = int(np.flatnonzero(coarse)[0])
            raise InputError(
                f"{self.key}: logits of image {first + row} lie within {spread[row]:.3g} of each other "
                f"and move by up to {moved[row]:.3g} as float32; subtract each image's mean before you "
                "save them"
            )
        self.rounded += int((moved > NOTICEABLE * spread).sum())
        self.winners += int((values.argmax(axis=1) != narrow.argmax(axis=1)).sum())


def masked_columns(array: Any) -> list[int]:
    """Categories that are masked in the first image, as `copy_logits` finds them in all others.

    Parameters
    ----------
    array : array, shape (image, category)
        Logits, in memory or in a file.

    Returns
    -------
    list of int
        In rising order.
    """
    return np.flatnonzero(_is_mask(np.asarray(array[:1], np.float64)[0])).tolist()


def _is_mask(logits: np.ndarray) -> np.ndarray:
    return (logits <= MASKED) | (logits == HALF)


def listed(numbers: Iterable[int]) -> str:
    """Numbers as a sentence lists them.

    Parameters
    ----------
    numbers : iterable of int
        In the order in which they are named.

    Returns
    -------
    str
        With commas.
    """
    return ", ".join(map(str, numbers))
