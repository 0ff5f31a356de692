"""Best subsets as a scikit-learn estimator, for logits in memory."""

from neuraldeps.best_subset.subsets import best_subsets
from neuraldeps.covlasso.combination import SparseCombination


class BestSubset(SparseCombination):
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

    def _solve_moments(self, second_moment, cross_moment, target_second_moment, exclude_own):
        found = best_subsets(
            second_moment,
            cross_moment,
            target_second_moment,
            exclude_own=exclude_own,
            max_support=self.support_size,
            width=self.width,
            proven_size=self.proven_size,
            n_threads=self.n_threads,
        )
        self.coef_ = found.to_sparse(self.support_size, self.n_features_in_)
        self.support_size_ = found.support_size[:, -1]
        self.squared_error_ = found.squared_error[:, -1]
        self.status_ = found.status[:, -1]
