"""Best subsets as a scikit-learn estimator, for logits in memory."""

from typing import Self

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from neuraldeps.best_subset.subsets import best_subsets
from neuraldeps.covlasso.validation import refuse_one_unnamed


class BestSubset(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Every category's logit as a linear combination of the few others that miss it least.

    For target category i, with logits f of the source network and g of the target network (the
    same one if only `X` is given), looks for the `w` that minimises

        E[(g_i - w.f)^2]    with at most `support_size` non-zeros,

    without intercept, centring or normalisation: a dependency must carry the logit itself.

    Parameters
    ----------
    support_size : int, default=5
        The largest number of source categories.
    exclude_own : bool or sequence of int, default=True
        Between networks, leave out the source category with the target's index, or the one given
        for each column of Y, -1 for none. Within a network it is always left out.
    width : int, default=1
        Sets of every size that the search goes on with.
    proven_size : {1, 2, 3}, optional
        Up to this size the best set is found by exhaustion; default as in `best_subsets`.
    n_threads : int, default=1
        Threads over target categories.

    Attributes
    ----------
    coef_ : scipy.sparse.csr_array of shape (n_targets, n_sources)
        Coefficients; row i holds target i's dependency.
    support_size_ : ndarray of shape (n_targets,)
        Number of source categories used.
    squared_error_ : ndarray of shape (n_targets,)
        `E[(g_i - w.f)^2]` on the fitted images.
    status_ : ndarray of shape (n_targets,)
        What is known of each answer, as in `BestSubsets`.
    n_features_in_ : int
        Number of source categories.

    See Also
    --------
    neuraldeps.best_subset.best_subsets : all sizes at once, from second moments.
    neuraldeps.covlasso.CovLasso : the paper's method.

    Examples
    --------
    >>> import numpy as np
    >>> from neuraldeps import BestSubset
    >>> generator = np.random.default_rng(0)
    >>> logits = generator.standard_normal((1000, 6))
    >>> logits[:, 5] = 2 * logits[:, 0] - logits[:, 3]
    >>> model = BestSubset(support_size=2).fit(logits)
    >>> model.coef_.toarray()[5].round(2) + 0.0
    array([ 2.,  0.,  0., -1.,  0.,  0.])
    """

    def __init__(self, support_size=5, *, exclude_own=True, width=1, proven_size=None, n_threads=1):
        self.support_size = support_size
        self.exclude_own = exclude_own
        self.width = width
        self.proven_size = proven_size
        self.n_threads = n_threads

    def fit(self, X, Y=None) -> Self:
        """Find the subsets of every category of `X` within, or of `Y` from those of `X`.

        Parameters
        ----------
        X : array-like of shape (n_images, n_sources)
            Logits of the source network.
        Y : array-like of shape (n_images, n_targets), optional
            Logits of the target network over the same images.

        Returns
        -------
        BestSubset
            Itself, fitted.

        Raises
        ------
        ValueError
            If `Y` is one category and `exclude_own` does not say which.
        """
        options = {"dtype": np.float64, "ensure_min_features": 2}
        if Y is None:
            logits = validate_data(self, X, **options)
            return self._solve(logits.T @ logits / len(logits))
        logits, others = validate_data(self, X, Y, multi_output=True, y_numeric=True, **options)
        others = np.asarray(others, np.float64)
        if others.ndim == 1 and self.exclude_own is True:
            raise ValueError(
                "Y is one category, and exclude_own=True would leave out source 0; name the source to "
                "leave out, exclude_own=[i], or [-1] for none."
            )
        others = others.reshape(len(others), -1)
        return self._solve(
            logits.T @ logits / len(logits),
            logits.T @ others / len(logits),
            np.square(others).mean(axis=0),
        )

    def fit_moments(self, second_moment, cross_moment=None, target_second_moment=None) -> Self:
        """Find them from moments instead of logits; arguments as in `best_subsets`.

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
        BestSubset
            Itself, fitted.
        """
        self.n_features_in_ = np.shape(second_moment)[0]
        return self._solve(second_moment, cross_moment, target_second_moment)

    def _solve(self, second_moment, cross_moment=None, target_second_moment=None) -> Self:
        refuse_one_unnamed(cross_moment, self.exclude_own)
        found = best_subsets(
            second_moment,
            cross_moment,
            target_second_moment,
            exclude_own=True if cross_moment is None else self.exclude_own,
            max_support=self.support_size,
            width=self.width,
            proven_size=self.proven_size,
            n_threads=self.n_threads,
        )
        self.coef_: scipy.sparse.csr_array = found.to_sparse(self.support_size, self.n_features_in_)
        self.support_size_ = found.support_size[:, -1]
        self.squared_error_ = found.squared_error[:, -1]
        self.status_ = found.status[:, -1]
        return self

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
