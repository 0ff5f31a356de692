"""Stored logits of a base network, compressed as `W` is learned from them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import entr, logsumexp

from neuraldeps.generalizability.partition import Split
from neuraldeps.images.labels import position_among

ROWS = 4096  # images at once: their probabilities stay in the last-level cache
RANK_TOLERANCE = 1e-11  # of the largest eigenvalue; float32 logits carry about 1e-14


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
            Base and new categories.
        images : ndarray of int64, optional
            Samples to learn from, all with a label; by default every sample that has one. No other
            is read.
        binary : bool
            Whether images of base categories are right as soon as no new category wins.

        Returns
        -------
        TrainingLogits
            Of the images to learn from.
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
        """Some of the images, by index or by mask; their features stay where they are.

        Parameters
        ----------
        images : ndarray of int64 or bool
            Which of them.

        Returns
        -------
        TrainingLogits
            A view.
        """
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
        """Turn `W` (n_new, n_base) into coefficients (rank, n_new) of the features.

        Parameters
        ----------
        weights : ndarray, shape (n_new, n_base), float64
            W.

        Returns
        -------
        ndarray, shape (rank, n_new), float64
            Coefficients.
        """
        return weights.T if self.basis is None else self.basis @ weights.T

    def lift(self, coefficients: np.ndarray) -> np.ndarray:
        """Turn a gradient or coefficients (rank, n_new) of the features into those of `W`.

        Parameters
        ----------
        coefficients : ndarray, shape (rank, n_new), float64
            Of the features.

        Returns
        -------
        ndarray, shape (n_new, n_base), float64
            Of the base logits.
        """
        return coefficients.T if self.basis is None else coefficients.T @ self.basis

    def loss(self, coefficients: np.ndarray) -> float:
        """Mean cross-entropy; see `loss_and_gradient`.

        Parameters
        ----------
        coefficients : ndarray, shape (rank, n_new), float64
            Of the features.

        Returns
        -------
        float
            In nats.
        """
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

        Parameters
        ----------
        coefficients : ndarray, shape (rank, n_new), float64
            Of the features.
        scale : float
            The factor, at most 1.

        Returns
        -------
        float
            In nats: at most the least loss.
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
        """Share of images that ``[f; W f]`` classifies rightly; a base category wins a tie.

        Parameters
        ----------
        weights : ndarray, shape (n_new, n_base), float64
            W.

        Returns
        -------
        float
            From 0 to 1.
        """
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
