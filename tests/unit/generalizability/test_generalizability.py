"""New categories learned from logits: planted ones are found, optima are certified, arg-max is NumPy's."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.optimize import check_grad

from neuraldeps.errors import InputError
from neuraldeps.generalizability import learning as generalizability
from neuraldeps.generalizability.accuracy import classified_rightly, group_accuracy
from neuraldeps.generalizability.learning import SOLVERS, Variant, learn, learn_variant
from neuraldeps.generalizability.partition import Split, read_split, split_categories
from neuraldeps.generalizability.training_logits import TrainingLogits
from neuraldeps.images.labels import position_among, rank_within_label
from neuraldeps.stores import open_store, provenance, strings, write_store
from neuraldeps.tables.generalizability import table2, table2_notes, table4
from neuraldeps.weight_penalties import WEIGHT_PENALTIES
from scripts import (
    evaluate_new_categories,
    fit_new_categories,
    render_bitmaps,
    tabulate_generalizability,
    tabulate_times,
    train_backbone,
    train_base,
)
from scripts import split_categories as draw_split
from tests.cards import card_with
from tests.options import training_config

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
            shard.joinpath("0").write_bytes(b"damaged")
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


@pytest.fixture
def stored(tmp_path):
    """A base network's and a baseline's logits, and the table of categories."""
    logits, label, split, _ = drawn()
    rng = np.random.default_rng(9)
    whole = 3 * np.eye(N_BASE + N_NEW)[label] + rng.standard_normal((len(label), N_BASE + N_NEW))
    index = tmp_path / "index.zarr"
    paths = {
        "logits": written_logits(tmp_path / "logits.zarr", logits, label),
        "baseline": written_logits(index, whole, label),
        "categories": str(tmp_path / "categories.csv"),
    }
    draw_split.main(str(index), paths["categories"], n_new=N_NEW, seed=0)
    return tmp_path, paths, split


VARIANTS = {
    "literal": {"images": "new", "penalty": "l2", "strengths": [0.01]},
    "sparse": {"images": "all", "penalty": "l1", "strengths": [0.1, 0.01]},
}


def fitted(folder, paths, name="weights.zarr", binary=False, **options):
    given = {"samples_per_category": None, "held_out_every": 4, "model": "net", "seed": 0}
    weights = folder / name
    fit_new_categories.main(
        paths["logits"],
        paths["categories"],
        str(weights),
        str(folder / "times.csv"),
        variants=VARIANTS,
        binary=binary,
        **(given | options),
    )
    return weights


def evaluated(folder, paths, weights, binary=False):
    path = folder / f"evaluation_{binary}.zarr"
    evaluate_new_categories.main(
        str(weights),
        paths["logits"],
        paths["baseline"],
        paths["categories"],
        str(path),
        model="net",
        seed=0,
        binary=binary,
    )
    return open_store(path).load()


def test_stores_of_weights_are_the_same_bytes_and_certified(stored):
    folder, paths, split = stored
    one, two = (fitted(folder, paths, name) for name in ("one.zarr", "two.zarr"))
    files = [file.relative_to(one) for file in sorted(one.rglob("*")) if file.is_file()]
    assert [name for name in files if (one / name).read_bytes() != (two / name).read_bytes()] == []
    learned = open_store(one)
    assert dict(learned["weights"].sizes) == {
        "variant": 2,
        "new_category": N_NEW,
        "base_category": N_BASE,
    }
    np.testing.assert_array_equal(learned["new_category"], split.new)
    assert (learned["gap"] <= 1e-3).all()
    assert np.isnan(learned["held_out_accuracy"].values[0]).all()
    assert np.isfinite(learned["held_out_accuracy"].values[1]).all()


def test_every_penalty_of_the_configuration_has_a_solver():
    assert set(SOLVERS) == set(WEIGHT_PENALTIES)


@pytest.mark.parametrize("binary", [False, True])
def test_views_of_a_held_out_image_are_held_out_with_it(stored, monkeypatch, binary):
    folder, paths, _ = stored
    rng = np.random.default_rng(0)
    logits = open_store(paths["logits"]).load()
    image = np.repeat(np.arange(logits.sizes["sample"]), 3)
    viewed = logits.isel(sample=image)
    viewed["logits"] += 0.1 * rng.standard_normal(viewed["logits"].shape).astype(np.float32)
    viewed = viewed.assign_coords(view=("sample", np.tile(np.arange(3), len(image) // 3)))
    write_store(viewed, folder / "viewed.zarr")
    masks = []

    def watch(data, n_new, variant, held_out):
        masks.append(held_out)
        return learn_variant(data, n_new, variant, held_out)

    monkeypatch.setattr("neuraldeps.generalizability.weights.learn_variant", watch)
    weights = fitted(folder, paths | {"logits": str(folder / "viewed.zarr")}, binary=binary)
    assert open_store(weights).attrs["n_images"] == len(image)
    for held_out in masks:
        assert held_out.any()
        assert (held_out.reshape(-1, 3) == held_out[::3, np.newaxis]).all()


def test_fewer_samples_per_category_are_the_first_ones(stored):
    folder, paths, _ = stored
    weights = fitted(folder, paths, samples_per_category=5)
    label = open_store(paths["logits"])["label"].values
    counts = np.minimum(np.bincount(label), 5)
    assert open_store(weights).attrs["n_images"] == counts.sum()


def test_evaluation_is_that_of_the_whole_classifier(stored):
    folder, paths, split = stored
    weights = fitted(folder, paths)
    evaluation = evaluated(folder, paths, weights)
    logits, label = (open_store(paths["logits"])[name].values for name in ("logits", "label"))
    whole = open_store(paths["baseline"])["logits"].values
    found = evaluation["accuracy"].sel(group="all", argmax="full").values
    assert found[0] == (whole.argmax(axis=1) == label).mean()
    for share, one in zip(found[1:], open_store(weights)["weights"].values, strict=True):
        scores = np.concatenate([logits, logits.astype(float) @ one.T], axis=1)
        assert share == (np.concatenate(split)[scores.argmax(axis=1)] == label).mean()
    assert np.isnan(evaluation["accuracy"].sel(group="all", argmax="restricted")).all()


@pytest.fixture
def partly_labelled(tmp_path):
    """Twelve categories, three of them new; of 400 images 30 % without a label, and the others alone."""
    rng = np.random.default_rng(3)
    split = split_categories(12, 3, seed=0)
    label = rng.integers(0, 12, 400)
    whole = 4 * np.eye(12)[label] + rng.standard_normal((400, 12))
    base = 4 * np.eye(12)[label][:, split.base] + rng.standard_normal((400, 9))
    base[:, 0] += 2 * (label == split.new[0])
    part = np.where(np.arange(400) % 2, "test", "train")
    label = unlabelled(label)
    stores = {}
    for name, rows in ("partly", np.arange(400)), ("labelled", np.flatnonzero(label >= 0)):
        more = {"part": ("sample", strings(part[rows]))}
        stores[name] = {
            "logits": written_logits(tmp_path / f"{name}.zarr", base[rows], label[rows]),
            "baseline": written_logits(tmp_path / f"{name}_whole.zarr", whole[rows], label[rows]),
            "halves": written_logits(tmp_path / f"{name}_h.zarr", base[rows], label[rows], **more),
            "whole_halves": written_logits(
                tmp_path / f"{name}_wh.zarr", whole[rows], label[rows], **more
            ),
            "categories": str(tmp_path / "categories.csv"),
        }
    draw_split.main(stores["partly"]["baseline"], stores["partly"]["categories"], n_new=3, seed=0)
    return tmp_path, stores


def balanced(paths):
    return paths | {"logits": paths["halves"], "baseline": paths["whole_halves"]}


@pytest.mark.parametrize("binary", [False, True])
def test_accuracies_are_those_of_labelled_images(partly_labelled, binary):
    folder, stores = partly_labelled
    weights = fitted(folder, stores["labelled"])
    found = []
    for name, paths in stores.items():
        (folder / name).mkdir()
        paths = balanced(paths) if binary else paths
        found.append(evaluated(folder / name, paths, weights, binary=binary))
    partly, labelled = found
    np.testing.assert_array_equal(partly["accuracy"], labelled["accuracy"])
    assert partly.attrs["n_images"] == labelled.attrs["n_images"]
    assert np.nanmin(partly["accuracy"].sel(classifier="baseline", argmax="full")) > 0.9


@pytest.mark.parametrize("options", [{}, {"samples_per_category": 9}, {"binary": True}])
def test_weights_are_those_of_labelled_images(partly_labelled, options):
    folder, stores = partly_labelled
    learned = []
    for name, paths in stores.items():
        paths = balanced(paths) if options.get("binary") else paths
        learned.append(open_store(fitted(folder, paths, f"w_{name}.zarr", **options)))
    for variable in "weights", "strength", "held_out_accuracy", "gap":
        np.testing.assert_array_equal(learned[0][variable], learned[1][variable])
    for count in "n_images", "n_images_of_new":
        assert learned[0].attrs[count] == learned[1].attrs[count]


def test_more_held_out_than_there_are_images_is_said_before_logits_are_read(stored):
    folder, paths, _ = stored
    (folder / "logits.zarr/logits/c/0/0").write_bytes(b"damaged")
    with pytest.raises(InputError, match="held_out_every: 0 of 600 training images"):
        fitted(folder, paths, held_out_every=500)


def test_logits_of_other_images_are_refused(stored):
    folder, paths, _ = stored
    logits, label, _, _ = drawn(seed=1)
    paths["baseline"] = written_logits(
        folder / "other.zarr", np.pad(logits, ((0, 0), (0, 3))), label
    )
    with pytest.raises(InputError, match="has different images than"):
        evaluated(folder, paths, fitted(folder, paths))


def test_a_balanced_set_is_learned_and_judged_on_its_own_parts(tmp_path):
    rng = np.random.default_rng(0)
    split = split_categories(6, 1, seed=0)
    label = np.r_[np.repeat(split.new, 40), rng.choice(split.base, 40)]
    label = np.r_[label, label]
    part = strings(["train"] * 80 + ["test"] * 80)
    logits = rng.standard_normal((160, 5)) + 2 * (label == split.new)[:, None] * [1, -1, 0, 0, 0]
    whole = rng.standard_normal((160, 6)) + 5 * np.eye(6)[label]
    paths = {
        "logits": written_logits(tmp_path / "logits.zarr", logits, label, part=("sample", part)),
        "baseline": written_logits(tmp_path / "whole.zarr", whole, label, part=("sample", part)),
        "categories": str(tmp_path / "categories.csv"),
    }
    draw_split.main(paths["baseline"], paths["categories"], n_new=1, seed=0)
    weights = fitted(tmp_path, paths, binary=True)
    learned = open_store(weights)
    assert learned.attrs["n_images"] == 80
    assert list(learned["images"].values) == ["all", "all"]
    evaluation = evaluated(tmp_path, paths, weights, binary=True)
    assert evaluation.attrs["n_images"] == 80
    overall, base, new = evaluation["accuracy"].sel(classifier="sparse", argmax="full").values
    assert overall == pytest.approx((base + new) / 2)
    assert overall > 0.8
    right = (whole.argmax(axis=1) == split.new) == (label == split.new)
    assert float(evaluation["accuracy"][0, 0, 0]) == right[80:].mean()


def test_a_base_network_never_sees_a_new_category(tmp_path, monkeypatch):
    """The data of its training, epochs and validation, hold the bitmaps of base categories alone."""
    bitmaps = tmp_path / "bitmaps.zarr"
    render_bitmaps.main(str(bitmaps), n_categories=12, n_ood=2)
    categories, whole_card = tmp_path / "categories.csv", tmp_path / "whole.json"
    draw_split.main(str(bitmaps), str(categories), n_new=3, seed=0)
    split = read_split(str(categories))
    spec = {"architecture": "test_efficientnet"}
    card_with().to_json(whole_card)
    seen = []

    def watch(network, data, options, *, work_dir, **_):
        Path(work_dir).mkdir()
        seen.append((network, data))
        return [{"epoch": 1}]

    monkeypatch.setattr("neuraldeps.networks.training.train", watch)
    train_base.main(
        *map(str, (bitmaps, categories, whole_card, tmp_path / "card.json")),
        *map(str, (tmp_path / "model.safetensors", tmp_path / "curve.csv")),
        model="net",
        spec=spec,
        options=training_config(epochs=1),
        samples_per_category=4,
        valid_samples_per_category=2,
        seed=0,
    )
    [(network, data)] = seen
    drawn_bitmaps = open_store(bitmaps)["bitmap"].values
    shown = {one.tobytes() for one in data.bitmaps.numpy()}
    assert shown == {drawn_bitmaps[category].tobytes() for category in split.base}
    assert not shown & {drawn_bitmaps[category].tobytes() for category in split.new}
    for images in data.epoch(0), data.validation():
        assert set(images.labels.tolist()) == set(range(9))
    assert network.get_classifier().out_features == 9
    assert json.loads((tmp_path / "card.json").read_text())["categories"] == split.base.tolist()


def test_without_new_categories_a_base_network_is_the_baseline(tmp_path):
    bitmaps = tmp_path / "bitmaps.zarr"
    render_bitmaps.main(str(bitmaps), n_categories=4, n_ood=1)
    categories, whole_card = tmp_path / "categories.csv", tmp_path / "whole.json"
    draw_split.main(str(bitmaps), str(categories), n_new=0, seed=0)
    spec = {"architecture": "test_efficientnet"}
    how = {"model": "net", "spec": spec, "options": training_config(epochs=1, batch_size=8)}
    how |= {"samples_per_category": 4, "valid_samples_per_category": 2, "seed": 3}
    card_with(n_categories=4).to_json(whole_card)
    paths = [tmp_path / name for name in ("card.json", "a.safetensors", "a.csv")]
    train_base.main(str(bitmaps), str(categories), str(whole_card), *map(str, paths), **how)
    other = [str(tmp_path / name) for name in ("b.safetensors", "b.csv")]
    train_backbone.main(str(bitmaps), str(whole_card), *other, **how)
    assert paths[1].read_bytes() == Path(other[0]).read_bytes()


def evaluation_of(accuracy, *, model="net", n_new=100, seed=0, binary=False):
    """An evaluation of two variants with given accuracies (classifier, group, argmax)."""
    attrs = provenance(
        "evaluate_new_categories", "x", config={"model": model, "binary": binary}, seed=seed
    )
    size = len(accuracy)
    return xr.Dataset(
        {
            "accuracy": (("classifier", "group", "argmax"), np.array(accuracy)),
            "support_size_median": ("classifier", np.r_[np.nan, np.arange(size - 1) + 2.0]),
            "strength": ("classifier", np.r_[np.nan, np.full(size - 1, 0.01)]),
            "gap": ("classifier", np.r_[np.nan, np.full(size - 1, 1e-4)]),
        },
        {
            "classifier": strings(["baseline", "literal", "all-l2"][:size]),
            "images": ("classifier", strings(["all", "new", "all"][:size])),
            "penalty": ("classifier", strings(["", "l2", "l2"][:size])),
            "group": strings(["all", "base", "new"]),
            "argmax": strings(["full", "restricted"]),
        },
        attrs | {"n_base": 1000 - n_new, "n_new": n_new},
    )


def accuracies(seed):
    rng = np.random.default_rng(seed)
    values = rng.uniform(size=(3, 3, 2))
    values[:, 0, 1] = np.nan
    return values


def test_tables_hold_the_evaluations_numbers():
    values = [accuracies(seed) for seed in range(3)]
    runs = [evaluation_of(one, seed=seed) for seed, one in enumerate(values)]
    runs += [evaluation_of(accuracies(7), n_new=1, binary=True)]
    second, fourth = table2(runs), table4(runs)
    assert second["setting"].tolist() == ["900->100"] * 2 + ["999->1 (pos&neg)"] * 2
    ours, baseline = (np.array([100 * one[k, 0, 0] for one in values]) for k in (2, 0))
    row = second[second.variant == "all-l2"].iloc[0]
    assert row.ours == pytest.approx(ours.mean())
    assert row.ours_std == pytest.approx(ours.std(ddof=1))
    assert row.improvement_std == pytest.approx((ours - baseline).std(ddof=1))
    assert row.improvement_text == f"{row.improvement:+.2f} ± {row.improvement_std:.2f}"
    single = second[second.setting.str.contains("pos")].iloc[0]
    assert np.isnan(single.ours_std)
    assert "±" not in single.ours_text
    assert fourth["classifier"].tolist() == ["baseline", "literal", "all-l2"]
    new = [100 * one[1, 2, 1] for one in values]
    assert fourth["new_restricted"][1] == pytest.approx(np.mean(new))
    assert fourth["base_full"][0] == pytest.approx(np.mean([100 * one[0, 1, 0] for one in values]))


def test_papers_numbers_stand_in_columns_with_imagenet_only(tmp_path):
    paper = pd.read_csv("reference/paper_tables.csv")
    runs = [evaluation_of(accuracies(0), model="resnet50")]
    assert not [name for name in table2(runs) if name.startswith("paper")]
    second, fourth = table2(runs, paper), table4(runs, paper)
    assert second["paper_ours"].tolist() == [68.03, 68.03]
    assert second["paper_baseline_text"].tolist() == ["68.47 ± 0.25"] * 2
    assert fourth["paper_new"].tolist() == [68.87, 71.06, 71.06]
    elsewhere = table2([evaluation_of(accuracies(0), model="resnet18")], paper)
    assert elsewhere["paper_ours_text"].tolist() == ["-", "-"]


def test_tables_are_written_in_all_forms_twice_the_same(tmp_path):
    for seed in range(2):
        write_store(evaluation_of(accuracies(seed), seed=seed), tmp_path / f"{seed}.zarr")
    written = []
    for run in "one", "two":
        tables = [
            {form: str(tmp_path / run / f"{name}.{form}") for form in ("csv", "md", "tex")}
            for name in ("table2", "table4")
        ]
        tabulate_generalizability.main(
            [str(tmp_path / f"{seed}.zarr") for seed in range(2)],
            "reference/paper_tables.csv",
            *tables,
            dataset="glyphs",
            default="all-l2",
            split="fit",
            test="test",
        )
        written.append([Path(path).read_bytes() for one in tables for path in one.values()])
    assert written[0] == written[1]
    text = (tmp_path / "one/table2.md").read_text()
    assert "2 seeds: mean and sample standard deviation" in text
    assert "is hindsight" in text
    assert "has seen the images of base categories" not in text  # poses of their own
    assert "The softmax always runs over all categories" in text
    assert "hides collapse" in (tmp_path / "one/table4.md").read_text()
    assert "_text" not in (tmp_path / "one/table4.csv").read_text()


def test_of_photos_the_notes_say_what_the_base_network_has_seen():
    frame = table2([evaluation_of(accuracies(0))])
    notes = table2_notes(frame, "all-l2", "train_500", "test", of_photos=True)
    assert any(
        "trained on the split train_500 has seen the images of base" in note for note in notes
    )
    assert any("for l1 by a duality gap, for l2 by strong convexity" in note for note in notes)


def test_times_are_those_of_the_log_files_that_stand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    benchmark = "s\tcpu_time\n20.0\t8.0\n"
    given = {
        "logs/benchmarks/train_start/net/3.tsv": benchmark,
        "logs/benchmarks/train_backbone/net.tsv": benchmark,
        "logs/benchmarks/train_base/net/900to100/3.tsv": benchmark,
        "logs/benchmarks/extract_base_logits/net/900to100/3/fit.tsv": benchmark,
        "logs/fit_new_categories/net/900to100/3/multiclass.csv": "variant,passes,seconds\nall-l2,50,5.0\n",
    }
    for path, text in given.items():
        Path(path).parent.mkdir(parents=True)
        Path(path).write_text(text)
    *benchmarks, extraction, learning = given
    first, second, gone = (
        {"model": "net", "setting": setting, "seed": 3, "epochs": 4, "benchmarks": paths}
        for setting, paths in (
            ("baseline", benchmarks[:2]),
            ("900to100", benchmarks[2:]),
            ("950to50", ["logs/benchmarks/train_base/net/950to50/3.tsv"]),
        )
    )
    tabulate_times.main([first, second, gone], [extraction], [learning], "times.csv")
    found = pd.read_csv("times.csv")
    assert found["setting"].tolist() == ["baseline", "900to100", "900to100", "900to100"]
    assert found["step"].tolist()[2:] == ["extract logits", "learn W, all-l2"]
    assert found["seconds"].tolist() == [40.0, 20.0, 20.0, 5.0]
    assert found["seconds_per_pass"].tolist() == [10.0, 5.0, 20.0, 0.1]
