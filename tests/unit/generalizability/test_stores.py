"""Stores of weights and of their evaluation: certified, the same bytes, and about labelled images alone."""

import json
from pathlib import Path

import numpy as np
import pytest

from neuraldeps.errors import InputError
from neuraldeps.generalizability.learning import SOLVERS, learn_variant
from neuraldeps.generalizability.partition import read_split, split_categories
from neuraldeps.stores import open_store, strings, write_store
from neuraldeps.weight_penalties import WEIGHT_PENALTIES
from scripts import (
    evaluate_new_categories,
    fit_new_categories,
    render_bitmaps,
    train_backbone,
    train_base,
)
from scripts import split_categories as draw_split
from tests.cards import card_with
from tests.options import training_config
from tests.unit.generalizability.test_generalizability import (
    N_BASE,
    N_NEW,
    drawn,
    unlabelled,
    written_logits,
)


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
    file = folder / "logits.zarr/logits/c/0/0"
    file.write_bytes(bytes(file.stat().st_size))
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
