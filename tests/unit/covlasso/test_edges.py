"""Problems that break solvers: ties, duplicates, tiny and huge scales, rank one, bad input."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from neuraldeps.covlasso import MomentError, UncertifiedError, covlasso_path, solve_covlasso
from neuraldeps.covlasso.repair import penalty_above, repair
from tests.fuzz_covlasso import (
    Tally,
    check_problem,
    check_support_sizes,
    fuzz,
    make_problem,
    relative_gap,
)

GENERATOR = np.random.default_rng(0)
FRACTIONS = (0.9, 0.5, 0.1, 1e-2, 1e-4, 1e-6)


def moments_of(design):
    return design.T @ design / len(design)


def _duplicated():
    design = GENERATOR.standard_normal((40, 8))
    return np.hstack([design, design[:, :4]])


NAMED = {
    "two categories": np.array([[2.0, 1.0], [1.0, 3.0]]),
    "uncorrelated": np.eye(6),
    "all equal": np.ones((7, 7)),
    "equicorrelated": np.eye(9) + 1,
    "rank one": np.outer(np.arange(1.0, 9), np.arange(1.0, 9)),
    "duplicated": moments_of(_duplicated()),
    "negated": moments_of(np.hstack([d := _duplicated(), -d[:, :5]])),
    "nearly equal": moments_of(
        np.hstack([d := GENERATOR.standard_normal((40, 8)), d + 1e-7 * d[::-1]])
    ),
    "zero variance": scipy.linalg.block_diag(
        moments_of(GENERATOR.standard_normal((20, 6))), np.zeros((2, 2))
    ),
    "integers": moments_of(GENERATOR.integers(-2, 3, (6, 20)).astype(float)),
    "signs": moments_of(GENERATOR.choice([-1.0, 1.0], (12, 24))),
    "rank deficient": moments_of(GENERATOR.standard_normal((7, 30))),
    "hilbert": scipy.linalg.hilbert(10),
    "vandermonde": moments_of(np.vander(np.linspace(0, 1, 30), 12)),
    "scale 1e-12": 1e-12 * moments_of(GENERATOR.standard_normal((50, 15))),
    "scale 1e12": 1e12 * moments_of(GENERATOR.standard_normal((50, 15))),
    "uneven scales": moments_of(
        GENERATOR.standard_normal((50, 14)) * 10.0 ** GENERATOR.uniform(-4, 4, 14)
    ),
}


def assert_certified(second_moment, solution):
    coef = solution.to_sparse(len(second_moment)).toarray()
    diagonal = np.diagonal(second_moment)
    assert (solution.dual_gap <= 1e-12 * diagonal[solution.targets]).all()
    for row, target in enumerate(solution.targets):
        assert coef[row, target] == 0
        gap = relative_gap(
            second_moment,
            second_moment[target],
            diagonal[target],
            target,
            solution.alpha[row],
            coef[row],
        )
        assert gap <= 1e-12


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("fraction", FRACTIONS)
def test_named_problem_is_certified(name, fraction):
    second_moment = NAMED[name]
    alpha = fraction * np.abs(second_moment - np.diag(np.diagonal(second_moment))).max(axis=1)
    alpha = np.where(alpha > 0, alpha, 1.0)
    assert_certified(second_moment, solve_covlasso(second_moment, alpha=alpha))


@pytest.mark.parametrize("name", NAMED)
def test_named_path_is_certified_at_and_between_knots(name):
    second_moment = NAMED[name]
    path = covlasso_path(second_moment, max_support=len(second_moment))
    diagonal = path.target_second_moment[:, None]
    assert (np.nan_to_num(path.dual_gap) <= 1e-12 * diagonal).all()
    assert (np.diff(path.alpha, axis=1)[~np.isnan(path.alpha[:, 1:])] < 0).all()
    for knot in range(1, path.alpha.shape[1]):
        alpha = np.sqrt(path.alpha[:, knot - 1] * path.alpha[:, knot])
        inside = alpha > 0
        if not inside.any():
            continue
        try:
            solution = path.at_alpha(np.where(inside, alpha, 1e300))
        except UncertifiedError:
            solution = solve_covlasso(
                second_moment, alpha=alpha[inside], targets=np.flatnonzero(inside)
            )
        assert_certified(second_moment, solution)


@pytest.mark.parametrize("name", sorted(set(NAMED) - {"uncorrelated", "zero variance"}))
def test_every_support_size_is_respected(name):
    second_moment = NAMED[name]
    path = covlasso_path(second_moment, max_support=min(12, len(second_moment) - 1))
    for size in range(1, min(5, path.max_support) + 1):
        read, solved = path.at_support_size(size), solve_covlasso(second_moment, support_size=size)
        assert (read.support_size <= size).all()
        assert (solved.support_size <= size).all()
        assert_certified(second_moment, read)


TIED = {
    # design, target, its one source, what that leaves unexplained
    "one enters, another leaves": ([[1, 1, 1], [1, 1, 1], [1, 1, 0], [1, 0, 0]], 2, 1, 1 / 6),
    "active and never used": ([[1, 0, 0], [1, 1, 1], [0, 1, 0]], 0, 2, 1 / 3),
}


@pytest.mark.parametrize("name", TIED)
def test_at_most_one_on_ties_is_what_the_path_uses(name):
    design, target, source, error = TIED[name]
    second_moment = moments_of(np.array(design, float))
    given = {"targets": [target]}
    answers = [
        solve_covlasso(second_moment, support_size=1, **given),
        *(
            covlasso_path(second_moment, max_support=k, **given).at_support_size(1)
            for k in (1, 2, 3)
        ),
    ]
    for answer in answers:
        coef = answer.to_sparse(3).toarray()[0]
        assert np.flatnonzero(coef).tolist() == [source]
        assert answer.support_size[0] == 1
        np.testing.assert_allclose(answer.squared_error, error, atol=1e-7)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**63 - 1))
def test_at_most_k_is_that_of_the_path_in_exact_fractions(seed):
    tally = Tally()
    check_support_sizes(seed, tally)
    assert not tally.failures


@pytest.fixture(scope="module")
def nearly_equal():
    """Second moment of 22 categories, the last two equal but for float32 rounding."""
    generator = np.random.default_rng(0)
    logits = generator.standard_normal((2000, 20))
    logits += 3 * np.eye(20)[generator.integers(0, 20, 2000)]
    absent = 0.5 * logits[:, 0] - 0.3 * logits[:, 1] + 0.2 * generator.standard_normal(2000) - 2
    absent = absent[:, None] * (1 + 6e-8 * generator.standard_normal((2000, 2)))
    return moments_of(np.hstack([logits, absent]).astype(np.float32).astype(float))


def test_nearly_equal_categories_replace_each_other_along_a_path(nearly_equal):
    whole = covlasso_path(nearly_equal, max_support=20, targets=range(20))
    assert not (whole.ended_by == "certificate").any()
    for size in range(1, 9):
        short = covlasso_path(nearly_equal, max_support=size, targets=range(20))
        read, solved = (
            whole.at_support_size(size),
            solve_covlasso(nearly_equal, support_size=size, targets=range(20)),
        )
        assert (read.support_size == size).all()
        assert_certified(nearly_equal, read)
        for answer in (short.at_support_size(size), solved):
            np.testing.assert_array_equal(
                answer.to_sparse(22).toarray(), read.to_sparse(22).toarray()
            )
            np.testing.assert_array_equal(answer.alpha, read.alpha)


def test_a_knot_that_lies_too_low_is_found_again():
    generator = np.random.default_rng(9)
    second_moment = moments_of(generator.standard_normal((50, 12)))
    path = covlasso_path(second_moment, max_support=5, targets=[0])
    alpha, size = path.alpha[0, 4], path.support_size[0, 4]
    low = alpha * (1 - 1e-6)
    given = (second_moment, second_moment[0], second_moment[0, 0], 0)
    known = (path.support[0, 4, :size], path.coef[0, 4, :size], 0.0)
    point = repair(*given, low, *known)
    assert point.support.size == size + 1
    above = penalty_above(second_moment, low, point, size)
    assert alpha <= above <= alpha * (1 + 1e-11)
    assert repair(*given, above, *known).support.size == size


def test_a_path_ends_where_the_next_knot_cannot_be_certified(nearly_equal):
    targets = range(6)
    path = covlasso_path(nearly_equal, max_support=21, targets=targets)
    assert set(path.ended_by) == {"certificate", "precision"}
    first = np.flatnonzero(path.ended_by == "certificate")[0]
    assert (np.nan_to_num(path.dual_gap) <= 1e-12 * path.target_second_moment[:, None]).all()
    known = path.at_support_size(5)
    assert (known.support_size <= 5).all()
    message = rf"the path of target {first} to a support of 21 cannot be certified below alpha="
    with pytest.raises(UncertifiedError, match=message):
        path.at_support_size(21)
    assert (path.at_support_size(21, or_last=True).dual_gap <= 1e-12).all()
    with pytest.raises(UncertifiedError, match=f"path of target {first} cannot be certified"):
        solve_covlasso(nearly_equal, support_size=21, targets=targets)


def test_what_cannot_be_certified_may_be_left_empty():
    generator = np.random.default_rng(7)
    second_moment = moments_of(generator.standard_normal((40, 5)))
    alpha = np.array([0.1, 1e-40, 0.1, 0.1, 0.1])
    solution = solve_covlasso(second_moment, alpha=alpha, or_empty=True)
    np.testing.assert_array_equal(np.isnan(solution.dual_gap), alpha < 1e-3)
    np.testing.assert_array_equal(np.isnan(solution.squared_error), alpha < 1e-3)
    np.testing.assert_array_equal(solution.alpha, alpha)
    assert (solution.support[1] == -1).all()
    assert not solution.coef[1].any()
    others = solve_covlasso(second_moment, alpha=0.1, targets=[0, 2, 3, 4])
    np.testing.assert_array_equal(
        solution.to_sparse(5).toarray()[alpha > 1e-3], others.to_sparse(5).toarray()
    )


@pytest.mark.parametrize("exponent", [-153, -155, -157, -160, -165])
def test_logits_too_small_to_square_are_no_silent_answer(exponent):
    logits = np.random.default_rng(3).standard_normal((40, 6)) * 10.0**exponent
    second_moment = moments_of(logits)
    try:
        path = covlasso_path(second_moment, max_support=3)
    except (MomentError, UncertifiedError):
        return
    known = np.arange(path.alpha.shape[1]) < path.n_knots[:, None]
    assert (path.dual_gap[known] <= 1e-12 * second_moment.max()).all()


def test_two_categories_by_hand():
    coef = solve_covlasso(NAMED["two categories"], alpha=0.5).to_sparse(2).toarray()
    np.testing.assert_allclose(coef, [[0, 0.5 / 3], [0.5 / 2, 0]])


@pytest.mark.parametrize("factor", [1.0, 1.0 + 1e-9, 3.0])
def test_nothing_is_used_from_alpha_max_on(factor):
    path = covlasso_path(NAMED["rank deficient"])
    solution = solve_covlasso(NAMED["rank deficient"], alpha=factor * path.alpha_max)
    assert (solution.support_size == 0).all()
    assert (solution.dual_gap == 0).all()
    np.testing.assert_allclose(solution.squared_error, path.target_second_moment)


def test_something_is_used_below_alpha_max():
    path = covlasso_path(NAMED["rank deficient"])
    solution = solve_covlasso(NAMED["rank deficient"], alpha=(1 - 1e-9) * path.alpha_max)
    assert (solution.support_size > 0).all()


def test_categories_leave_the_path():
    generator = np.random.default_rng(5)
    path = covlasso_path(moments_of(generator.standard_normal((30, 25))), max_support=24)
    assert (np.diff(path.support_size, axis=1)[~np.isnan(path.alpha[:, 1:])] < 0).any()


def test_alpha_min_ends_the_path_there():
    path = covlasso_path(NAMED["rank deficient"], max_support=29, alpha_min=0.05)
    last = path.alpha[np.arange(30), path.n_knots - 1]
    np.testing.assert_allclose(last, 0.05)
    assert (path.ended_by == "alpha").all()


def test_below_the_end_of_the_path_is_an_error():
    path = covlasso_path(NAMED["rank deficient"], max_support=3)
    with pytest.raises(ValueError, match="below the end of target 0's path"):
        path.at_alpha(1e-6)
    with pytest.raises(ValueError, match="exceeds max_support=3"):
        path.at_support_size(4)


def test_between_networks_layouts_and_own_categories():
    generator = np.random.default_rng(6)
    source, target = generator.standard_normal((60, 12)), generator.standard_normal((60, 9))
    target += source[:, 3:]
    cross, moments = source.T @ target / 60, (target**2).mean(axis=0)
    arguments = (moments_of(source), cross, moments)
    solution = solve_covlasso(*arguments, alpha=0.05)
    for layout in (np.asfortranarray(cross), np.repeat(cross, 2, axis=1)[:, ::2]):
        again = solve_covlasso(arguments[0], layout, moments, alpha=0.05)
        np.testing.assert_array_equal(again.coef, solution.coef)
    assert not solution.to_sparse(12).toarray()[np.arange(9), np.arange(9)].any()
    free = solve_covlasso(*arguments, alpha=0.05, exclude_own=False)
    assert free.to_sparse(12).toarray()[np.arange(9), np.arange(9)].any()
    own = np.arange(9) + 3
    shifted = solve_covlasso(*arguments, alpha=0.05, exclude_own=own)
    assert not shifted.to_sparse(12).toarray()[np.arange(9), own].any()


def test_rounding_among_near_copies_is_no_indefinite_moment():
    _, second_moment, _, _ = make_problem(300367)  # 33 categories of rank 6, found by the fuzzer
    path = covlasso_path(second_moment, max_support=33, targets=[32])
    assert path.ended_by[0] == "precision"


def test_what_cannot_be_certified_is_an_error_that_names_the_target():
    generator = np.random.default_rng(7)
    second_moment = moments_of(generator.standard_normal((400, 30)))
    with pytest.raises(UncertifiedError, match=r"target \d+ cannot be certified at alpha=1e-40"):
        solve_covlasso(second_moment, alpha=1e-40)


GOOD = NAMED["rank deficient"]
BAD_MOMENTS = {
    "NaN": (np.where(np.eye(30) > 0, np.nan, GOOD), r"second_moment\[0, 0\] is nan"),
    "NaN off the diagonal": (GOOD + np.where(np.eye(30, k=3), np.nan, 0), r"\[0, 3\] is nan"),
    "infinite": (np.where(np.eye(30, k=1) > 0, np.inf, GOOD), "is inf"),
    "asymmetric": (GOOD + 1e-6 * np.eye(30, k=1), "must be symmetric"),
    "negative diagonal": (GOOD - 9 * np.eye(30), "not negative"),
    "too large an entry": (np.array([[1.0, 2.0], [2.0, 1.0]]), "exceeds sqrt"),
    "indefinite": (
        np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]]),
        "not positive semidefinite",
    ),
    "integer": (np.eye(3, dtype=int), "astype"),
    "complex": (np.eye(3, dtype=complex), "dtype complex128"),
    "single precision": (np.eye(3, dtype=np.float32), "float32, whose rounding .* in float64"),
    "not square": (np.ones((2, 3)), "must be square"),
    "one category": (np.eye(1), "at least 2"),
    "a vector": (np.ones(3), "must be square"),
}


@pytest.mark.parametrize("name", BAD_MOMENTS)
def test_bad_moments_are_refused(name):
    matrix, message = BAD_MOMENTS[name]
    with pytest.raises(MomentError, match=message):
        solve_covlasso(matrix, alpha=0.1)


def test_a_cross_moment_that_was_not_checked_is_refused_when_it_is_read():
    source, target = np.split(np.random.default_rng(8).standard_normal((50, 33)), [30], axis=1)
    cross = source.T @ target / 50
    cross[4, 2] = np.nan
    given = (moments_of(source), cross, (target**2).mean(axis=0))
    how = {"alpha": 0.1, "validate": False}
    assert (solve_covlasso(*given, targets=[0, 1], **how).dual_gap <= 1e-12).all()
    with pytest.raises(MomentError, match="of target 2 and source 4 is nan; remove"):
        solve_covlasso(*given, targets=[2], **how)


@pytest.mark.parametrize("alpha_min", [None, -1.0, np.nan, np.ones(30)])
def test_a_path_ends_at_one_penalty(alpha_min):
    with pytest.raises(ValueError, match="it must be one number, finite and not negative"):
        covlasso_path(GOOD, alpha_min=alpha_min)


def test_indefinite_moments_are_met_without_validation():
    with pytest.raises(ValueError, match="semidefinite"):
        covlasso_path(BAD_MOMENTS["indefinite"][0], validate=False)


BAD_ARGUMENTS = {
    "negative alpha": ({"alpha": -1.0}, "alpha=-1.0; it must be finite and positive"),
    "zero alpha": ({"alpha": 0.0}, "positive"),
    "NaN alpha": ({"alpha": np.nan}, "alpha=nan"),
    "one alpha too few": ({"alpha": np.ones(29)}, r"shape \(29,\)"),
    "text alpha": ({"alpha": "small"}, "alpha='small'"),
    "neither": ({}, "exactly one of the two"),
    "both": ({"alpha": 1.0, "support_size": 2}, "exactly one of the two"),
    "empty support": ({"support_size": 0}, "support_size=0"),
    "half a support": ({"support_size": 2.5}, "support_size=2.5"),
    "no threads": ({"alpha": 1.0, "n_threads": 0}, "n_threads=0"),
    "target outside": ({"alpha": 1.0, "targets": [3, 30]}, "targets contains 30"),
    "no targets": ({"alpha": 1.0, "targets": []}, "non-empty"),
    "target twice": ({"alpha": 1.0, "targets": [3, 3]}, "targets contains 3 twice"),
    "float targets": ({"alpha": 1.0, "targets": [1.0]}, "dtype float64"),
    "source outside": ({"alpha": 1.0, "sources": [-1]}, "sources contains -1"),
    "own within": ({"alpha": 1.0, "exclude_own": False}, "never predicts itself"),
}


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_bad_arguments_are_refused(name):
    arguments, message = BAD_ARGUMENTS[name]
    with pytest.raises(ValueError, match=message):
        solve_covlasso(GOOD, **arguments)


CROSS, POWER = np.full((30, 2), 0.01), np.ones(2)
BAD_PAIRS = {
    "wrong number of sources": (CROSS[:29], POWER, {}, r"must be \(30, n_target\)"),
    "no target moments": (CROSS, None, {}, "target_second_moment is missing"),
    "wrong number of targets": (CROSS, np.ones(3), {}, r"must be \(2,\)"),
    "negative target moment": (CROSS, -POWER, {}, "finite and not negative"),
    "NaN": (CROSS * np.nan, POWER, {}, r"cross_moment\[0, 0\] is nan"),
    "beyond Cauchy and Schwarz": (1e3 * CROSS, POWER, {}, "same images"),
    "integers": (np.ones((30, 2), int), POWER, {}, "dtype int64"),
    "single precision": (CROSS.astype(np.float32), POWER, {}, "cross_moment has dtype float32"),
    "single power": (CROSS, POWER.astype(np.float32), {}, "target_second_moment has dtype float32"),
    "own outside": (CROSS, POWER, {"exclude_own": [1, 30]}, "exclude_own must lie"),
    "own of another length": (CROSS, POWER, {"exclude_own": [1]}, "one integer per target"),
    "moments without cross": (None, POWER, {}, "without cross_moment"),
}


@pytest.mark.parametrize("name", BAD_PAIRS)
def test_bad_pairs_are_refused(name):
    cross, power, arguments, message = BAD_PAIRS[name]
    with pytest.raises(ValueError, match=message):
        solve_covlasso(GOOD, cross, power, alpha=0.1, **arguments)


def test_moments_of_different_images_are_refused():
    generator = np.random.default_rng(8)
    source = generator.standard_normal((50, 30))
    target = source[:, :5].sum(axis=1, keepdims=True)
    with pytest.raises(MomentError, match="same images"):
        solve_covlasso(
            moments_of(source), source.T @ target / 50, 0.5 * (target**2).mean(axis=0), alpha=1e-3
        )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**63 - 1))
def test_random_problems_are_certified(seed):
    tally = Tally()
    check_problem(seed, tally)
    assert not tally.failures


def test_a_short_fuzz_finds_nothing():
    tally = fuzz(seconds=5, first_seed=1_000_000)
    assert tally.answers > 0
    assert not tally.failures
