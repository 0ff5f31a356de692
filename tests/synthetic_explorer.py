"""A made-up run for the explorer: every store that it reads, of any number of categories and networks."""

import json
import unicodedata
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from neuraldeps.cards.flags import FLAGS
from neuraldeps.dependencies.scoring import EPSILON
from neuraldeps.estimators import ESTIMATORS
from neuraldeps.explorer import make_explorer
from neuraldeps.stores import provenance, strings, write_store

N = 60  # categories of the run that tests share
# names that a page may get wrong: markup, quotes, from right to left, composed, very long
AWKWARD = [
    '<img src=x onerror="window.hacked=1">',
    "العربية: حرف الألف",
    'He said "5 > 3 & 2 < 4", didn\'t he?',
    "שלום עולם",
    "cafe\N{COMBINING ACUTE ACCENT}, coffee house",
    "</script><script>window.hacked=2</script>",
    "漢字の名前",
    "a very long name, " + "that goes on and on " * 6,
    "\N{LINE SEPARATOR}a line's end\N{PARAGRAPH SEPARATOR}",
    "=SUM(A1:A9)",
]


class Run(NamedTuple):
    """Files of a run."""

    evaluations: list[str]
    cards: list[str]
    stability: list[str]
    controls: list[str]
    images: str


def names_of(n: int) -> tuple[list[str], list[str]]:
    """Names and codes of n categories: awkward ones, then characters, then numbers."""
    names, codes = [], []
    for number in range(min(n, len(AWKWARD))):
        names.append(AWKWARD[number])
        codes.append(f"n{number:08d}")
    point = 0x21
    while len(names) < n:
        name = unicodedata.name(chr(point), None) if point < 0x2FFFF else f"CATEGORY {point}"
        if name:
            names.append(name)
            codes.append(f"U+{point:04X}")
        point += 1
    return names, codes


def coords_of(n: int, dimension: str) -> dict:
    names, codes = names_of(n)
    return {
        dimension: np.arange(n, dtype=np.int32),
        f"{dimension}_name": (dimension, strings(names)),
        f"{dimension}_code": (dimension, strings(codes)),
    }


def supports(rng, n: int, n_sizes: int) -> tuple[np.ndarray, np.ndarray]:
    """Supports and coefficients (estimator, target, size, slot): the last has its own, the others share theirs."""
    support = np.full((len(ESTIMATORS), n, n_sizes, n_sizes), -1, np.int32)
    paths = [
        (
            np.arange(n)[:, None]
            + 1
            + rng.integers(0, max(1, (n - 1) // n_sizes), (n, 1))
            + np.arange(n_sizes) * max(1, (n - 1) // n_sizes)
        )
        % n
        for _ in range(2)
    ]
    for k in range(n_sizes):
        support[:-1, :, k, : k + 1] = paths[0][None, :, : k + 1]
        support[-1, :, k, : k + 1] = np.sort(paths[1][:, : k + 1], axis=1)
    used = support >= 0
    coef = np.where(used, rng.normal(0, 0.4, support.shape), 0.0)
    return support, coef


def evaluation(source: str, target: str, n: int, n_sizes: int, seed: int) -> xr.Dataset:
    """An evaluation whose errors fall with the size."""
    rng = np.random.default_rng(seed)
    by_size = ("split", "estimator", "target_category", "support_size")
    sizes = np.arange(1, n_sizes + 1)
    better = np.linspace(1.0, 0.75, len(ESTIMATORS))[None, :, None, None]
    level = rng.uniform(0.5, 1.0, (2, 1, n, 1)) * better
    error = level * (0.1 + 0.9 * np.exp(-sizes / 6)) + rng.normal(
        0, 0.003, (2, len(ESTIMATORS), n, n_sizes)
    )
    kept = np.clip(1 - error, 0, 1)
    variables = {
        "relative_error_positive": (by_size, error),
        "relative_error": (by_size, error * 1.2),
        "positive_accuracy": (by_size, kept),
        "accuracy": (by_size, 0.95 - 0.05 * error / n),
    }
    shares = kept[..., None] * np.array([0.9, 0.5, 0.2])[: len(EPSILON)]
    variables |= {
        name: ((*by_size, "epsilon"), shares * factor)
        for name, factor in (("delta", 1.0), ("delta_positive", 0.8))
    }
    support, coef = supports(rng, n, n_sizes)
    at = ("target_category", "support_size")
    alpha = np.sort(rng.uniform(0.1, 9, (n, n_sizes)), axis=1)[:, ::-1]
    original = rng.uniform(0.8, 1, (2, n))
    if n > 3:
        for name in ("relative_error_positive", "positive_accuracy", "delta_positive"):
            variables[name][1][:, :, 3] = np.nan  # a category without images
        original[:, 3] = np.nan
    variables |= {
        "support": (("estimator", *at, "slot"), support),
        "coef": (("estimator", *at, "slot"), coef),
        "alpha": (at, alpha),
        "relative_alpha": (at, alpha / 10),
        "target_second_moment": ("target_category", rng.uniform(1, 9, n)),
        "source_second_moment": ("source_category", rng.uniform(1, 9, n)),
        "original_accuracy": ("split", [0.95, 0.93]),
        "original_positive_accuracy": (("split", "target_category"), original),
        "n_samples": ("split", [4000, 4000]),
        "n_positive": (
            ("split", "target_category"),
            np.where(np.arange(n) == 3, 0, 40) * np.ones((2, 1), int),
        ),
    }
    coords = {
        "split": strings(["fit", "test"]),
        "estimator": strings(list(ESTIMATORS)),
        "support_size": sizes,
        "epsilon": np.array(EPSILON),
        **coords_of(n, "target_category"),
        **coords_of(n, "source_category"),
    }
    attrs = provenance("evaluate_dependencies", "Evaluation") | {
        "source": source,
        "target": target,
        "centering": "none",
        "dataset": "glyphs",
        "positives": {"fit": "labelled", "test": "labelled"},
    }
    return xr.Dataset(variables, coords, attrs)


def card(number: int, code: str, name: str, rng, n_samples: int) -> dict:
    """What of a card the explorer reads."""
    flags = [flag for place, flag in enumerate(FLAGS) if (number >> place) & 1]
    worst = rng.choice(n_samples, 5, replace=False)
    return {
        "category": number,
        "code": code,
        "name": name,
        "flags": flags,
        "err0_relative": float(rng.uniform(0, 0.2)),
        "stability": float(rng.uniform(0, 1)),
        "near_equal_supports": int(rng.integers(1, 30)),
        "worst_images": [f"image{one}" for one in worst],
        "worst_residuals": rng.normal(0, 9, 5).tolist(),
    }


def stability_store(n: int, sizes: list[int], rng) -> xr.Dataset:
    axes = ("target_category", "support_size")
    value = rng.uniform(0.2, 1, (n, len(sizes)))
    return xr.Dataset(
        {
            "stability": (axes, value),
            "stability_low": (axes, value - 0.1),
            "stability_high": (axes, value + 0.1),
            "n_near_equal": (axes, rng.integers(1, 30, (n, len(sizes)))),
        },
        {"support_size": sizes, **coords_of(n, "target_category")},
    )


def controls_store(n: int, sizes: list[int], rng) -> xr.Dataset:
    predictors = [(name, size) for name in ("random", "nearest") for size in sizes] + [
        ("dense", n - 1)
    ]
    axes = ("target_category", "predictor")
    error = rng.uniform(0.5, 1.2, (n, len(predictors)))
    return xr.Dataset(
        {
            "relative_error_positive": (axes, error),
            "positive_accuracy": (axes, np.clip(1 - error, 0, 1)),
        },
        {
            "predictor": ("predictor", strings([name for name, _ in predictors])),
            "predictor_size": ("predictor", [size for _, size in predictors]),
            **coords_of(n, "target_category"),
        },
    )


def images_store(path: str, n: int, per_category: int, side: int = 32) -> None:
    """Images of rings and bars, brighter for later categories."""
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(n, dtype=np.int32), per_category)
    y, x = np.mgrid[:side, :side] / side - 0.5
    turn = 2 * np.pi * label / n
    wave = np.cos(25 * (x * np.cos(turn)[:, None, None] + y * np.sin(turn)[:, None, None]))
    image = (127 + 110 * wave + rng.normal(0, 8, wave.shape)).clip(0, 255).astype(np.uint8)
    dataset = xr.Dataset(
        {"image": (("sample", "y", "x"), image)},
        {
            "label": ("sample", label),
            "path": ("sample", strings([f"image{row}" for row in range(len(label))])),
            **coords_of(n, "category"),
        },
        provenance("render_glyphs", "Images"),
    )
    write_store(dataset, path)


def write_run(
    folder: Path, models: list[str], n: int, n_sizes: int = 20, per_category: int = 5
) -> Run:
    """Write a run of all ordered pairs of some networks; the first of a pair has the controls."""
    names, codes = names_of(n)
    run = Run([], [], [], [], str(folder / "images" / "test.zarr"))
    images_store(run.images, n, per_category)
    pairs = [(source, target) for source in models for target in models]
    for number, (source, target) in enumerate(pairs):
        rng = np.random.default_rng([7, number])
        stem = f"{source}--{target}"
        paths = {
            kind: str(folder / kind / f"{stem}.zarr")
            for kind in ("evaluation", "stability", "controls")
        }
        write_store(evaluation(source, target, n, n_sizes, number), paths["evaluation"])
        run.evaluations.append(paths["evaluation"])
        write_store(stability_store(n, [4, min(10, n_sizes)], rng), paths["stability"])
        run.stability.append(paths["stability"])
        if target == models[0]:
            write_store(controls_store(n, [1, 2, 4], rng), paths["controls"])
            run.controls.append(paths["controls"])
        cards = [card(i, codes[i], names[i], rng, n * per_category) for i in range(n)]
        path = folder / "cards" / f"{stem}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(cards, ensure_ascii=False), encoding="utf-8")
        run.cards.append(str(path))
    return run


def explore(run: Run, folder: Path, **options) -> Path:
    """Make the explorer of a made-up run."""
    given = {"images": run.images} | options
    files = {"cards": run.cards, "stability": run.stability, "controls": run.controls}
    splits = {"fit": "fit", "test": "test"}
    make_explorer(str(folder), run.evaluations, **files, splits=splits, **given)
    return folder


@cache
def explored(base: Path) -> tuple[Run, Path]:
    """A run of two networks and its explorer, made once for all tests of a process."""
    run = write_run(base / "explored", ["one", "two"], N)
    return run, explore(run, base / "explored" / "explorer")
