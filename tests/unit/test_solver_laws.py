"""Laws that every solver of a dependency keeps: one list of solvers, each through all of them.

A law that one solver alone has stands with that solver's own tests.
"""

from typing import NamedTuple

import numpy as np
import pytest

from neuraldeps.best_subset import best_subsets
from neuraldeps.covlasso import covlasso_path, solve_covlasso
from neuraldeps.refit import refit

N, ROWS, SIZE = 24, 300, 4
RELATIVE = 0.2  # of alpha_max


class Found(NamedTuple):
    """Coefficients (T, n), in full, and squared errors (T,)."""

    coef: np.ndarray
    squared_error: np.ndarray


def at_alpha(moment, *between, relative=RELATIVE, **how):
    """CovLasso at a share of each target's alpha_max."""
    targets = how.get("targets", np.arange(between[0].shape[1] if between else len(moment)))
    path = covlasso_path(moment, *between, max_support=1, **how)
    alpha = np.where(path.alpha_max > 0, relative * path.alpha_max, 1.0)
    found = solve_covlasso(moment, *between, alpha=alpha, **how)
    assert len(alpha) == len(targets)
    return Found(found.to_sparse(len(moment)).toarray(), found.squared_error)


def at_size(moment, *between, size=SIZE, **how):
    """CovLasso at a support size."""
    found = solve_covlasso(moment, *between, support_size=size, **how)
    return Found(found.to_sparse(len(moment)).toarray(), found.squared_error)


def subset(moment, *between, size=SIZE, **how):
    """The best subset of a size."""
    found = best_subsets(moment, *between, max_support=size, proven_size=2, **how)
    return Found(found.to_sparse(size, len(moment)).toarray(), found.squared_error[:, -1])


def refitted(moment, *between, **how):
    """Least squares on CovLasso's support of a size."""
    lasso = solve_covlasso(moment, *between, support_size=SIZE, **how)
    cross = between[0] if between else moment
    power = between[1] if between else np.diagonal(moment)
    support = lasso.support[:, np.newaxis]
    weights = refit(moment, cross, lasso.targets, support)[:, 0]
    coef = np.zeros((len(lasso.targets), len(moment)))
    row, slot = np.nonzero(lasso.support >= 0)
    coef[row, lasso.support[row, slot]] = weights[row, slot]
    explained = np.einsum("tj,jt->t", coef, cross[:, lasso.targets])
    return Found(coef, power[lasso.targets] - explained)


SOLVERS = {"at_alpha": at_alpha, "at_size": at_size, "subset": subset, "refitted": refitted}

pytestmark = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)


def logits(seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((ROWS, 8)) @ rng.standard_normal((8, N)) + rng.standard_normal(
        (ROWS, N)
    )


def moments(f, g=None):
    """As solvers take them: M, and between networks B and the targets' second moments."""
    between = () if g is None else (f.T @ g / len(f), (g**2).mean(axis=0))
    return np.ascontiguousarray(f.T @ f / len(f)), *between


PROBLEMS = {"within": moments(logits()), "between": moments(logits(), logits(1) + logits())}
problems = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


@problems
def test_the_squared_error_is_that_of_the_coefficients(solver, problem):
    found = solver(*problem)
    moment, cross, power = problem if len(problem) == 3 else 2 * problem + (np.diagonal(*problem),)
    quadratic = np.einsum("ti,ij,tj->t", found.coef, moment, found.coef)
    error = power - 2 * np.einsum("tj,jt->t", found.coef, cross) + quadratic
    np.testing.assert_allclose(found.squared_error, error, rtol=1e-9, atol=1e-12)


@problems
def test_no_category_predicts_itself(solver, problem):
    coef = solver(*problem).coef
    assert not np.diagonal(coef).any()
    assert (np.count_nonzero(coef, axis=1) > 0).all()


def test_between_networks_the_own_category_may_be_allowed_or_named(solver):
    f, g = logits(), logits()  # the same: each category's own source is all that it needs
    arguments = moments(f, g)
    free = solver(*arguments, exclude_own=False)
    assert np.diagonal(free.coef).all()
    own = (np.arange(N) + 1) % N
    shifted = solver(*arguments, exclude_own=own)
    assert not shifted.coef[np.arange(N), own].any()
    assert np.diagonal(shifted.coef).all()


@problems
def test_permuted_sources_permute_the_answer(solver, problem):
    """Within a network targets are permuted with them."""
    order = np.random.default_rng(5).permutation(N)
    found, inverse = solver(*problem), np.argsort(order)
    permuted = np.ascontiguousarray(problem[0][np.ix_(order, order)])
    if len(problem) == 1:
        again = solver(permuted)
        coef, error = again.coef[np.ix_(inverse, inverse)], again.squared_error[inverse]
    else:
        again = solver(permuted, problem[1][order], problem[2], exclude_own=inverse)
        coef, error = again.coef[:, inverse], again.squared_error
    np.testing.assert_allclose(coef, found.coef, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(error, found.squared_error, rtol=1e-9)


@problems
@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_scaled_logits_scale_the_error_and_no_coefficient(solver, problem, factor):
    found, scaled = solver(*problem), solver(*(factor * one for one in problem))
    np.testing.assert_allclose(scaled.coef, found.coef, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(scaled.squared_error, factor * found.squared_error, rtol=1e-9)


@problems
def test_threads_and_batches_change_no_byte(solver, problem):
    found = solver(*problem)
    assert solver(*problem, n_threads=3).coef.tobytes() == found.coef.tobytes()
    part = solver(*problem, targets=[20, 3, 11], validate=False)
    assert part.coef.tobytes() == found.coef[[20, 3, 11]].tobytes()


@problems
def test_a_memory_mapped_moment_is_used_in_place(solver, problem, tmp_path):
    np.save(tmp_path / "moment.npy", problem[0])
    mapped = np.load(tmp_path / "moment.npy", mmap_mode="r")
    assert solver(mapped, *problem[1:]).coef.tobytes() == solver(*problem).coef.tobytes()
    np.testing.assert_array_equal(np.load(tmp_path / "moment.npy"), problem[0])


@problems
def test_what_is_given_is_left_as_it_was(solver, problem):
    given = [one.copy() for one in problem]
    solver(*given)
    for mine, theirs in zip(problem, given, strict=True):
        np.testing.assert_array_equal(theirs, mine)


@problems
def test_more_freedom_never_raises_the_error(solver, problem):
    if solver is at_alpha:
        larger, smaller = solver(*problem, relative=0.3), solver(*problem, relative=0.1)
    elif solver is refitted:  # of other sources it may be worse, but not than what it refits
        larger, smaller = at_size(*problem), refitted(*problem)
    else:
        larger, smaller = solver(*problem, size=2), solver(*problem, size=5)
    assert (smaller.squared_error <= larger.squared_error * (1 + 1e-9)).all()
    assert (smaller.squared_error < larger.squared_error).any()


def test_a_dead_category_is_no_source_and_predicted_by_none(solver):
    f = logits()
    f[:, 7] = 0.0
    found = solver(*moments(f))
    assert not found.coef[7].any()
    assert not found.coef[:, 7].any()
    assert found.squared_error[7] == 0
    assert np.isfinite(found.coef).all()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_copy_is_found_with_its_sign(solver, sign):
    f = logits()
    f[:, 7] = sign * f[:, 2]
    found = solver(*moments(f))
    assert np.isfinite(found.coef).all()
    assert np.sign(found.coef[7, 2]) == sign
    assert abs(found.coef[7, 2]) == pytest.approx(1, abs=1.01 * RELATIVE)
    assert found.squared_error[7] <= 1.01 * RELATIVE**2 * (f[:, 7] ** 2).mean()


def test_sources_may_be_named_and_keep_their_numbers(solver):
    sources = [20, 7, 1, 15, 4, 9]
    found = solver(*moments(logits()), sources=sources)
    assert set(np.flatnonzero(found.coef.any(axis=0))) <= set(sources)
    alone = logits()[:, [*sorted(sources), 11]]
    inner = solver(*moments(alone))
    np.testing.assert_allclose(
        found.coef[11, sorted(sources)], inner.coef[-1, :-1], rtol=1e-8, atol=1e-11
    )
