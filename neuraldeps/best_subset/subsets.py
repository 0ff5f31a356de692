"""The best few sources of every target category at every size, from second moments alone."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from neuraldeps.best_subset.batch import find_subsets
from neuraldeps.best_subset.target import DEPENDENT, EXCHANGE_OPTIMAL, PROVEN
from neuraldeps.covlasso.path import pose
from neuraldeps.covlasso.validation import check_positive_integer

STATUS = {
    PROVEN: "proven",
    EXCHANGE_OPTIMAL: "exchange-optimal",
    DEPENDENT: "dependent",
}
# sources up to which the best triple, and the best pair, are proven unless told otherwise
_ALL_TRIPLES = 1024
_ALL_PAIRS = 8192


@dataclass(frozen=True)
class BestSubsets:
    """One answer per target and size; `T` targets, sizes k = 1 .. `K`, that of size k in row k - 1.

    Attributes
    ----------
    targets : (T,) int64
        Target categories.
    support_size : (T, K) int32
        Number of sources used, at most k; fewer where no further source gains 1e-10 of the target's
        second moment.
    support : (T, K, K) int32
        Source categories used, in rising order, padded with -1.
    coef : (T, K, K) float64
        Their least-squares coefficients, padded with 0.
    squared_error : (T, K) float64
        `E[(g_i - w.f)^2]`, squared logits; it does not rise with k.
    status : (T, K) int8
        What is known of the answer, to 1e-10 of the target's second moment. `PROVEN`: no set of at
        most k independent sources has a smaller error. `EXCHANGE_OPTIMAL`: none does that
        differs from the answer by one source exchanged or, where fewer than k are used, added.
        `DEPENDENT`: as the latter, but a source that is not independent of the answer's was passed
        over, which might lower the error.
    target_second_moment : (T,) float64
        `E[g_i^2]`.
    """

    targets: np.ndarray
    support_size: np.ndarray
    support: np.ndarray
    coef: np.ndarray
    squared_error: np.ndarray
    status: np.ndarray
    target_second_moment: np.ndarray

    @property
    def max_support(self) -> int:
        """The largest size."""
        return self.support.shape[1]

    def to_sparse(self, k: int, n_sources: int) -> scipy.sparse.csr_array:
        """Coefficients of size `k` as a CSR array (T, n_sources), columns sorted.

        Parameters
        ----------
        k : int
            A size, at most `max_support`.
        n_sources : int
            Number of source categories.

        Returns
        -------
        scipy.sparse.csr_array, shape (T, n_sources), float64
            Row t holds the coefficients of target t.

        Raises
        ------
        ValueError
            If `k` is not a size that was asked for.
        """
        k = check_positive_integer(k, "k")
        if k > self.max_support:
            raise ValueError(
                f"k={k} exceeds max_support={self.max_support}; find the subsets with max_support={k}."
            )
        support, coef = self.support[:, k - 1], self.coef[:, k - 1]
        used = support >= 0
        ends = np.concatenate([[0], np.cumsum(self.support_size[:, k - 1])])
        return scipy.sparse.csr_array(
            (coef[used], support[used], ends), shape=(len(self.targets), n_sources)
        )


def best_subsets(
    second_moment,
    cross_moment=None,
    target_second_moment=None,
    *,
    targets=None,
    sources=None,
    exclude_own=True,
    max_support: int = 20,
    width: int = 1,
    proven_size: int | None = None,
    n_threads: int = 1,
    validate: bool = True,
) -> BestSubsets:
    r"""Best few sources of every target category at every size, from second moments alone.

    For target `i` of network g, the categories of network f and every k = 1 .. `max_support`, look
    for the `w` with at most k non-zeros that minimises

        E[(g_i - w.f)^2] = m_i - 2 b.w + w.M w,      b = B[:, i],

    without intercept, centring or normalisation (best subset selection [1]_, the `l0` problem);
    within a network g = f. On a set S of sources the minimum is `m_i - b_S.M_SS^-1 b_S`. Only sets
    of independent sources are looked at: each has more than 1e-7 of its second moment outside the
    span of the others, and so duplicates and combinations of the others are left out.

    An answer is never worse than CovLasso's support of that size (refitted), than forward
    selection's or orthogonal matching pursuit's, from all of which the search starts. It goes up
    and down the sizes with the `width` best sets of each, exchanging single sources while one
    gains [2]_. When it has ended every source is tried in every answer, afresh from the moments.
    Among sets that differ by one source and explain the same within 1e-12 of `m_i` the lower index
    wins, and among sizes the smaller one.

    Parameters
    ----------
    second_moment : (n_source, n_source) float64
        `M = E[f f^T]`, squared logits. Used in place when contiguous, memory-mapped or not.
    cross_moment : (n_source, n_target) float64, optional
        `B = E[f g^T]` over the same images; any strides. Left out within a network.
    target_second_moment : (n_target,) float64
        `m_i = E[g_i^2]`, required with `cross_moment`.
    targets : sequence of int, optional
        Target categories; default all.
    sources : sequence of int, optional
        Source categories allowed; default all. Their block of `M` is copied. Results keep the
        full numbering.
    exclude_own : bool or sequence of int
        Leave out the source with the target's index (always so within a network), or the source
        given for each target, -1 for none.
    max_support : int
        The largest k.
    width : int
        Sets of every size that the search goes on with: more find smaller errors and take as much
        longer.
    proven_size : {1, 2, 3}, optional
        Up to this size the best set is found by exhaustion, with bounds, and is proven. Default: 3 up
        to 1024 sources, 2 up to 8192, 1 above. Bounds on n sources take n^2 operations for pairs and
        n^3 for triples, once for all targets, and 2 n^2 numbers for triples.
    n_threads : int
        Threads; results are the same bytes for any number.
    validate : bool
        Check that the moments are finite, symmetric and positive semidefinite. Turn it off for
        further batches over moments already checked.

    Returns
    -------
    BestSubsets

    Raises
    ------
    MomentError
        If the moments are malformed or do not fit together.
    ValueError
        If an option is not what it must be.

    References
    ----------
    .. [1] Miller. "Subset Selection in Regression". Chapman and Hall (2002).
    .. [2] Hazimeh, Mazumder. "Fast best subset selection: coordinate descent and local
       combinatorial optimization algorithms". Operations Research 68 (2020).

    Examples
    --------
    >>> import numpy as np
    >>> logits = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 1.0, 0.5], [1.0, 0.0, 2.0]])
    >>> found = best_subsets(logits.T @ logits / 4, max_support=2)
    >>> found.support[0].tolist()
    [[1, -1], [1, 2]]
    >>> found.to_sparse(1, 3).toarray().round(3)
    array([[0.   , 1.   , 0.   ],
           [0.5  , 0.   , 0.   ],
           [0.417, 0.   , 0.   ]])
    """
    max_support = check_positive_integer(max_support, "max_support")
    width = check_positive_integer(width, "width")
    n_threads = check_positive_integer(n_threads, "n_threads")
    if sources is not None:
        sources = np.sort(np.atleast_1d(sources))  # so that the lowest index wins ties
    problem = pose(
        second_moment, cross_moment, target_second_moment, targets, sources, exclude_own, validate
    )
    n_sources = len(problem.second_moment)
    if proven_size is None:
        proven_size = 3 if n_sources <= _ALL_TRIPLES else 2 if n_sources <= _ALL_PAIRS else 1
    if check_positive_integer(proven_size, "proven_size") > 3:
        raise ValueError(f"proven_size={proven_size}; exhaustion goes up to 3 sources.")
    answer = find_subsets(
        problem, max_support=max_support, width=width, proven=proven_size, n_threads=n_threads
    )
    support = answer.support
    if problem.allowed is not None:
        support = np.append(problem.allowed, -1).astype(np.int32)[support]
    return BestSubsets(
        targets=problem.targets,
        support_size=answer.size,
        support=support,
        coef=answer.coef,
        squared_error=answer.squared_error,
        status=answer.status,
        target_second_moment=problem.target_second_moment,
    )
