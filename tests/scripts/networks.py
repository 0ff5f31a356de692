"""The stages before the logits, run by their scripts' main in a folder."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.options import extraction_config, training_config

SCRIPTS = Path(__file__).parents[2] / "scripts"
SPEC = {"architecture": "test_efficientnet", "model_kwargs": {}}
TRAINING = training_config(
    epochs=2, batch_size=32, optimizer={"lr": 0.1}, schedule={"warmup_epochs": 1}
)
EXTRACTION = extraction_config(batch_size=50)
N_CATEGORIES, N_OOD, SIZE = 12, 5, 32


def script(name: str) -> Callable[..., Any]:
    return runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="script")["main"]


def render(folder: Path, splits: dict[str, int]) -> None:
    script("render_bitmaps")(f"{folder}/bitmaps.zarr", n_categories=N_CATEGORIES, n_ood=N_OOD)
    for split, samples in splits.items():
        script("render_glyphs")(
            f"{folder}/bitmaps.zarr",
            f"{folder}/{split}.zarr",
            split=split,
            samples_per_category=samples,
            img_size=SIZE,
            seed=0,
        )


def check(folder: Path, checkpoint: str | None = None, **changes: Any) -> None:
    script("check_network")(
        checkpoint,
        f"{folder}/card.json",
        model="net",
        spec={**SPEC, **changes},
        n_categories=N_CATEGORIES,
        dataset="glyphs",
        img_size=SIZE,
    )


def train(
    folder: Path, images: Path, seed: int = 0, part: dict[str, Any] | None = None, **changes: Any
) -> None:
    script("train_backbone")(
        f"{images}/bitmaps.zarr",
        f"{folder}/card.json",
        f"{folder}/model.safetensors",
        f"{folder}/curve.csv",
        model="net",
        spec=SPEC,
        options={**TRAINING, **changes},
        samples_per_category=32,
        valid_samples_per_category=4,
        seed=seed,
        **(part or {}),
    )
