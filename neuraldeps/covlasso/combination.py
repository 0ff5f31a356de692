"""What the solvers' scikit-learn estimators share: logits become second moments, the rest is the solver's."""

from abc import ABC, abstractmethod
from typing import Self

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from neuraldeps.covlasso.validation import refuse_one_unnamed


class SparseCombination(MultiOutputMixin, RegressorMixin, BaseEstimator, ABC):
    """Every category's logit as a sparse linear combination of other categories' logits.

    Attributes
    ----------
    coef_ : scipy.sparse.csr_array of shape (n_targets, n_sources)
        The coefficients `w`, set by fitting.
    n_features_in_ : int
        Number of source categories.
    """

    coef_: scipy.sparse.csr_array

    def fit(self, X, Y=None) -> Self:
        """Solve every category of `X` within, or every category of `Y` from those of `X`.

        Parameters
        ----------
        X : array-like of shape (n_images, n_sources)
            Logits of the source network.
        Y : array-like of shape (n_images, n_targets), optional
            Logits of the target network over the same images.

        Returns
        -------
        SparseCombination
            Itself, fitted.

        Raises
        ------
        UncertifiedError
            If `CovLasso` cannot certify a target's solution.
        ValueError
            If `Y` is one category and `exclude_own` does not say which source is its own.
        """
        options = {"dtype": np.float64, "ensure_min_features": 2}
        if Y is None:
            logits = validate_data(self, X, **options)
            return self._solve(logits.T @ logits / len(logits))
        logits, others = validate_data(self, X, Y, multi_output=True, y_numeric=True, **options)
        others = np.asarray(others, np.float64)
        others = others.reshape(len(others), -1)
        return self._solve(
            logits.T @ logits / len(logits),
            logits.T @ others / len(logits),
            np.square(others).mean(axis=0),
        )

    def fit_moments(self, second_moment, cross_moment=None, target_second_moment=None) -> Self:
        """Solve from moments instead of logits; arguments as in `covlasso_path` and `best_subsets`.

        Parameters
        ----------
        second_moment : array-like of shape (n_sources, n_sources)
            E[f f^T], squared logits.
        cross_moment : array-like of shape (n_sources, n_targets), optional
            E[f g^T]; left out within a network.
        target_second_moment : array-like of shape (n_targets,), optional
            E[g_i^2], required with `cross_moment`.

        Returns
        -------
        SparseCombination
            Itself, fitted.
        """
        self.n_features_in_ = np.shape(second_moment)[0]
        return self._solve(second_moment, cross_moment, target_second_moment)

    def _solve(self, second_moment, cross_moment=None, target_second_moment=None) -> Self:
        refuse_one_unnamed(cross_moment, self.exclude_own)
        exclude_own = True if cross_moment is None else self.exclude_own
        self._solve_moments(second_moment, cross_moment, target_second_moment, exclude_own)
        return self

    @abstractmethod
    def _solve_moments(self, second_moment, cross_moment, target_second_moment, exclude_own):
        """Set `coef_` and what else is known of the solutions."""

    def predict(self, X) -> np.ndarray:
        """Logits (n_images, n_targets) predicted from the logits `X` of the source network.

        Parameters
        ----------
        X : array-like of shape (n_images, n_sources)
            Logits of the source network.

        Returns
        -------
        ndarray of shape (n_images, n_targets), float64
            Predicted logits.
        """
        check_is_fitted(self)
        logits = validate_data(self, X, dtype=np.float64, reset=False)
        return logits @ self.coef_.T

    def score(self, X, y=None, sample_weight=None) -> float:
        """Mean R^2 over the targets; without `y`, of the logits `X` themselves.

        Parameters
        ----------
        X : array-like of shape (n_images, n_sources)
            Logits of the source network.
        y : array-like of shape (n_images, n_targets), optional
            Logits of the target network.
        sample_weight : array-like of shape (n_images,), optional
            Weights of the images.

        Returns
        -------
        float
            R^2, at most 1.
        """
        return super().score(X, X if y is None else y, sample_weight)

    def __sklearn_tags__(self):
        """Declare that `y` may be left out and may have several columns."""
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        return tags
