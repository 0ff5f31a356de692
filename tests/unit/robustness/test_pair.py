"""Penalties, the pair that is cut off and measures of detection, by hand and by scikit-learn."""

import json

import numpy as np
import pytest
import torch
import xarray as xr
from sklearn.metrics import average_precision_score, roc_auc_score

from neuraldeps.arms import (
    ARMS,
    FINETUNED,
    PENALISED,
    Arm,
    DependencyPenalty,
    describe_penalties,
)
from neuraldeps.errors import InputError
from neuraldeps.robustness.detection import Ranking, ood_areas
from neuraldeps.robustness.pair import choose_pair, shape_distances
from neuraldeps.stores import strings
from tests.unit.robustness.test_robustness import NAMES, N


@pytest.mark.parametrize("form", ["literal", "normalised"])
def test_the_gradient_is_that_of_finite_differences(form):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(16, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    penalty = DependencyPenalty(1, 3, 0.2, form)
    assert torch.autograd.gradcheck(lambda f: penalty(f, None), logits, atol=1e-9, rtol=1e-6)
    gradient = torch.autograd.grad(penalty(logits, None), logits)[0]
    assert gradient[:, [0, 2, 4]].abs().max() == 0


def test_the_forms_are_the_formulas():
    f = np.random.default_rng(0).normal(size=(32, 4)) + 1
    moment = f.T @ f / 32
    values = [
        DependencyPenalty(0, 2, 0.2, form)(torch.from_numpy(f), None).item()
        for form in ("literal", "normalised")
    ]
    oracle = [0.2 * abs(moment[0, 2])]
    oracle += [0.2 * abs(moment[0, 2]) / np.sqrt(moment[0, 0] * moment[2, 2])]
    assert values == pytest.approx(oracle, rel=1e-12)


def test_dead_logits_and_half_precision_give_a_finite_gradient():
    dead = torch.zeros(8, 3, requires_grad=True)
    DependencyPenalty(0, 1, 0.2, "normalised")(dead, None).backward()
    assert torch.equal(dead.grad, torch.zeros(8, 3))
    large = torch.full((8, 3), 300.0, dtype=torch.float16)  # its square exceeds float16
    assert DependencyPenalty(0, 1, 1.0, "literal")(large, None).item() == 90_000


# --- the pair


def paths_store(edges, max_support=3, dead=()):
    """A store of paths with coefficients {(target, source): coefficient} at every size."""
    support = np.full((N, max_support, max_support), -1, np.int32)
    coef = np.zeros((N, max_support, max_support))
    for target in range(N):
        for slot, (source, value) in enumerate(
            (s, v) for (t, s), v in edges.items() if t == target
        ):
            support[target, :, slot], coef[target, :, slot] = source, value
    axes = ("target_category", "support_size", "slot")
    return xr.Dataset(
        {
            "support_at_support_size": (axes, support),
            "coef_at_support_size": (axes, coef),
            "alpha_max": ("target_category", np.where(np.isin(np.arange(N), dead), 0.0, 1.0)),
        },
        {
            "target_category": np.arange(N),
            "target_category_name": ("target_category", strings(NAMES)),
            "target_category_code": ("target_category", strings([f"n{k}" for k in range(N)])),
            "support_size": np.arange(1, max_support + 1),
        },
    )


def blocks(*columns):
    """Bitmaps whose ink lies in one column each."""
    images = np.zeros((N, 2, 8, 8), np.uint8)
    for category, column in enumerate(columns):
        images[category, :, :, 2 * column : 2 * column + 2] = 255
    return images


EDGES = {(0, 1): 0.9, (2, 5): -0.7, (3, 0): 0.6, (4, 3): 0.8}


def test_the_pair_is_the_largest_coefficient_without_a_word_in_common():
    pair = choose_pair(paths_store(EDGES), support_size=2)
    assert (pair.target, pair.source, pair.coef) == (2, 5, -0.7)
    assert (pair.target_name, pair.source_code) == ("BLUE FISH", "n5")
    assert (pair.shared_words, pair.shape_distance, pair.chosen) == (0, None, "auto")


def test_shapes_that_are_alike_are_passed_over():
    images = blocks(0, 1, 2, 3, 1, 2)  # 2 and 5 look the same
    pair = choose_pair(paths_store(EDGES), images, support_size=2, shape_quantile=0.5)
    assert (pair.target, pair.source, pair.shape_distance) == (3, 0, 1.0)


def test_where_all_names_share_words_the_fewest_decide():
    pair = choose_pair(paths_store({(0, 1): 0.2, (4, 3): 0.1}), support_size=1)
    assert (pair.target, pair.source, pair.shared_words) == (0, 1, 1)


def test_a_configured_pair_is_taken_as_it_is():
    pair = choose_pair(paths_store(EDGES), wanted=["n0", "blue bird"], support_size=2)
    assert (pair.target, pair.source, pair.coef, pair.chosen) == (0, 4, 0.0, "config")


@pytest.mark.parametrize(
    ("edges", "options", "message"),
    [
        ({}, {}, "no dependency joins"),
        (EDGES, {"support_size": 9}, "at most covlasso.max_support, 3"),
        (EDGES, {"wanted": ["n0", "RED CAT"]}, "given twice"),
        (EDGES, {"wanted": ["n0", "TREE"]}, "no category named 'TREE'"),
    ],
)
def test_a_pair_that_cannot_be_is_refused_in_one_line(edges, options, message):
    with pytest.raises(InputError, match=message) as error:
        choose_pair(paths_store(edges), **{"support_size": 2, **options})
    assert "\n" not in str(error.value)


def test_a_configured_pair_of_a_dead_category_is_refused_before_anything_is_tuned():
    line = r"pair.net: 'n4' depends on no category at any penalty .* name another i"
    with pytest.raises(InputError, match=line):
        choose_pair(
            paths_store(EDGES, dead=[4]), wanted=["n4", "n0"], support_size=2, key="pair.net"
        )


def test_shape_distances_are_the_formula():
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 8, 8), dtype=np.uint8)
    halves = images.reshape(4, 3, 4, 2, 4, 2).mean((3, 5))
    a, b = halves[1], halves[2]
    oracle = np.mean([((a[k] - b[k]) ** 2).sum() / (a[k] ** 2 + b[k] ** 2).sum() for k in range(3)])
    distance = shape_distances(images)
    assert distance[1, 2] == pytest.approx(oracle, rel=1e-12)
    assert np.abs(np.diagonal(distance)).max() < 1e-12


def test_a_further_penalty_is_one_entry(monkeypatch):
    def squared(f_i, f_j):
        return (f_i * f_j).mean().square()

    monkeypatch.setitem(ARMS, "squared", Arm(squared, "CE + {weight:g} (E f_i f_j)^2"))
    logits = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert DependencyPenalty(0, 1, 0.5, "squared")(logits, None) == 0.5 * 7**2


def test_the_control_has_no_penalty():
    assert ["control", *PENALISED] == FINETUNED
    with pytest.raises(ValueError, match="control has no penalty; take one of literal, normalised"):
        DependencyPenalty(0, 1, 0.2, "control")(torch.ones(2, 2), None)


def test_the_notes_write_the_loss_of_every_penalty():
    assert describe_penalties(0.2) == (
        "literal: loss CE + 0.2 |E f_i f_j| as the paper writes it; normalised: "
        "CE + 0.2 |E f_i f_j| / sqrt(E f_i^2 E f_j^2); expectations over the batch."
    )


# --- areas


def test_a_case_by_hand():
    """Ranked out, in, out, in: precisions 1 and 2/3 at the hits; three of four pairs in order."""
    areas = ood_areas(np.array([-0.5, -0.9]), np.array([-0.2, -0.6]))
    assert areas["aupr"] == pytest.approx((1 + 2 / 3) / 2)
    assert areas["auroc"] == pytest.approx(3 / 4)


@pytest.mark.parametrize("decimals", [12, 1])
def test_weighted_areas_are_scikit_learns(decimals):
    rng = np.random.default_rng(decimals)
    inside, outside = rng.normal(size=60).round(decimals), rng.normal(0.5, size=30).round(decimals)
    weight = rng.integers(0, 4, 90).astype(float)
    truth, score = np.repeat([0, 1], [60, 30]), np.r_[inside, outside]
    oracle = {
        "aupr": average_precision_score(truth, score, sample_weight=weight),
        "auroc": roc_auc_score(truth, score, sample_weight=weight),
    }
    ranking = Ranking.of(inside, outside)
    assert ranking.areas(weight) == pytest.approx(oracle, abs=1e-12)
    assert ranking.areas(np.ones(90)) == pytest.approx(ood_areas(inside, outside), abs=1e-12)


def test_the_pair_survives_json():
    pair = choose_pair(paths_store(EDGES), support_size=2)
    assert json.loads(json.dumps(pair.as_dict())) == pair.as_dict()
