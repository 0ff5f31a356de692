"""New categories learned from logits: planted ones are found, optima are certified, arg-max is NumPy's."""

import numpy as np
import pytest
from scipy.optimize import check_grad

from neuraldeps.errors import InputError
from neuraldeps.generalizability import (
    Split,
    TrainingLogits,
    Variant,
    classified_rightly,
    group_accuracy,
    learn,
    learn_variant,
    position_among,
    rank_within_label,
    split_categories,
)

N_BASE, N_NEW = 12, 3


def drawn(n_images=600, rank=None, seed=0):
    """Logits of base categories, labels by a planted W: what the softmax itself would draw."""
    rng = np.random.default_rng(seed)
    split = split_categories(N_BASE + N_NEW, N_NEW, seed)
    logits = rng.standard_normal((n_images, rank or N_BASE))
    if rank:
        logits = logits @ rng.standard_normal((rank, N_BASE))
    planted = np.zeros((N_NEW, N_BASE))
    for row in planted:
        row[rng.choice(N_BASE, 3, replace=False)] = rng.choice([-1.5, 1.0, 2.0], 3)
    scores = np.concatenate([logits, logits @ planted.T], axis=1)
    label = np.concatenate(split)[(scores + rng.gumbel(size=scores.shape)).argmax(axis=1)]
    return logits.astype(np.float32), label, split, planted


def textbook_loss(logits, label, split, weights):
    """Cross-entropy as it is usually written, less what W does not enter."""
    logits = logits.astype(float)
    scores = np.concatenate([logits, logits @ weights.T], axis=1)
    own = np.argmax(np.concatenate(split) == label[:, None], axis=1)
    log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    base = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    known = np.where(own < N_BASE, base[np.arange(len(label)), np.minimum(own, N_BASE - 1)], 0)
    return -(log_p[np.arange(len(label)), own] - known).mean()


def test_the_split_is_disjoint_complete_and_drawn_by_seed():
    split = split_categories(40, 4, seed=3)
    assert sorted([*split.base, *split.new]) == list(range(40))
    assert len(split.new) == 4
    again, other = split_categories(40, 4, seed=3), split_categories(40, 4, seed=4)
    assert np.array_equal(split.new, again.new)
    assert not np.array_equal(split.new, other.new)
    assert set(split_categories(40, 1, seed=3).new) < set(split.new)


def test_positions_and_ranks():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 9, 100)
    some = np.array([1, 4, 8])
    assert position_among(some, label).tolist() == [
        some.tolist().index(one) if one in some else -1 for one in label
    ]
    assert rank_within_label(label).tolist() == [
        int((label[:i] == one).sum()) for i, one in enumerate(label)
    ]


@pytest.mark.parametrize("rank", [None, 4])
def test_the_loss_is_cross_entropy_over_all_categories(rank):
    logits, label, split, planted = drawn(rank=rank)
    data = TrainingLogits.from_logits(logits, label, split)
    assert (data.basis is None) == (rank is None)
    shift = textbook_loss(logits, label, split, 0 * planted) - data.loss(0 * data.lower(planted))
    # float32 logits, in their span and in full: 1e-6 of a logit
    assert shift == pytest.approx(0, abs=1e-6)
    value, _ = data.loss_and_gradient(data.lower(planted))
    assert value == pytest.approx(textbook_loss(logits, label, split, planted), abs=1e-6)
    assert value == data.loss(data.lower(planted))


def test_the_gradient_is_that_of_the_loss():
    logits, label, split, planted = drawn()
    data = TrainingLogits.from_logits(logits, label, split)
    shape = data.lower(planted).shape
    error = check_grad(
        lambda flat: data.loss(flat.reshape(shape)),
        lambda flat: data.loss_and_gradient(flat.reshape(shape))[1].ravel(),
        data.lower(planted).ravel(),
    )
    assert error < 1e-6  # finite differences of step 1.5e-8


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_planted_weights_are_recovered(penalty):
    logits, label, split, planted = drawn(n_images=60_000)
    data = TrainingLogits.from_logits(logits, label, split)
    found = learn(data, N_NEW, penalty, 1e-4, tolerance=1e-5)
    # 60 000 random labels tell a coefficient to about 0.02
    assert np.abs(found.weights - planted).max() < 0.1


@pytest.mark.parametrize("rank", [None, 4])
@pytest.mark.parametrize("strength", [100.0, 0.03, 0.003])
def test_the_sparse_solution_is_stationary(strength, rank):
    logits, label, split, _ = drawn(rank=rank)
    data = TrainingLogits.from_logits(logits, label, split)
    weights = learn(data, N_NEW, "l1", strength, tolerance=1e-9).weights
    _, lowered = data.loss_and_gradient(data.lower(weights))
    gradient = data.lift(lowered)
    active = weights != 0
    # a gap of 1e-9 leaves sqrt(1e-9) of a gradient
    np.testing.assert_allclose(gradient[active], -strength * np.sign(weights[active]), atol=3e-4)
    assert (np.abs(gradient[~active]) <= strength + 3e-4).all()
    assert active.any() == (strength < 1)
    assert not active.all()


def test_the_ridge_solution_is_stationary_whatever_the_rank():
    for rank in None, 4:
        logits, label, split, _ = drawn(rank=rank)
        data = TrainingLogits.from_logits(logits, label, split)
        weights = learn(data, N_NEW, "l2", 0.01, tolerance=1e-10).weights
        step = 1e-6 * np.random.default_rng(1).standard_normal(weights.shape)

        def objective(at, data=data):
            return data.loss(data.lower(at)) + 0.005 * (at**2).sum()

        assert objective(weights + step) - objective(weights - step) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("penalty", ["l1", "l2"])
def test_the_gap_bounds_what_is_left(penalty):
    logits, label, split, _ = drawn()
    data = TrainingLogits.from_logits(logits, label, split)

    def objective(at):
        size = np.abs(at).sum() if penalty == "l1" else (at**2).sum() / 2
        return data.loss(data.lower(at)) + 0.01 * size

    rough = learn(data, N_NEW, penalty, 0.01, tolerance=0.1)
    fine = learn(data, N_NEW, penalty, 0.01, tolerance=1e-10)
    excess = (objective(rough.weights) - objective(fine.weights)) / objective(rough.weights)
    assert 0 < excess <= rough.gap <= 0.1


def test_an_unreachable_optimum_is_said(monkeypatch):
    monkeypatch.setattr("neuraldeps.generalizability.MAX_STEPS", 3)
    logits, label, split, _ = drawn()
    data = TrainingLogits.from_logits(logits, label, split)
    with pytest.raises(InputError, match=r"strength 1e-05 leaves a gap of .* larger strength"):
        learn(data, N_NEW, "l2", 1e-5)


def test_the_same_logits_give_the_same_bytes():
    logits, label, split, _ = drawn()
    data = TrainingLogits.from_logits(logits, label, split)
    for penalty in "l1", "l2":
        one, two = (learn(data, N_NEW, penalty, 0.01).weights.tobytes() for _ in range(2))
        assert one == two


def test_strengths_compete_on_held_out_images_only():
    logits, label, split, _ = drawn(n_images=900)
    data = TrainingLogits.from_logits(logits, label, split)
    held_out = rank_within_label(label) % 4 == 3
    variant = Variant("all", "l2", (1e-3, 0.3, 30.0))
    learned = learn_variant(data, N_NEW, variant, held_out)
    for strength, accuracy in zip(variant.strengths, learned.held_out_accuracy, strict=True):
        alone = learn(data.take(~held_out), N_NEW, "l2", strength, tolerance=1e-6)
        assert accuracy == pytest.approx(data.take(held_out).accuracy(alone.weights), abs=0.02)
    best = variant.strengths[int(learned.held_out_accuracy.argmax())]
    assert learned.strength == best
    final = learn(data, N_NEW, "l2", best, tolerance=1e-8)
    np.testing.assert_allclose(learned.solution.weights, final.weights, atol=0.05)


def test_the_literal_reading_sees_new_images_only():
    logits, label, split, _ = drawn()
    data = TrainingLogits.from_logits(logits, label, split)
    held_out = np.zeros(len(label), bool)
    changed = label.copy()
    changed[data.label < 0] = split.base[0]
    other = TrainingLogits.from_logits(logits, changed, split)
    variant = Variant("new", "l2", (0.01,))
    weights = [learn_variant(one, N_NEW, variant, held_out) for one in (data, other)]
    assert weights[0].solution.weights.tobytes() == weights[1].solution.weights.tobytes()
    assert np.isnan(weights[0].held_out_accuracy).all()


def brute_force(base, new, label, split):
    scores = np.full((len(label), N_BASE + N_NEW), np.nan)
    scores[:, split.base], scores[:, split.new] = base, new
    is_new = np.isin(label, split.new)
    full = scores.argmax(axis=1) == label
    only_base, only_new = scores.copy(), scores.copy()
    only_base[:, split.new], only_new[:, split.base] = -np.inf, -np.inf
    restricted = np.where(is_new, only_new.argmax(1) == label, only_base.argmax(1) == label)
    return is_new, full, restricted


def test_accuracies_are_numpys():
    rng = np.random.default_rng(5)
    logits, label, split, planted = drawn()
    base, new = logits.astype(float), logits @ planted.T + 0.1 * rng.standard_normal((600, N_NEW))
    is_new, full, restricted = brute_force(base, new, label, split)
    right = classified_rightly(base, new, label, split)
    np.testing.assert_array_equal(right, np.stack([full, restricted], axis=1))
    assert not np.array_equal(full, restricted)
    expected = [
        [mask.mean() for mask in (full[of], restricted[of])]
        for of in (is_new | ~is_new, ~is_new, is_new)
    ]
    np.testing.assert_array_equal(group_accuracy(right, is_new), expected)
    data = TrainingLogits.from_logits(logits, label, split)
    right = classified_rightly(base, base @ planted.T, label, split)
    assert data.accuracy(planted) == right[:, 0].mean()


def test_binary_accuracy_is_by_hand():
    split = Split(np.array([0, 2]), np.array([1]))
    base = np.array([[3.0, 0.0], [0.0, 2.0], [1.0, 0.0], [0.0, 1.0]])
    new = np.array([[1.0], [3.0], [2.0], [1.0]])
    label = np.array([2, 0, 1, 1])
    # not won: right, whichever base category wins; won: wrong; won: right; a tie is base's: wrong
    right = classified_rightly(base, new, label, split, binary=True)
    np.testing.assert_array_equal(right[:, 0], [True, False, True, False])
    data = TrainingLogits.from_logits(base.astype(np.float32), label, split, binary=True)
    assert data.accuracy(np.array([[0.0, 0.0]])) == 0.5  # nothing is positive: both others right


def test_a_group_without_images_has_no_accuracy():
    found = group_accuracy(np.ones((2, 2), bool), np.zeros(2, bool))
    np.testing.assert_array_equal(found, [[1, 1], [1, 1], [np.nan, np.nan]])
