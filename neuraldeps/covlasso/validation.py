"""What the solver accepts: every refusal names the argument, the value and a fix."""

from collections.abc import Iterator

import numpy as np

from neuraldeps.errors import InputError

SYMMETRY_TOLERANCE = 1e-12  # of sqrt(M_ii M_jj)
_BOUND_TOLERANCE = 1e-8  # on |M_ij| <= sqrt(M_ii M_jj)
_DEFINITE_TOLERANCE = 1e-10  # on the least eigenvalue of the normalised matrix, times n
_LARGEST_FACTORISED = 4096
_BLOCK_ELEMENTS = 1 << 20


class MomentError(InputError):
    """Moments that no set of images can have, or that do not fit together."""


class UncertifiedError(InputError):
    """An answer whose duality gap is not within tolerance: it is never returned."""


def _row_blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    step = max(1, _BLOCK_ELEMENTS // max(1, n_columns))
    return (slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step))


def as_second_moment(second_moment, name: str = "second_moment") -> np.ndarray:
    """Read-only C-contiguous float64 view of a square matrix of at least two categories.

    No copy is made of C- or Fortran-contiguous float64, memory-mapped or not.

    Parameters
    ----------
    second_moment : array-like, shape (n, n)
        M, squared logits.
    name : str
        What errors call it.

    Returns
    -------
    ndarray, shape (n, n), float64
        M or, as it is symmetric, its transpose.

    Raises
    ------
    MomentError
        If it is no square matrix of numbers.
    """
    matrix = np.asarray(second_moment)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise MomentError(f"{name} has shape {matrix.shape}; it must be square (n, n).")
    if matrix.shape[0] < 2:
        raise MomentError(f"{name} has {matrix.shape[0]} categories; at least 2 are needed.")
    _check_precision(matrix, name)
    if matrix.flags.f_contiguous:
        matrix = matrix.T  # the same numbers, as the matrix is symmetric
    matrix = np.ascontiguousarray(matrix, dtype=np.float64).view(np.ndarray)[:]
    matrix.flags.writeable = False
    return matrix


def _check_precision(array: np.ndarray, name: str) -> None:
    if array.dtype.kind != "f":
        raise MomentError(
            f"{name} has dtype {array.dtype}; pass floating point, such as {name}.astype('float64')."
        )
    if array.dtype.itemsize < 8:
        raise MomentError(
            f"{name} has dtype {array.dtype}, whose rounding no certificate sees; work it out in "
            "float64, from logits.astype('float64')."
        )


def check_second_moment(matrix: np.ndarray, name: str = "second_moment") -> None:
    """Refuse what is not finite, symmetric and positive semidefinite.

    Memory stays at a few blocks of rows, except that up to 4096 categories are factorised to test
    definiteness. Above that only pairs of categories are tested (|M_ij| <= sqrt(M_ii M_jj)), and
    the solver refuses what it meets.

    Parameters
    ----------
    matrix : ndarray, shape (n, n), float64
        M, squared logits.
    name : str
        What errors call it.

    Raises
    ------
    MomentError
        Naming the entry at fault.
    """
    diagonal = np.diagonal(matrix)
    if not np.isfinite(diagonal).all():
        i = int(np.flatnonzero(~np.isfinite(diagonal))[0])
        raise MomentError(f"{name}[{i}, {i}] is {diagonal[i]}; remove such logits first.")
    if (diagonal < 0).any():
        i = int(np.argmin(diagonal))
        raise MomentError(
            f"{name}[{i}, {i}] is {diagonal[i]:.6g}; a second moment E[f_i^2] is not negative."
        )
    root = np.sqrt(diagonal)
    for rows in _row_blocks(*matrix.shape):
        block = matrix[rows]
        _refuse_entry(~np.isfinite(block), rows, block, name, "remove such logits first")
        bound = root[rows, None] * root
        uneven = np.abs(block - matrix[:, rows].T) > SYMMETRY_TOLERANCE * bound
        fix = f"the matrix must be symmetric: use ({name} + {name}.T) / 2"
        _refuse_entry(uneven, rows, block, name, fix)
        fix = "not positive semidefinite, |M_ij| exceeds sqrt(M_ii M_jj)"
        _refuse_entry(np.abs(block) > (1 + _BOUND_TOLERANCE) * bound, rows, block, name, fix)
    if matrix.shape[0] <= _LARGEST_FACTORISED:
        _check_definite(matrix, root, name)


def _refuse_entry(fault, rows, block, name, fix):
    if fault.any():
        i, j = np.argwhere(fault)[0]
        raise MomentError(f"{name}[{rows.start + i}, {j}] is {block[i, j]:.6g}; {fix}.")


def _check_definite(matrix, root, name):
    n = matrix.shape[0]
    inverse = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
    normalised = matrix * inverse * inverse[:, None]
    normalised[np.diag_indices(n)] = 1.0 + _DEFINITE_TOLERANCE * n
    try:
        np.linalg.cholesky(normalised)
    except np.linalg.LinAlgError:
        raise MomentError(
            f"{name} is not positive semidefinite; pass E[f f^T] itself, in float64 and from one "
            "set of images."
        ) from None


def check_cross_moment(
    cross_moment: np.ndarray,
    target_second_moment: np.ndarray,
    diagonal: np.ndarray,
    targets: np.ndarray,
) -> None:
    """Refuse cross moments that are not finite or exceed sqrt(E[f_j^2] E[g_i^2]).

    Only the columns of `targets` are looked at, a few at a time.

    Parameters
    ----------
    cross_moment : ndarray, shape (n, n_target), float64
        B, squared logits.
    target_second_moment : ndarray, shape (n_target,), float64
        m, squared logits.
    diagonal : ndarray, shape (n,), float64
        E[f_j^2].
    targets : ndarray of int64
        Targets that will be solved.

    Raises
    ------
    MomentError
        Naming the entry at fault.
    """
    root = np.sqrt(diagonal)
    for part in _row_blocks(targets.size, root.size):
        columns = targets[part]
        block = cross_moment[:, columns]
        bound = root[:, None] * np.sqrt(target_second_moment[columns])
        fault = ~np.isfinite(block) | (np.abs(block) > (1 + _BOUND_TOLERANCE) * bound)
        if fault.any():
            j, i = np.argwhere(fault)[0]
            raise MomentError(
                f"cross_moment[{j}, {columns[i]}] is {block[j, i]:.6g}, beyond sqrt(E[f_j^2] "
                f"E[g_i^2]) = {bound[j, i]:.6g}; take all moments from the same images."
            )


def as_cross_moment(cross_moment, target_second_moment, n_sources: int):
    """Cross moment (n_source, n_target), not copied, and target second moments (n_target,).

    Parameters
    ----------
    cross_moment : array-like, shape (n_source, n_target)
        B, squared logits.
    target_second_moment : array-like, shape (n_target,)
        m, squared logits.
    n_sources : int
        Rows that B must have.

    Returns
    -------
    tuple of ndarray
        B and m, float64.

    Raises
    ------
    MomentError
        If they do not fit together.
    """
    cross = np.asarray(cross_moment)
    if cross.ndim != 2 or cross.shape[0] != n_sources:
        raise MomentError(
            f"cross_moment has shape {cross.shape}; second_moment has {n_sources} sources, so it "
            f"must be ({n_sources}, n_target)."
        )
    _check_precision(cross, "cross_moment")
    if target_second_moment is None:
        raise MomentError(
            "target_second_moment is missing; with cross_moment pass E[g_i^2] of every target."
        )
    moments = np.asarray(target_second_moment)
    _check_precision(moments, "target_second_moment")
    moments = moments.astype(np.float64)
    if moments.shape != (cross.shape[1],):
        raise MomentError(
            f"target_second_moment has shape {moments.shape}; cross_moment has "
            f"{cross.shape[1]} targets, so it must be ({cross.shape[1]},)."
        )
    if not (np.isfinite(moments).all() and (moments >= 0).all()):
        i = int(np.flatnonzero(~(np.isfinite(moments) & (moments >= 0)))[0])
        raise MomentError(
            f"target_second_moment[{i}] is {moments[i]}; E[g_i^2] is finite and not negative."
        )
    return cross, moments


def as_indices(indices, n: int, name: str) -> np.ndarray:
    """Distinct integers of [0, n) as int64; all of them if `indices` is None.

    Parameters
    ----------
    indices : sequence of int, optional
        Categories.
    n : int
        How many there are.
    name : str
        What errors call them.

    Returns
    -------
    ndarray of int64
        In the order given.

    Raises
    ------
    ValueError
        If one is out of range, there twice, or no integer.
    """
    if indices is None:
        return np.arange(n)
    array = np.atleast_1d(np.asarray(indices))
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; pass a non-empty sequence of integers.")
    if array.dtype.kind not in "iu":
        raise ValueError(f"{name} has dtype {array.dtype}; pass integers in [0, {n}).")
    array = array.astype(np.int64)
    outside = (array < 0) | (array >= n)
    if outside.any():
        raise ValueError(f"{name} contains {array[outside][0]}; indices lie in [0, {n}).")
    values, counts = np.unique(array, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f"{name} contains {values[counts > 1][0]} twice; name each index once.")
    return array


def as_own(exclude_own, targets: np.ndarray, n_sources: int, *, within: bool) -> np.ndarray:
    """Source that each target leaves out, -1 for none.

    Parameters
    ----------
    exclude_own : bool or sequence of int
        As users give it.
    targets : ndarray of int64, shape (T,)
        Target categories.
    n_sources : int
        How many sources there are.
    within : bool
        Whether sources and targets are of one network.

    Returns
    -------
    ndarray of int64, shape (T,)
        In the numbering of the sources.

    Raises
    ------
    ValueError
        If it is neither, or would let a category predict itself.
    """
    if within and not (isinstance(exclude_own, (bool, np.bool_)) and exclude_own):
        raise ValueError(
            f"exclude_own={exclude_own!r} within a network; a category never predicts itself, so "
            "leave it True."
        )
    if isinstance(exclude_own, (bool, np.bool_)):
        own = targets if exclude_own else np.full(targets.size, -1)
        return np.where(own < n_sources, own, -1)
    own = np.asarray(exclude_own)
    if own.shape != targets.shape or own.dtype.kind not in "iu":
        raise ValueError(
            f"exclude_own has shape {own.shape} and dtype {own.dtype}; pass True, False or one "
            f"integer per target ({targets.size}), -1 for none."
        )
    if ((own < -1) | (own >= n_sources)).any():
        raise ValueError(f"exclude_own must lie in [-1, {n_sources}), -1 for none.")
    return own.astype(np.int64)


def as_alpha(alpha, n_targets: int) -> np.ndarray:
    """Penalties (T,), finite and positive, from a scalar or one per target.

    Parameters
    ----------
    alpha : float or sequence of float
        Penalty, squared logits.
    n_targets : int
        T.

    Returns
    -------
    ndarray, shape (T,), float64
        One per target.

    Raises
    ------
    ValueError
        If one is not a positive number, or there are others than T.
    """
    values = np.asarray(alpha)
    if values.dtype.kind not in "fiu":
        raise ValueError(f"alpha={alpha!r}; pass a positive number, or one per target.")
    if values.shape not in ((), (n_targets,)):
        raise ValueError(
            f"alpha has shape {values.shape}; pass a number, or one per target ({n_targets},)."
        )
    values = np.broadcast_to(values.astype(np.float64), (n_targets,))
    wrong = ~(np.isfinite(values) & (values > 0))
    if wrong.any():
        raise ValueError(
            f"alpha={values[wrong][0]}; it must be finite and positive (alpha = lambda / 2)."
        )
    return values.copy()


def check_positive_integer(value, name: str) -> int:
    """A positive Python integer.

    Parameters
    ----------
    value : int
        As users give it, NumPy's too.
    name : str
        What errors call it.

    Returns
    -------
    int
        The same.

    Raises
    ------
    ValueError
        If it is none.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise ValueError(f"{name}={value!r}; it must be a positive integer.")
    if value < 1:
        raise ValueError(f"{name}={value}; it must be at least 1.")
    return int(value)


def refuse_one_unnamed(cross_moment, exclude_own) -> None:
    """Refuse a single target whose own source nobody named: it would be source 0 without a word.

    Parameters
    ----------
    cross_moment : array, optional
        B.
    exclude_own : bool or sequence of int
        As users give it.

    Raises
    ------
    ValueError
        Where the source that is left out must be named.
    """
    if cross_moment is not None and exclude_own is True and np.shape(cross_moment)[1:] == (1,):
        raise ValueError(
            "Y is one category, and exclude_own=True would leave out source 0; name the source to "
            "leave out, exclude_own=[i], or [-1] for none."
        )
