"""err(0) and rank, against mpmath and where determinant and inverse have no digits left."""

import dask
import mpmath
import numpy as np
import pytest

from neuraldeps.logits.store import LogitsFile
from neuraldeps.stability.halves import half_moments
from neuraldeps.stores import open_store, write_store
from neuraldeps.theory.factor import add_rows, redundancy, triangular_factor
from tests.unit.test_moments import write_logits

DOUBLE, SINGLE = 2.0**-53, 2.0**-24


def exact_err0(logits):
    """err(0) of every category in 120 digits: det M / det M_without_i."""
    with mpmath.workdps(120):
        f = mpmath.matrix(logits.tolist())
        moment = f.T * f / len(logits)
        whole = mpmath.det(moment)
        n = logits.shape[1]
        minors = []
        for i in range(n):
            rest = [j for j in range(n) if j != i]
            minors.append(mpmath.det(mpmath.matrix([[moment[a, b] for b in rest] for a in rest])))
        return np.array([float(whole / minor) for minor in minors])


def graded(condition, n=8, rows=40):
    """Logits whose singular values fall from 1 to 1 / condition, in random directions."""
    rng = np.random.default_rng(0)
    left, _ = np.linalg.qr(rng.normal(size=(rows, n)))
    right, _ = np.linalg.qr(rng.normal(size=(n, n)))
    return left * np.logspace(0, -np.log10(condition), n) @ right.T


@pytest.mark.parametrize("condition", [1e2, 1e6, 1e10, 1e13])
def test_err0_has_digits_where_the_second_moment_has_none(condition):
    logits = graded(condition)
    factor = add_rows(np.zeros((8, 8)), logits)
    found = redundancy(factor, len(logits), DOUBLE)
    truth = exact_err0(logits)
    assert found.rank == 8
    # rounding moves the least singular value by about 1e-16 of the largest
    np.testing.assert_allclose(found.err0, truth, rtol=100 * condition * DOUBLE)
    assert np.all(found.err0_relative <= found.bound_relative * (1 + 1e-9))
    if condition >= 1e10:  # what Remark 2 warns of: the inverse squares the condition number
        moment = logits.T @ logits / len(logits)
        inverse = 1 / np.diagonal(np.linalg.inv(moment))
        assert np.abs(inverse / truth - 1).max() > 0.1


def test_the_determinant_ratio_is_nan_where_err0_is_not():
    """A thousand small eigenvalues: both determinants underflow."""
    rng = np.random.default_rng(1)
    logits = 0.01 * rng.normal(size=(600, 300))
    moment = logits.T @ logits / len(logits)
    with np.errstate(invalid="ignore"):
        assert np.isnan(np.linalg.det(moment) / np.linalg.det(moment[1:, 1:]))
    found = redundancy(add_rows(np.zeros((300, 300)), logits), 600, DOUBLE)
    np.testing.assert_allclose(found.err0, 1 / np.diagonal(np.linalg.inv(moment)), rtol=1e-10)


def test_the_identity_of_eigenvectors_and_eigenvalues():
    """|v_ij|^2 prod_(k != i) (l_i - l_k) = prod_k (l_i - l_k(M without j)), behind Sec. 2.2."""
    logits = graded(1e3)
    found = redundancy(add_rows(np.zeros((8, 8)), logits), len(logits), DOUBLE)
    scaled = logits / np.sqrt((logits**2).sum(axis=0))
    value, vector = np.linalg.eigh(scaled.T @ scaled)
    np.testing.assert_allclose(found.singular_value[::-1] ** 2, value, rtol=1e-8)
    for j in range(8):
        rest = np.delete(np.arange(8), j)
        minor = np.linalg.eigvalsh((scaled.T @ scaled)[np.ix_(rest, rest)])
        for i in range(8):
            left = vector[j, i] ** 2 * np.prod(value[i] - np.delete(value, i))
            np.testing.assert_allclose(left, np.prod(value[i] - minor), rtol=1e-5, atol=1e-22)


def test_single_precision_does_not_make_the_rank_full():
    rng = np.random.default_rng(2)
    features, weights = rng.normal(size=(900, 29)), rng.normal(size=(29, 120))
    logits = (features.astype(np.float32) @ weights.astype(np.float32)).astype(float)
    factor = add_rows(np.zeros((120, 120)), logits)
    assert np.linalg.matrix_rank(logits) == 120
    found = redundancy(factor, 900, SINGLE)
    assert found.rank == 29
    assert found.is_exact_zero.all()
    assert not found.err0.any()
    # what least squares makes of the rounding itself is no less than the bound
    for i in range(0, 120, 10):
        rest = np.delete(logits, i, axis=1)
        residual = np.linalg.lstsq(rest, logits[:, i], rcond=0)[1][0] / 900
        assert 0 < found.err0_at_least[i] <= residual * (1 + 1e-6)


def test_only_what_the_null_space_touches_is_zero():
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(500, 6))
    logits[:, 2] = logits[:, 0] - 3 * logits[:, 1]
    found = redundancy(add_rows(np.zeros((6, 6)), logits), 500, SINGLE)
    assert found.rank == 5
    np.testing.assert_array_equal(found.is_exact_zero, [True, True, True, False, False, False])
    assert (found.err0_at_least <= found.err0 + 1e-20).all()
    for i in (3, 4, 5):
        rest = np.delete(logits, [i, 2], axis=1)
        residual = np.linalg.lstsq(rest, logits[:, i], rcond=None)[1][0] / 500
        np.testing.assert_allclose(found.err0[i], residual, rtol=1e-10)


@pytest.mark.parametrize(
    ("logits", "rank"),
    [
        (np.zeros((4, 3)), 0),
        (np.ones((5, 3)), 1),
        (np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 0.0]]), 2),  # fewer images than categories
        (np.array([[2.0, -1.0, 4.0]]), 1),
    ],
)
def test_degenerate_logits_end_in_numbers(logits, rank):
    found = redundancy(add_rows(np.zeros((3, 3)), logits), len(logits), SINGLE)
    assert found.rank == rank
    for values in (found.err0, found.err0_relative, found.bound_relative, found.singular_value):
        assert np.isfinite(values).all()
    if rank == 1:
        assert found.is_exact_zero.all()


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_scales_of_categories_do_not_matter(scale):
    rng = np.random.default_rng(4)
    logits = rng.normal(size=(50, 5))
    scales = np.array([1, scale, 1, 1 / scale, 1])
    plain, scaled = (
        redundancy(add_rows(np.zeros((5, 5)), one), 50, SINGLE) for one in (logits, logits * scales)
    )
    np.testing.assert_allclose(scaled.err0, plain.err0 * scales**2, rtol=1e-10)
    assert scaled.rank == plain.rank == 5


def test_masked_categories_are_in_no_combination(tmp_path):
    logits = np.random.default_rng(6).normal(size=(200, 6)).astype(np.float32)
    plain = write_logits(tmp_path / "plain.zarr", logits * (np.arange(6) != 4))
    logits[:, 4] = np.finfo(np.float32).min
    masked = open_store(write_logits(tmp_path / "logits.zarr", logits)).load()
    masked.attrs["masked_categories"] = [4]
    path = str(tmp_path / "masked.zarr")
    write_store(masked, path, shards={"logits": (64, 6)})
    (factor, _), (expected, _) = (triangular_factor(LogitsFile(one)) for one in (path, plain))
    np.testing.assert_array_equal(factor, expected)
    for ours, theirs in zip(
        *(half_moments(*[LogitsFile(one)] * 2, 2, seed=0) for one in (path, plain)), strict=True
    ):
        np.testing.assert_array_equal(ours.second_moment, theirs.second_moment)


@pytest.mark.parametrize("rows", [64, 256, 4096])
def test_the_factor_of_a_store_is_numpys(tmp_path, rows):
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 3, (1500, 20)).astype(np.float32)
    path = write_logits(tmp_path / "logits.zarr", logits, rows=rows)
    factor, n_samples = triangular_factor(LogitsFile(path))
    assert n_samples == 1500
    np.testing.assert_array_equal(factor, np.triu(factor))
    oracle = np.linalg.qr(logits.astype(float), mode="r")
    np.testing.assert_allclose(np.abs(factor), np.abs(oracle), rtol=1e-9, atol=1e-9)
    with dask.config.set(scheduler="synchronous"):
        again, _ = triangular_factor(LogitsFile(path))
    np.testing.assert_array_equal(again, factor)
