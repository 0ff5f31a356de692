"""What is planted is what the plan says, and best subsets find it."""

import numpy as np
import pytest

from neuraldeps.best_subset import best_subsets
from neuraldeps.controls.planting import NOISE, coefficient_error_bound, plan
from neuraldeps.covlasso import covlasso_path
from neuraldeps.seeds import seed_of


def second_moment(n=120, features=40):
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((5000, features)) @ rng.standard_normal((features, n))
    return logits.T @ logits / 5000


def test_the_plan_holds_in_the_planted_second_moment():
    before = second_moment()
    what = plan(before, 3)
    after = what.transform.T @ before @ what.transform
    assert len(what.planted) == 20
    assert np.bincount((what.support >= 0).sum(axis=1)).tolist() == [0, 4, 4, 4, 4, 4]
    taken = what.support[what.support >= 0]
    everything = [*what.planted, *taken, *what.untouched]
    assert len(set(everything)) == len(everything) == 100
    for row, category in enumerate(what.planted):
        support = what.support[row][what.support[row] >= 0]
        coef = what.coef[row][: len(support)]
        gram, cross = after[np.ix_(support, support)], after[support, category]
        error = after[category, category] - 2 * coef @ cross + coef @ gram @ coef
        assert np.sqrt(error) == pytest.approx(what.noise[row], rel=1e-9)
        assert np.sqrt(error / after[category, category]) == pytest.approx(NOISE, rel=0.1)
        fitted = np.linalg.solve(gram, cross)
        bound = coefficient_error_bound(after, support, what.noise[row])
        assert np.linalg.norm(fitted - coef) <= bound * (1 + 1e-9)
    kept = np.setdiff1d(np.arange(120), what.planted)
    np.testing.assert_array_equal(after[np.ix_(kept, kept)], before[np.ix_(kept, kept)])


def test_best_subsets_find_every_planted_dependency_and_claim_no_other():
    before = second_moment()
    what = plan(before, seed_of(0, "planted"))
    after = what.transform.T @ before @ what.transform
    found = best_subsets(after, max_support=5, proven_size=2)
    path = covlasso_path(after, max_support=5)
    assert len(path.targets) == 120
    n_found = 0
    for row, category in enumerate(what.planted):
        true = what.support[row][what.support[row] >= 0]
        best = found.support[category, len(true) - 1]
        n_found += set(best[best >= 0].tolist()) == set(true.tolist())
    assert n_found == 20
    relative = np.sqrt(found.squared_error[:, 4] / found.target_second_moment)
    assert (relative[what.planted] < 3 * NOISE).all()
    assert (relative[what.untouched] > 3 * NOISE).all()


def test_few_categories_have_few_planted_ones_and_dead_ones_none():
    before = second_moment(n=20, features=6)
    before[4] = before[:, 4] = 0.0
    what = plan(before, 1)
    assert len(what.planted) == 3
    assert 4 not in [*what.planted, *what.support.ravel(), *what.untouched]
    assert np.isfinite(what.transform).all()
    nothing = plan(np.zeros((5, 5)), 1)
    assert len(nothing.planted) == 0
    np.testing.assert_array_equal(nothing.transform, np.eye(5))
