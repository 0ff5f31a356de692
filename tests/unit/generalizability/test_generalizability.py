"""New categories learned from logits: planted ones are found, optima are certified, arg-max is NumPy's."""

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import check_grad

from neuraldeps.errors import InputError
from neuraldeps.generalizability import learning as generalizability
from neuraldeps.generalizability.accuracy import classified_rightly, group_accuracy
from neuraldeps.generalizability.learning import Variant, learn, learn_variant
from neuraldeps.generalizability.partition import Split, split_categories
from neuraldeps.generalizability.training_logits import TrainingLogits
from neuraldeps.images.labels import position_among, rank_within_label
from neuraldeps.stores import open_store, provenance, write_store

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


def written_logits(path, logits, label, shards=None, **more):
    coords = {
        "label": ("sample", label.astype(np.int32)),
        "category": np.arange(logits.shape[1], dtype=np.int32),
        **more,
    }
    store = xr.Dataset(
        {"logits": (("sample", "category"), logits.astype(np.float32))},
        coords,
        provenance("extract_logits", path.name),
    )
    write_store(store, path, shards)
    return str(path)


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
    monkeypatch.setattr("neuraldeps.generalizability.learning.MAX_STEPS", 3)
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


def spy_on_learning(monkeypatch):
    """Every problem that is solved from now on: its images, its strength and its W."""
    solved = []

    def watch(logits, n_new, penalty, strength, **how):
        found = learn(logits, n_new, penalty, strength, **how)
        solved.append((logits, strength, found.weights))
        return found

    monkeypatch.setattr(generalizability, "learn", watch)
    return solved


def test_strengths_compete_on_held_out_images_only(monkeypatch):
    logits, label, split, _ = drawn(n_images=900)
    data = TrainingLogits.from_logits(logits, label, split)
    held_out = rank_within_label(label) % 4 == 3
    variant = Variant("all", "l2", (1e-3, 0.3, 30.0))
    solved = spy_on_learning(monkeypatch)
    learned = learn_variant(data, N_NEW, variant, held_out)
    assert [strength for _, strength, _ in solved[:-1]] == [30.0, 0.3, 1e-3]
    accuracy = {}
    for seen, strength, weights in solved[:-1]:
        assert seen.features[seen.taken].tobytes() == data.features[~held_out].tobytes()
        accuracy[strength] = data.take(held_out).accuracy(weights)
    assert learned.held_out_accuracy.tolist() == [accuracy[s] for s in variant.strengths]
    assert len(set(accuracy.values())) > 1
    final, strength, weights = solved[-1]
    assert final.features.tobytes() == data.features.tobytes()
    assert accuracy[strength] == max(accuracy.values())
    assert strength == learned.strength
    assert weights.tobytes() == learned.solution.weights.tobytes()


def test_of_equally_good_strengths_the_larger_is_taken():
    logits, label, split, _ = drawn()
    data = TrainingLogits.from_logits(logits, label, split)
    learned = learn_variant(data, N_NEW, Variant("all", "l1", (50.0, 90.0)), label % 2 == 0)
    assert learned.held_out_accuracy[0] == learned.held_out_accuracy[1]
    assert learned.strength == 90.0


def test_the_literal_reading_sees_new_images_only(monkeypatch):
    logits, label, split, _ = drawn()
    data = TrainingLogits.from_logits(logits, label, split)
    solved = spy_on_learning(monkeypatch)
    for images in "new", "all":
        learned = learn_variant(data, N_NEW, Variant(images, "l2", (0.01,)), label < 0)
        assert np.isnan(learned.held_out_accuracy).all()
    (new, _, _), (everything, _, _) = solved
    of_new = data.features[np.isin(label, split.new)]
    assert new.features[new.taken].tobytes() == of_new.tobytes()
    assert len(everything.label) == len(label)


def unlabelled(label, share=0.3, seed=0):
    """Labels of which a share is removed."""
    removed = np.random.default_rng(seed).random(len(label)) < share
    return np.where(removed, -1, label)


@pytest.mark.parametrize("rank", [None, 4])
@pytest.mark.parametrize("binary", [False, True])
def test_images_without_a_label_teach_nothing(rank, binary):
    logits, label, split, _ = drawn(rank=rank)
    label = unlabelled(label)
    known = label >= 0
    data = TrainingLogits.from_logits(logits, label, split, binary=binary)
    oracle = TrainingLogits.from_logits(logits[known], label[known], split, binary=binary)
    assert len(data.label) == known.sum()
    for penalty in "l1", "l2":
        weights = learn(oracle, N_NEW, penalty, 0.01).weights
        assert learn(data, N_NEW, penalty, 0.01).weights.tobytes() == weights.tobytes()
        assert data.accuracy(weights) == oracle.accuracy(weights)


def test_only_the_images_asked_for_are_read_and_held_once(tmp_path):
    logits, label, split, planted = drawn(n_images=20_000)
    path = written_logits(
        tmp_path / "logits.zarr", logits, label, shards={"logits": (1000, N_BASE)}
    )
    wanted = np.flatnonzero(np.arange(len(label)) % 10_000 < 5000)
    for shard in (tmp_path / "logits.zarr/logits/c").iterdir():
        if int(shard.name) % 10 >= 5:
            file = shard / "0"
            file.write_bytes(bytes(file.stat().st_size))
    stored = open_store(path)["logits"]
    data = TrainingLogits.from_logits(stored, label, split, images=wanted)
    oracle = TrainingLogits.from_logits(logits[wanted], label[wanted], split)
    assert data.features.tobytes() == oracle.features.tobytes()
    held_out = np.arange(len(wanted)) % 4 == 3
    part = data.take(~held_out).take(np.arange(100))
    assert part.features is data.features
    copied = oracle.take(~held_out).take(np.arange(100))
    assert part.accuracy(planted) == copied.accuracy(planted)


@pytest.mark.parametrize(
    ("images", "strengths", "held_out", "message"),
    [
        ("new", (0.1,), np.zeros(4, bool), "images: new, but no training image of a new category"),
        (
            "all",
            (0.1, 1.0),
            np.zeros(4, bool),
            "held_out_every: 0 of 4 training images are held out",
        ),
        (
            "all",
            (0.1, 1.0),
            np.ones(4, bool),
            "held_out_every: 4 of 4 training images are held out and 0",
        ),
    ],
)
def test_nothing_to_learn_from_or_to_choose_on_is_said(images, strengths, held_out, message):
    logits, _, split, _ = drawn(n_images=4)
    data = TrainingLogits.from_logits(logits, split.base[:4], split)
    with pytest.raises(InputError, match=message) as error:
        learn_variant(data, N_NEW, Variant(images, "l2", strengths), held_out)
    assert "\n" not in str(error.value)


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
