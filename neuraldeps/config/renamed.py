"""Keys and values of earlier versions, and what they are called now."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from neuraldeps.config.blocks import Path, dotted


def _below(old: str, new: str, names: str) -> Iterator[tuple[str, str]]:
    """Keys that moved into a block; where their name changed, too, it stands behind a colon."""
    for name in names.split():
        before, _, after = name.partition(":")
        yield f"{old}.{before}", f"{new}.{after or before}"


SPLIT, MODEL = "dataset.splits.<name>", "models.<name>"
TRAIN, FINETUNE = f"{MODEL}.train", "robustness.finetune"
AUGMENTATION = f"{TRAIN}.augmentation"

# old key: new key, both in full; <name> stands for any name, and stays what it is
RENAMED: dict[str, str] = {
    "dataset.name": "dataset.kind",
    "splits": "roles",
    "robustness.ood_split": "roles.ood",
    "moments.gauge": "centering",
    "moments": "centering",
    "dask.scheduler": "resources.dask_scheduler",
    "dask": "resources.dask_scheduler",
    "covlasso.categories_per_job": "resources.targets_per_job",
    "extraction.channels_last": f"{MODEL}.channels_last",
    "generalizability.split": "generalizability.fit_split",
    "generalizability.held_out": "generalizability.held_out_every",
    f"{TRAIN}.channels_last": f"{MODEL}.channels_last",
    f"{TRAIN}.clip_mode": f"{TRAIN}.trainer.trainer_kwargs.gradient_clip_algorithm",
}
RENAMED.update(
    pair
    for old, new, names in [
        (SPLIT, SPLIT, "dataset:origin split:origin_split"),
        (
            SPLIT,
            f"{SPLIT}.origin_kwargs",
            "input_key target_key num_samples dataset_download:download",
        ),
        (MODEL, f"{MODEL}.data_kwargs", "crop_pct crop_mode interpolation mean std"),
        (TRAIN, f"{TRAIN}.optimizer", "opt lr weight_decay momentum opt_kwargs clip_grad"),
        (TRAIN, f"{TRAIN}.schedule", "sched warmup_epochs sched_kwargs"),
        (TRAIN, f"{TRAIN}.schedule.sched_kwargs", "warmup_lr min_lr"),
        (TRAIN, AUGMENTATION, "aa color_jitter reprob mixup cutmix"),
        (
            TRAIN,
            f"{AUGMENTATION}.transform_kwargs",
            "scale ratio hflip vflip train_interpolation:interpolation",
        ),
        (TRAIN, f"{AUGMENTATION}.erase_kwargs", "remode:mode recount:max_count"),
        (
            TRAIN,
            f"{AUGMENTATION}.mixup_kwargs",
            "cutmix_minmax mixup_prob:prob mixup_switch_prob:switch_prob mixup_mode:mode",
        ),
        (TRAIN, f"{TRAIN}.trainer", "precision devices workers"),
        (TRAIN, f"{TRAIN}.trainer.trainer_kwargs", "accelerator strategy"),
        ("extraction", "extraction", "amp:precision amp_dtype:precision"),
        ("extraction", "resources", "workers gpu rows_per_shard parts:jobs_per_split"),
        ("robustness", "robustness", "pair:category_pair weight:penalty_weight"),
        ("robustness", "robustness.choose_pair", "support_size shape_quantile"),
        (FINETUNE, f"{FINETUNE}.optimizer", "opt lr weight_decay momentum"),
        (FINETUNE, f"{FINETUNE}.schedule", "sched"),
    ]
    for pair in _below(old, new, names)
)

# key, old or new: its old values and what they are called now
VALUES: dict[str, dict[Any, str]] = {
    "dataset.kind": {"images": "photos"},
    "centering": {"raw": "none", "zero_mean": "per_image"},
    "extraction.amp": {True: "bfloat16 or float16", False: "float32"},
}


def find_new_name(path: Path, renamed: Mapping[str, str]) -> str | None:
    """The present name of a key, if it had another.

    Parameters
    ----------
    path : tuple of str and int
        A key that is none.
    renamed : mapping of str to str
        New names by old ones.

    Returns
    -------
    str or None
        The present name, None where the key never was one.

    Examples
    --------
    >>> find_new_name(("models", "mine", "train", "lr"), RENAMED)
    'models.mine.train.optimizer.lr'
    """
    for old, new in renamed.items():
        pattern = re.escape(old).replace("<name>", r"([^.]+)")
        if found := re.fullmatch(pattern, dotted(path)):
            for name in found.groups():
                new = new.replace("<name>", name, 1)
            return new
    return None


def find_new_value(value: Any, *keys: str) -> str | None:
    """The present name of a value, if a key, by its old or its new name, had it under another.

    Parameters
    ----------
    value : Any
        A value that its key does not take.
    *keys : str
        Names of the key, old and new.

    Returns
    -------
    str or None
        What is written now, None where the value never was one.

    Examples
    --------
    >>> find_new_value("raw", "moments.gauge", "centering")
    'none'
    """
    if not isinstance(value, str | bool):
        return None
    return next((VALUES[key][value] for key in keys if value in VALUES.get(key, ())), None)
