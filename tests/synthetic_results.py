"""Small results with known numbers, in the layout of the real stores."""

import unicodedata

import numpy as np
import xarray as xr

from neuraldeps.stores import provenance, strings

CHARACTERS = "|¦!¬↓L=&%_#~$\\{}AÀÁBbdpqΣ∑ЖШ"
NAMES = [unicodedata.name(character) for character in CHARACTERS]
CODES = [f"U+{ord(character):04X}" for character in CHARACTERS]
N, K = len(CHARACTERS), 5
METRICS = (
    "absolute_error_positive",
    "relative_error_positive",
    "absolute_error",
    "relative_error",
    "accuracy",
    "positive_accuracy",
)


def category_coords(dimension: str) -> dict:
    return {
        dimension: np.arange(N, dtype=np.int32),
        f"{dimension}_name": (dimension, strings(NAMES)),
        f"{dimension}_code": (dimension, strings(CODES)),
    }


def evaluation_store(source: str = "a", target: str = "a", dataset: str = "glyphs", seed: int = 0):
    """An evaluation whose numbers are random but in range; the support of "at most k" has k entries.

    The Lasso's solution and its refit stand on the same support, the best subset on its own.
    """
    rng = np.random.default_rng(seed)
    splits, estimators = ["fit", "test"], ["lasso", "refit", "subset"]
    by_size = ("split", "estimator", "target_category", "support_size")
    by_penalty = ("split", "estimator_at_penalty", "target_category", "penalty")
    variables = {}
    for metric in METRICS:
        variables[metric] = (by_size, rng.uniform(0.2, 0.9, (2, 3, N, K)))
        variables[f"{metric}_at_penalty"] = (by_penalty, rng.uniform(0.2, 0.9, (2, 2, N, 2)))
    support = np.full((3, N, K, K), -1, np.int32)
    coef = np.zeros((3, N, K, K))
    for i in range(N):
        others = np.array([j for j in range(N) if j != i])
        path, best = rng.permutation(others), rng.permutation(others)
        for k in range(K):
            support[:2, i, k, : k + 1] = path[: k + 1]
            support[2, i, k, : k + 1] = np.sort(best[: k + 1])
            coef[:, i, k, : k + 1] = rng.normal(0, 0.3, (3, k + 1))
    coords = {
        "split": strings(splits),
        "estimator": strings(estimators),
        "estimator_at_penalty": strings(estimators[:2]),
        "support_size": np.arange(1, K + 1),
        "penalty_kind": ("penalty", strings(["alpha", "relative_alpha"])),
        "penalty_value": ("penalty", [0.15, 0.02]),
        **category_coords("target_category"),
        **category_coords("source_category"),
    }
    alpha = np.sort(rng.uniform(0.1, 9, (N, K)), axis=1)[:, ::-1]
    at = ("target_category", "support_size")
    variables |= {
        "original_accuracy": ("split", [0.95, 0.93]),
        "original_positive_accuracy": (("split", "target_category"), rng.uniform(0.9, 1, (2, N))),
        "n_samples": ("split", [1000, 1000]),
        "n_positive": (("split", "target_category"), np.full((2, N), 40)),
        "support": (("estimator", *at, "slot"), support),
        "coef": (("estimator", *at, "slot"), coef),
        "alpha": (at, alpha),
        "relative_alpha": (at, alpha / 10),
        "support_size_at_penalty": (
            ("target_category", "penalty"),
            rng.integers(3, 40, (N, 2), dtype=np.int32),
        ),
        "alpha_at_penalty": (("target_category", "penalty"), rng.uniform(0.1, 1, (N, 2))),
    }
    variables |= {
        f"{side}_second_moment": (f"{side}_category", rng.uniform(1, 4, N))
        for side in ("target", "source")
    }
    attrs = provenance("evaluate_dependencies", "Evaluation") | {
        "source": source,
        "target": target,
        "centering": "none",
        "dataset": dataset,
    }
    return xr.Dataset(variables, coords, attrs)
