"""The exact path against scikit-learn's path, scikit-learn's Lasso and cvxpy."""

import cvxpy
import numpy as np
import pytest
from sklearn.linear_model import Lasso, lars_path_gram

from neuraldeps.covlasso import covlasso_path, solve_covlasso
from tests.fuzz_covlasso import few_columns


@pytest.fixture(scope="module")
def logits():
    """Logits (400, 24) of rank 24 with correlated categories."""
    generator = np.random.default_rng(1)
    return generator.standard_normal((400, 10)) @ generator.standard_normal(
        (10, 24)
    ) + 0.5 * generator.standard_normal((400, 24))


@pytest.fixture(scope="module")
def second_moment(logits):
    return logits.T @ logits / len(logits)


def without(matrix, index):
    return np.delete(np.delete(matrix, index, 0), index, 1)


def test_path_is_that_of_lars_path_gram(second_moment):
    path = covlasso_path(second_moment, max_support=12)
    for target in range(24):
        alphas, _, coefs = lars_path_gram(
            np.delete(second_moment[target], target),
            without(second_moment, target),
            n_samples=1,
            method="lasso",
        )
        n_knots = path.n_knots[target]
        np.testing.assert_allclose(path.alpha[target, :n_knots], alphas[:n_knots], rtol=1e-9)
        for knot in range(n_knots):
            dense = np.zeros(25)
            dense[path.support[target, knot]] = path.coef[target, knot]
            np.testing.assert_allclose(
                np.delete(dense[:24], target), coefs[:, knot], rtol=1e-8, atol=1e-11
            )


def wide_logits(n_categories, rank=60):
    """Logits (2000, n) of many categories, more than a path starts with."""
    generator = np.random.default_rng(2)
    logits = generator.standard_normal((2000, rank)) @ generator.standard_normal(
        (rank, n_categories)
    )
    return logits + generator.standard_normal(logits.shape)


def test_path_over_many_categories_is_that_of_lars_path_gram():
    logits = wide_logits(400)
    second_moment = logits.T @ logits / len(logits)
    path = covlasso_path(second_moment, max_support=30, targets=[0, 57, 399])
    for row, target in enumerate(path.targets):
        n_knots = path.n_knots[row]
        alphas, _, coefs = lars_path_gram(
            np.delete(second_moment[target], target),
            without(second_moment, target),
            n_samples=1,
            method="lasso",
            max_iter=n_knots - 1,
        )
        np.testing.assert_allclose(path.alpha[row, :n_knots], alphas, rtol=1e-9)
        last = path.at_support_size(30).to_sparse(400).toarray()[row]
        np.testing.assert_allclose(np.delete(last, target), coefs[:, -1], rtol=1e-8, atol=1e-11)


def test_few_columns_and_all_of_them_give_the_same_path():
    logits = wide_logits(200)
    second_moment = logits.T @ logits / len(logits)
    with few_columns(2, (1, 2), room=0):
        few = covlasso_path(second_moment, max_support=15)
    with few_columns(200, (1, 2), room=200):
        every = covlasso_path(second_moment, max_support=15)
    np.testing.assert_array_equal(few.n_knots, every.n_knots)
    np.testing.assert_array_equal(few.support, every.support)
    np.testing.assert_allclose(few.alpha, every.alpha, rtol=1e-10)
    np.testing.assert_allclose(few.coef, every.coef, rtol=1e-8, atol=1e-12)


def test_what_ties_where_a_path_ends_is_looked_at_outside_the_working_set():
    second_moment = np.ones((19, 19))
    second_moment[:16, :16] += np.kron(np.eye(4), np.ones((4, 4))) + 0.25 * np.eye(16)
    with few_columns(2, (1, 2), room=0):
        solution = solve_covlasso(second_moment, support_size=1, targets=[16])
    # every source ties at alpha_max; one that equals the target makes all others superfluous
    assert solution.support[0, 0] in (17, 18)
    assert solution.coef[0, 0] == pytest.approx(1, abs=1e-7)


def test_as_many_ties_as_categories_outgrow_any_working_set():
    tied = np.full((700, 700), 0.5) + 0.5 * np.eye(700)
    path = covlasso_path(tied, max_support=3, targets=[0, 699])
    assert (path.dual_gap[:, 0] <= 1e-12).all()
    solution = solve_covlasso(tied, alpha=0.25, targets=[0, 699])
    assert (solution.dual_gap <= 1e-12).all()


def test_solution_is_that_of_lasso_on_the_logits(logits, second_moment):
    solution = solve_covlasso(second_moment, alpha=0.3)
    coef = solution.to_sparse(24).toarray()
    for target in (0, 11, 23):
        oracle = Lasso(alpha=0.3, fit_intercept=False, tol=1e-13, max_iter=100_000)
        oracle.fit(np.delete(logits, target, 1), logits[:, target])
        np.testing.assert_allclose(np.delete(coef[target], target), oracle.coef_, atol=1e-9)
        residual = logits[:, target] - logits @ coef[target]
        assert solution.squared_error[target] == pytest.approx(np.mean(residual**2), rel=1e-10)


def test_objective_is_that_of_cvxpy_between_networks(logits):
    generator = np.random.default_rng(2)
    other = logits @ generator.standard_normal((24, 6)) + generator.standard_normal((400, 6))
    second_moment, cross = logits.T @ logits / 400, logits.T @ other / 400
    moments = (other**2).mean(axis=0)
    solution = solve_covlasso(second_moment, cross, moments, alpha=1.5)
    coef = solution.to_sparse(24).toarray()
    for target in range(6):
        weights = cvxpy.Variable(24)
        fit = cvxpy.sum_squares(other[:, target] - logits @ weights) / 400
        problem = cvxpy.Problem(
            cvxpy.Minimize(fit / 2 + 1.5 * cvxpy.norm1(weights)), [weights[target] == 0]
        )
        problem.solve(solver="CLARABEL")
        ours = solution.squared_error[target] / 2 + 1.5 * np.abs(coef[target]).sum()
        assert ours == pytest.approx(problem.value, rel=1e-7)
        assert coef[target, target] == 0


def test_every_knot_is_certified(second_moment):
    path = covlasso_path(second_moment, max_support=23)
    assert np.nanmax(path.dual_gap / path.target_second_moment[:, None]) <= 1e-12


@pytest.mark.parametrize("fraction", [0.9, 0.5, 0.1, 0.01])
def test_interpolation_is_the_solution(second_moment, fraction):
    path = covlasso_path(second_moment, max_support=23)
    alpha = fraction * path.alpha_max
    interpolated, solved = path.at_alpha(alpha), solve_covlasso(second_moment, alpha=alpha)
    np.testing.assert_allclose(
        interpolated.to_sparse(24).toarray(), solved.to_sparse(24).toarray(), atol=1e-11
    )
    np.testing.assert_allclose(interpolated.squared_error, solved.squared_error, rtol=1e-9)
    assert (interpolated.dual_gap <= 1e-12 * path.target_second_moment).all()


@pytest.mark.parametrize("size", [1, 4, 12])
def test_support_size_is_read_off_the_path(second_moment, size):
    path = covlasso_path(second_moment, max_support=12)
    read, solved = path.at_support_size(size), solve_covlasso(second_moment, support_size=size)
    np.testing.assert_array_equal(read.alpha, solved.alpha)
    np.testing.assert_array_equal(read.to_sparse(24).toarray(), solved.to_sparse(24).toarray())
    assert (read.support_size <= size).all()
