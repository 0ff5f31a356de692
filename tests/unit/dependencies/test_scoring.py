"""One-pass evaluation against a plain NumPy evaluation that replaces one logit at a time."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.metrics import top_k_accuracy_score

from neuraldeps.dependencies.candidates import Candidates
from neuraldeps.dependencies.scoring import _chunk, _read, evaluate
from neuraldeps.logits.store import LogitsFile
from neuraldeps.refit import refit
from tests.unit.test_moments import values_of, write_logits

N, ROWS = 12, 5000


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Logits with many ties (integers), two predictors per target, some images without label."""
    folder = tmp_path_factory.mktemp("evaluation")
    rng = np.random.default_rng(0)
    g = rng.integers(-3, 4, (ROWS, N)).astype(float)
    f = rng.integers(-3, 4, (ROWS, N)).astype(float) + g
    label = np.where(rng.random(ROWS) < 0.7, g.argmax(1), rng.integers(0, N, ROWS))
    label[::10] = -1
    support = np.stack([rng.permutation(N)[:3] for _ in range(2 * N)]).reshape(N, 2, 3)
    support[0, 1, 1:] = -1
    support[1, 0] = -1
    coef = rng.choice([-1.0, 0.5, 1.0], support.shape) * (support >= 0)
    paths = [
        write_logits(folder / f"{name}.zarr", values, rows=2048)
        for name, values in (("f", f), ("g", g))
    ]
    return paths, label, support.astype(np.int32), coef


def by_hand(f, g, label, i, w):
    """Errors and accuracies for one target and one predictor, with the logit really replaced."""
    prediction = f @ w
    replaced = g.copy()
    replaced[:, i] = prediction
    right = replaced.argmax(1) == label
    positive = label == i
    error = np.abs(g[:, i] - prediction)
    return error.sum(), error[positive].sum(), right.sum(), right[positive].sum()


def assert_as_by_hand(result, f, g, label, support, coef):
    """Every sum of every target and predictor, exactly."""
    for i, m in np.ndindex(support.shape[:2]):
        w = np.zeros(f.shape[1])
        taken = support[i, m] >= 0
        w[support[i, m][taken]] = coef[i, m][taken]
        error, error_positive, right, right_positive = by_hand(f, g, label, i, w)
        assert result.sums.error[i, m] == error
        assert result.sums.error_positive[i, m] == error_positive
        assert result.sums.correct[i, m] == right
        assert result.sums.correct_positive[i, m] == right_positive


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("within", [True, False])
def test_equals_replacing_one_logit_at_a_time(case, within, threads):
    (f_path, g_path), label, support, coef = case
    source = LogitsFile(g_path if within else f_path)
    f, g = values_of(source.path), values_of(g_path)
    candidates = Candidates.from_padded(np.arange(N), support, coef)
    result = evaluate(source, LogitsFile(g_path), candidates, label, n_threads=threads)
    # a sum of 5000 errors that are multiples of 1/2 is exact in float64
    assert_as_by_hand(result, f, g, label, support, coef)
    assert result.original_correct == (g.argmax(1) == label).sum()
    assert result.n_labelled == (label >= 0).sum()
    np.testing.assert_array_equal(result.sums.n_positive, np.bincount(label[label >= 0]))
    np.testing.assert_array_equal(result.sums.size, np.abs(g).sum(0))


@pytest.mark.parametrize("centering", ["none", "per_image"])
def test_a_logit_replaced_by_its_equal_changes_nothing(tmp_path, centering):
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], 1000)
    g = rng.standard_normal((2000, N)).astype(np.float32)
    g[:, 0] += 3
    g[:, 1] = g[:, 0]
    path = write_logits(tmp_path / "g.zarr", g, rows=512)
    pair = np.array([[[1]], [[0]]], np.int32)
    candidates = Candidates.from_padded(np.arange(2), pair, np.ones(pair.shape))
    file = LogitsFile(path, centering)
    result = evaluate(file, file, candidates, label)
    # of equal logits the first wins: category 1 never does
    right = (g.argmax(1) == 0) & (label == 0)
    assert right.sum() > 900
    assert result.original_correct == right.sum()
    assert result.sums.correct.tolist() == [[right.sum()]] * 2
    assert result.sums.correct_positive.tolist() == [[right.sum()], [0]]
    assert (result.sums.error == 0).all()


@pytest.mark.parametrize("within", [True, False])
def test_centred_logits_are_judged_as_they_were_fitted(case, within):
    (f_path, g_path), label, support, coef = case
    source, target = (
        LogitsFile(path, "per_image") for path in (g_path if within else f_path, g_path)
    )
    f, g = (values - values.mean(1, keepdims=True) for values in map(values_of, (f_path, g_path)))
    f = g if within else f
    single = np.where(np.arange(3) == 0, support, -1).astype(np.int32)  # w.f has no order to sum in
    candidates = Candidates.from_padded(np.arange(N), single, coef)
    result = evaluate(source, target, candidates, label)
    for i in range(N):
        for m in range(2):
            w = np.zeros(N)
            if single[i, m, 0] >= 0:
                w[single[i, m, 0]] = coef[i, m, 0]
            error, error_positive, right, right_positive = by_hand(f, g, label, i, w)
            # sums of 5000 errors in float64, in another order
            np.testing.assert_allclose(result.sums.error[i, m], error, rtol=1e-12)
            np.testing.assert_allclose(result.sums.error_positive[i, m], error_positive, rtol=1e-12)
            assert result.sums.correct[i, m] == right
            assert result.sums.correct_positive[i, m] == right_positive


def test_columns_of_one_network_are_held_once(case):
    (f_path, g_path), label, _, _ = case
    within, between = LogitsFile(g_path), LogitsFile(f_path)
    for source in (within, between):
        for f, g, labels in _read(source, within, label):
            chunk = _chunk(f, g, labels)
            assert (chunk.source is chunk.target) == (source == within)


def test_original_accuracy_is_scikit_learns(case):
    (_, g_path), label, support, coef = case
    labelled = np.where(label < 0, 0, label)
    candidates = Candidates.from_padded(np.arange(N), support, coef)
    result = evaluate(LogitsFile(g_path), LogitsFile(g_path), candidates, labelled)
    g = values_of(g_path)
    untied = g - 1e-6 * np.arange(N)  # the first of equal logits wins
    assert result.original_correct / ROWS == top_k_accuracy_score(labelled, untied, k=1)


def test_without_labels_the_networks_own_winner_stands_in(case):
    (_, g_path), _, support, coef = case
    candidates = Candidates.from_padded(np.arange(N), support, coef)
    own = evaluate(LogitsFile(g_path), LogitsFile(g_path), candidates, values_of(g_path).argmax(1))
    none = evaluate(LogitsFile(g_path), LogitsFile(g_path), candidates, np.full(ROWS, -1))
    assert none.pseudo_positives
    assert not own.pseudo_positives
    for a, b in zip(own.sums, none.sums, strict=True):
        np.testing.assert_array_equal(a, b)


def test_with_too_few_labels_the_networks_own_winner_stands_in(case):
    (_, g_path), _, support, coef = case
    candidates = Candidates.from_padded(np.arange(N), support, coef)
    winners = values_of(g_path).argmax(1)
    few = np.full(ROWS, -1)
    few[np.flatnonzero(winners == np.bincount(winners).argmax())[:3]] = 1
    given = (LogitsFile(g_path), LogitsFile(g_path), candidates)
    assert not evaluate(*given, few, min_positives=3).pseudo_positives
    pseudo = evaluate(*given, few, min_positives=4)
    assert pseudo.pseudo_positives
    for a, b in zip(pseudo.sums, evaluate(*given, np.full(ROWS, -1)).sums, strict=True):
        np.testing.assert_array_equal(a, b)
    # without an image to gain, labels stay
    assert not evaluate(*given, np.arange(ROWS) % N, min_positives=ROWS).pseudo_positives


def test_candidates_side_by_side(case):
    _, _, support, coef = case
    whole = Candidates.from_padded(np.arange(N), support, coef)
    halves = [Candidates.from_padded(np.arange(N), support[:, [m]], coef[:, [m]]) for m in range(2)]
    for a, b in zip(whole, Candidates.concatenate(halves), strict=True):
        np.testing.assert_array_equal(a, b)


def test_refit_is_least_squares_without_intercept(case):
    (f_path, g_path), _, support, _ = case
    f, g = values_of(f_path), values_of(g_path)
    coef = refit(f.T @ f / ROWS, f.T @ g / ROWS, np.arange(N), support)
    for i in range(N):
        for m in range(2):
            taken = support[i, m] >= 0
            if taken.any():
                oracle = LinearRegression(fit_intercept=False)
                oracle.fit(f[:, support[i, m][taken]], g[:, i])
                # normal equations of condition below 1e3 in float64
                np.testing.assert_allclose(coef[i, m][taken], oracle.coef_, rtol=1e-9, atol=1e-11)
            assert (coef[i, m][~taken] == 0).all()


def test_refit_is_least_squares_whatever_the_categories_sizes():
    f = np.array([[1e4, 1e4, 1e-3], [-1e4, -1e4, 1e-3], [1e4, 1e4, -1e-3], [-1e4, -1e4, -1e-3]])
    y = 1e-4 * f[:, 0] + 1e3 * f[:, 2]
    support = np.array([[[0, 1, 2]]], np.int32)
    coef = refit(f.T @ f / 4, (f.T @ y / 4)[:, None], np.zeros(1, int), support)[0, 0]
    np.testing.assert_allclose(coef, [5e-5, 5e-5, 1e3], rtol=1e-10)
    np.testing.assert_allclose(f @ coef, y, atol=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_refit_on_singular_supports_misses_as_little_as_least_squares(seed):
    rng = np.random.default_rng(seed)
    f = rng.standard_normal((60, 6)) * 10.0 ** rng.uniform(-5, 5, 6)
    f[:, 3] = 2 * f[:, 0]
    f[:, 4] = 1e-3 * f[:, 1]
    y = (f / np.abs(f).max(axis=0)) @ rng.standard_normal(6) + 0.1 * rng.standard_normal(60)
    coef = refit(
        f.T @ f / 60,
        (f.T @ y / 60)[:, None],
        np.zeros(1, int),
        np.arange(6, dtype=np.int32)[None, None],
    )[0, 0]
    basis = np.linalg.qr(f[:, [0, 1, 2, 5]])[0]
    best = y - basis @ (basis.T @ y)
    np.testing.assert_allclose(y - f @ coef, best, atol=1e-9)


def test_refit_of_equal_and_absent_categories_has_the_least_norm():
    rng = np.random.default_rng(0)
    f = rng.standard_normal((200, 6))
    f[:, 1], f[:, 4] = f[:, 0], 0.0
    g = f @ rng.standard_normal((6, 5))
    support = np.array([[[0, 1, 2]], [[2, 3, 5]], [[2, 4, 3]], [[3, 0, 2]], [[1, 3, 0]]], np.int32)
    coef = refit(f.T @ f / 200, f.T @ g / 200, np.arange(5), support)
    for i in range(5):
        oracle = np.linalg.lstsq(f[:, support[i, 0]], g[:, i], rcond=1e-6)[0]
        # normal equations of condition below 10 but for what is singular
        np.testing.assert_allclose(coef[i, 0], oracle, rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    n_samples=st.integers(1, 60),
    n=st.integers(2, 7),
    levels=st.integers(1, 4),
    is_within=st.booleans(),
    labelled=st.floats(0, 1),
    shard=st.sampled_from([4, 16, 64]),
    threads=st.integers(1, 3),
    seed=st.integers(0, 2**31),
)
def test_any_labels_ties_and_shards_give_what_replacing_gives(
    n_samples, n, levels, is_within, labelled, shard, threads, seed
):
    """Few levels of the logits make ties of everything; categories without images come of themselves."""
    rng = np.random.default_rng(seed)
    f, g = (rng.integers(-levels, levels + 1, (n_samples, n)).astype(float) for _ in "fg")
    f = g if is_within else f
    label = np.where(rng.random(n_samples) < labelled, rng.integers(0, n, n_samples), -1)
    support = np.stack([rng.permutation(n)[:2] for _ in range(2 * n)]).reshape(n, 2, 2)
    support[rng.random(support.shape) < 0.3] = -1
    support = -np.sort(-support, axis=2)  # padding comes last
    coef = rng.choice([-1.0, 0.5, 2.0], support.shape) * (support >= 0)
    with tempfile.TemporaryDirectory() as folder:
        paths = [
            write_logits(Path(folder) / f"{name}.zarr", values, rows=shard)
            for name, values in (("f", f), ("g", g))
        ]
        source = LogitsFile(paths[1] if is_within else paths[0])
        candidates = Candidates.from_padded(np.arange(n), support.astype(np.int32), coef)
        result = evaluate(
            *(source, LogitsFile(paths[1]), candidates, label), min_positives=0, n_threads=threads
        )
    assert not result.pseudo_positives
    assert_as_by_hand(result, f, g, label, support, coef)
    for i in range(n):
        assert result.sums.n_positive[i] == (label == i).sum()
    assert result.original_correct == (g.argmax(1) == label).sum()
