"""CovLasso as a scikit-learn estimator, for logits in memory."""

from neuraldeps.covlasso.combination import SparseCombination
from neuraldeps.covlasso.path import solve_covlasso


class CovLasso(SparseCombination):
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

    def _solve_moments(self, second_moment, cross_moment, target_second_moment, exclude_own):
        solution = solve_covlasso(
            second_moment,
            cross_moment,
            target_second_moment,
            alpha=self.alpha if self.support_size is None else None,
            support_size=self.support_size,
            exclude_own=exclude_own,
            n_threads=self.n_threads,
        )
        self.coef_ = solution.to_sparse(self.n_features_in_)
        self.alpha_ = solution.alpha
        self.support_size_ = solution.support_size
        self.squared_error_ = solution.squared_error
        self.dual_gap_ = solution.dual_gap
