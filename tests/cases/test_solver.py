"""Logits that solvers stumble over: tied and nearly equal categories, masked ones."""

import numpy as np
import pytest
import yaml

from neuraldeps.covlasso import covlasso_path, solve_covlasso
from neuraldeps.stores import open_store
from tests.cases.running import accepted


def tied():
    """Logits (10, 4) symmetric in the first two categories, which are not collinear."""
    x = np.array([[1.0, 1, 0, 2], [1, -1, 1, 1], [-1, 1, 1, 1], [2, 2, -1, 4], [0, 0, 3, 0.5]])
    return np.vstack([x, x[:, [1, 0, 2, 3]]])


def drawn(seed, n, n_images):
    """Logits (n_images, n) that are largest for an image's own label, and the labels."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((n_images, n))
    label = rng.integers(0, n, n_images)
    return values + 3 * np.eye(n)[label], label, rng


def untrained_classes(seed):
    """Two further categories without any training image: one logit, but for float32 rounding."""
    values, label, rng = drawn(seed, 20, 2000)
    absent = 0.5 * values[:, 0] - 0.3 * values[:, 1] + 0.2 * rng.standard_normal(2000) - 2
    absent = absent[:, None] * (1 + 6e-8 * rng.standard_normal((2000, 2)))
    return np.hstack([values, absent]), label


def masked_classes(seed):
    """Categories 2 and 9 take no part: the least float stands in their place."""
    values, label, _ = drawn(seed, 12, 400)
    values[:, 0] = 0.8 * values[:, 3] - 0.5 * values[:, 7]
    values[:, [2, 9]] = np.finfo(np.float32).min
    return values, label


def imported(folder, logits):
    """A configuration of logits from elsewhere, of one network."""
    sources = {"logits": {}, "labels": {}}
    for seed, split in enumerate(("fit", "test")):
        values, label = logits(seed)
        np.save(folder / f"{split}.npy", values.astype(np.float32))
        np.save(folder / f"{split}_labels.npy", label)
        sources["logits"][split] = f"{split}.npy"
        sources["labels"][split] = f"{split}_labels.npy"
    config = {
        "dataset": {
            "kind": "logits",
            "n_categories": values.shape[1],
            "splits": {"fit": {}, "test": {}},
        },
        "models": {"mine": sources},
        "covlasso": {"max_support": 4, "alpha": [0.01], "relative_alpha": []},
        "figures": {
            "correlation": {"n_targets": 2},
            "chord": {"n_base": 8, "n_targets": 2, "support_size": 3},
        },
    }
    (folder / "c.yaml").write_text(yaml.safe_dump(config))
    return folder


def test_tied_categories_enter_together():
    logits = tied()
    second_moment = logits.T @ logits / len(logits)
    path = covlasso_path(second_moment, max_support=3)
    for size in (1, 2, 3):
        short = covlasso_path(second_moment, max_support=size).at_support_size(size)
        solved = solve_covlasso(second_moment, support_size=size)
        for answer in (short, solved):
            np.testing.assert_array_equal(
                answer.to_sparse(4).toarray(), path.at_support_size(size).to_sparse(4).toarray()
            )
    for target in (2, 3):  # a support of one is exceeded where both enter, at alpha_max
        assert path.at_support_size(1).alpha[target] == path.alpha_max[target]
        for size in (2, 3):
            coef = path.at_support_size(size).to_sparse(4).toarray()[target]
            assert coef[0] == pytest.approx(coef[1], abs=1e-12)
            assert coef[0] != 0


def test_nearly_equal_columns_through_the_library():
    rng = np.random.default_rng(3)
    base = rng.standard_normal((300, 15))
    logits = np.hstack([base, base + 1e-7 * rng.standard_normal(base.shape), np.round(base)])
    second_moment = logits.T @ logits / len(logits)
    whole = covlasso_path(second_moment, max_support=19)
    assert not (whole.ended_by == "certificate").any()
    for size in range(1, 20, 3):
        path = covlasso_path(second_moment, max_support=size, validate=False)
        assert not (path.ended_by == "certificate").any()
        one, other = path.at_support_size(size), whole.at_support_size(size)
        np.testing.assert_array_equal(one.alpha, other.alpha)
        np.testing.assert_array_equal(one.to_sparse(45).toarray(), other.to_sparse(45).toarray())


def test_untrained_classes_end_no_path(tmp_path):
    text = accepted(
        imported(tmp_path, untrained_classes), "results/dependencies/covlasso/mine--mine.zarr"
    )
    assert "Traceback" not in text
    paths = open_store(str(tmp_path / "results/dependencies/covlasso/mine--mine.zarr"))
    ended = paths.attrs["paths_ended_by"]
    # two targets are each other's copies: nothing else enters above 1e-8 of their alpha_max
    assert ended == {"precision": 2, "support": 20}
    sizes = (paths["support_at_support_size"].values[:20, 3] >= 0).sum(axis=1)
    assert (sizes == 4).all()
    assert paths.attrs["uncertified_at_penalty"] == [0]


def test_the_least_float_is_a_mask_and_the_rest_is_solved(tmp_path):
    folder = imported(tmp_path, masked_classes)
    text = accepted(folder, "results/dependencies/evaluation/mine--mine.zarr")
    assert "Traceback" not in text
    assert open_store(str(folder / "results/logits/mine/fit.zarr")).attrs["masked_categories"] == [
        2,
        9,
    ]
    paths = open_store(str(folder / "results/dependencies/covlasso/mine--mine.zarr"))
    assert not np.isin(paths["support"].values, [2, 9]).any()
    others = np.delete(np.arange(12), [2, 9])
    judged = open_store(str(folder / "results/dependencies/evaluation/mine--mine.zarr"))
    error = judged["relative_error_positive"].sel(split="test", estimator="refit", support_size=2)
    assert np.isfinite(error.values[others]).all()
    assert error.values[0] < 1e-5  # the planted dependency
    sizes = (paths["support_at_penalty"].values[others, 0] >= 0).sum(axis=1)
    assert (sizes > 0).all()
