"""CovLasso as a scikit-learn estimator, for logits in memory."""

from typing import Self

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from neuraldeps.covlasso.path import solve_covlasso
from neuraldeps.covlasso.validation import refuse_one_unnamed


class CovLasso(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Every category's logit as a sparse linear combination of other categories' logits.

    For target category i, with logits f of the source network and g of the target network (the
    same one if only `X` is given), minimises

        1/2 E[(g_i - w.f)^2] + alpha |w|_1

    without intercept, centring or normalisation: a dependency must carry the logit itself.
    `alpha` has the meaning it has in `sklearn.linear_model.Lasso`; the paper's `lambda` is
    `2 * alpha`.

    Parameters
    ----------
    alpha : float, default=1.0
        Penalty, squared logits; finite and positive. Ignored if `support_size` is given.
    support_size : int, optional
        Instead of `alpha`: take each target's last solution, going down from `alpha_max`, before
        its support first exceeds this size.
    exclude_own : bool or sequence of int, default=True
        Between networks, leave out the source category with the target's index, or the one given
        for each column of Y, -1 for none. Within a network it is always left out.
    n_threads : int, default=1
        Threads over target categories.

    Attributes
    ----------
    coef_ : scipy.sparse.csr_array of shape (n_targets, n_sources)
        Coefficients; row i holds target i's dependency.
    alpha_ : ndarray of shape (n_targets,)
        Penalty of each target's solution.
    support_size_ : ndarray of shape (n_targets,)
        Number of source categories used.
    squared_error_ : ndarray of shape (n_targets,)
        `E[(g_i - w.f)^2]` on the fitted images.
    dual_gap_ : ndarray of shape (n_targets,)
        Certified bound on how far each objective lies above its minimum; at most 1e-12 of
        `E[g_i^2]`.
    n_features_in_ : int
        Number of source categories.

    See Also
    --------
    neuraldeps.covlasso.covlasso_path : the whole path, from second moments.

    References
    ----------
    Feng et al. "Neural Dependencies Emerging from Learning Massive Categories". CVPR 2023.

    Examples
    --------
    >>> import numpy as np
    >>> from neuraldeps.covlasso import CovLasso
    >>> generator = np.random.default_rng(0)
    >>> logits = generator.standard_normal((1000, 6))
    >>> logits[:, 5] = 2 * logits[:, 0] - logits[:, 3]
    >>> model = CovLasso(alpha=0.01).fit(logits)
    >>> model.coef_.toarray()[5].round(2) + 0.0
    array([ 1.99,  0.  ,  0.  , -0.99,  0.  ,  0.  ])
    >>> bool(np.abs(model.predict(logits)[:, 5] - logits[:, 5]).max() < 0.1)
    True

    Second moments in place of logits, and a support size in place of a penalty:

    >>> second_moment = logits.T @ logits / len(logits)
    >>> CovLasso(support_size=2).fit_moments(second_moment).support_size_[5]
    np.int32(2)
    """

    def __init__(self, alpha=1.0, *, support_size=None, exclude_own=True, n_threads=1):
        self.alpha = alpha
        self.support_size = support_size
        self.exclude_own = exclude_own
        self.n_threads = n_threads

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
        CovLasso
            Itself, fitted.

        Raises
        ------
        UncertifiedError
            If a target's solution cannot be certified.
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
        """Solve from moments instead of logits; arguments as in `covlasso_path`.

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
        CovLasso
            Itself, fitted.
        """
        self.n_features_in_ = np.shape(second_moment)[0]
        return self._solve(second_moment, cross_moment, target_second_moment)

    def _solve(self, second_moment, cross_moment=None, target_second_moment=None) -> Self:
        within = cross_moment is None
        refuse_one_unnamed(cross_moment, self.exclude_own)
        solution = solve_covlasso(
            second_moment,
            cross_moment,
            target_second_moment,
            alpha=self.alpha if self.support_size is None else None,
            support_size=self.support_size,
            exclude_own=True if within else self.exclude_own,
            n_threads=self.n_threads,
        )
        self.coef_: scipy.sparse.csr_array = solution.to_sparse(self.n_features_in_)
        self.alpha_ = solution.alpha
        self.support_size_ = solution.support_size
        self.squared_error_ = solution.squared_error
        self.dual_gap_ = solution.dual_gap
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
