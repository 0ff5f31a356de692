"""Training of a network: Lightning's loop with timm's optimisers, schedules and metrics."""

import csv
import hashlib
import json
import logging
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from neuraldeps.devices import keep_freed_memory
from neuraldeps.errors import InputError
from neuraldeps.images.photos import TrainingPhotos
from neuraldeps.images.poses import PosedGlyphs, bitmap_tensor
from neuraldeps.networks.card import NetworkCard
from neuraldeps.networks.checkpoints import save_checkpoint
from neuraldeps.networks.loop import ExtraLoss, Loop, TrainingData, TrainingOptions, options_of
from neuraldeps.seeds import seed_of
from neuraldeps.stores import aside, fingerprint, move, open_store
from neuraldeps.stores.publish import make_folder

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
logger = logging.getLogger(__name__)
LAST = "last.ckpt"  # what a training leaves in its folder after every epoch


def open_training_data(
    images: str,
    validation: str | None,
    card: NetworkCard,
    options: TrainingOptions,
    *,
    samples_per_category: int,
    valid_samples_per_category: int,
    seed: int,
) -> TrainingData:
    """Open what a network learns from: glyphs in fresh poses, or photos.

    Parameters
    ----------
    images : str
        What `render_bitmaps` or `index_images` wrote.
    validation : str, optional
        Index of photos to validate on; by default those that are trained on.
    card : NetworkCard
        What `check_network` wrote.
    options : TrainingOptions
        Checked options of the configuration.
    samples_per_category, valid_samples_per_category : int
        Images of each category in an epoch (of photos all) and in the validation set.
    seed : int
        Of all that is drawn.

    Returns
    -------
    TrainingData
        Images by epoch.

    Raises
    ------
    InputError
        If photos cannot be trained on as asked for.
    """
    store, categories = open_store(images), card.categories
    if "bitmap" in store:
        bitmaps = store["bitmap"].values
        return PosedGlyphs(
            bitmap_tensor(bitmaps if categories is None else bitmaps[categories]),
            samples_per_category,
            valid_samples_per_category,
            card.input_size[-1],
            seed,
        )
    return TrainingPhotos(
        images,
        validation or images,
        {"model": card.model, **card.data_config},
        options.transform(),
        categories,
        valid_samples_per_category,
        seed_of(seed, "augment"),
    )


def train(
    network: nn.Module,
    data: TrainingData,
    options: TrainingOptions,
    *,
    seed: int,
    work_dir: str | Path,
    extra_loss: ExtraLoss | None = None,
    state: str | Path | None = None,
    stop_after: int | None = None,
    key: str = "train",
) -> list[dict[str, float]]:
    """Train a network in place, from the weights that it has.

    Parameters
    ----------
    network : Module
        A timm network: its data configuration says how pixels are standardised.
    data : TrainingData
        What the network learns from.
    options : TrainingOptions
        Several devices see, update by update, the images that one sees in batches as many times as
        large.
    seed : int
        Seed of the order of the images and of everything random in the network.
    work_dir : path
        Folder of this training alone. After every epoch a checkpoint is left there, and a training
        that finds one goes on from it, to the same bytes as if it had never been interrupted.
    extra_loss : callable, optional
        Of a batch's logits (image, category) and labels (image,); added to the cross-entropy.
    state : path, optional
        What the first epochs of the same training left, by `train_to`; it goes on from there.
    stop_after : int, optional
        Leave after this many epochs of the schedule.
    key : str
        The configuration's key of the options, for error messages.

    Returns
    -------
    list of dict
        One row per epoch: `epoch` (from 1), `train_loss` (in nats), `valid_loss`, `valid_top1`,
        `valid_top5` (in percent), `learning_rate` (at the epoch's end).

    Raises
    ------
    InputError
        If an epoch has not one batch, an image cannot be read, or timm or Lightning refuses an
        option.
    """
    if len(data) < options.batch_size:
        raise InputError(
            f"batch_size is {options.batch_size}; there are {len(data)} images to train on: lower it"
        )
    work_dir = Path(work_dir)
    loop = Loop(network, data, options, seed, extra_loss, key)
    if options.channels_last:
        loop.to(memory_format=torch.channels_last)
    trainer = _trainer(
        options,
        key,
        max_epochs=stop_after or options.epochs,
        # GPUs have algorithms that give other bytes every time; PyTorch warns where it has no other
        deterministic="warn" if torch.cuda.is_available() else None,
        benchmark=False,
        # devices are of one machine: Lightning starts their processes, also inside a job of Slurm
        plugins=[LightningEnvironment(), _WholeCheckpoints()],
        callbacks=[
            TQDMProgressBar(refresh_rate=max(1, len(data) // options.batch_size // 20)),
            ModelCheckpoint(
                work_dir,
                Path(LAST).stem,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            ),
        ],
        logger=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        reload_dataloaders_every_n_epochs=1,
        default_root_dir=work_dir,
    )
    last = work_dir / LAST
    begun = last if last.exists() else state
    if begun:
        logger.info("resuming from %s", begun)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers")
        warnings.filterwarnings("ignore", message=".*exists and is not empty")
        warnings.filterwarnings("ignore", message="The dirpath has changed")
        warnings.filterwarnings("ignore", message=".*`srun` command is available")
        warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec")
        if not torch.cuda.is_available():
            keep_freed_memory()
        network.train()
        trainer.fit(loop, ckpt_path=begun, weights_only=True)
    network.eval()
    return loop.curve


def _trainer(options: TrainingOptions, key: str, **own: Any) -> lightning.Trainer:
    """Lightning's trainer, as the options want it."""
    how = options.trainer
    with options_of(f"{key}.trainer"):
        return lightning.Trainer(
            devices=how.devices,
            precision=how.precision,
            gradient_clip_val=options.optimizer.clip_grad,
            **how.trainer_kwargs.given(),
            **own,
        )


def train_to(
    checkpoint: str,
    curve: str,
    network: nn.Module,
    card: NetworkCard,
    options: Mapping[str, Any],
    *,
    images: str,
    samples_per_category: int,
    valid_samples_per_category: int,
    seed: int,
    made_of: Sequence[Any],
    validation: str | None = None,
    threads: int = 1,
    extra_loss: ExtraLoss | None = None,
    begun: str | None = None,
    state: str | None = None,
    stop_after: int | None = None,
    key: str | None = None,
) -> None:
    """Train a network, and write its weights and its curve.

    While it lasts, its folder lies beside the checkpoint, named by all that it is made of: only a
    training of the same goes on from there.

    Parameters
    ----------
    checkpoint, curve : str
        Paths of the weights (safetensors) and of the curve (CSV).
    network : Module
        With weights of any values.
    card, images, validation, samples_per_category, valid_samples_per_category, seed
        See `open_training_data`.
    options : mapping
        For `TrainingOptions.on_threads`.
    threads : int
        Of the job, for the same.
    made_of : sequence
        What else the training depends on; anything that JSON can write.
    extra_loss, stop_after
        See `train`.
    begun, state : str, optional
        What the first epochs left, to go on from, and what the rest will need.
    key : str, optional
        See `train`; the block of the network that the card describes by default.

    Raises
    ------
    InputError
        See `open_training_data` and `train`.
    """
    training = TrainingOptions.on_threads(options, threads)
    data = open_training_data(
        images,
        validation,
        card,
        training,
        samples_per_category=samples_per_category,
        valid_samples_per_category=valid_samples_per_category,
        seed=seed,
    )
    everything = [*made_of, dict(options), len(data), valid_samples_per_category, seed, stop_after]
    everything += [fingerprint(path) for path in (images, validation) if path]
    digest = hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()
    work_dir = Path(checkpoint).parent / f".training.{digest[:16]}.partial"
    rows = train(
        network,
        data,
        training,
        seed=seed,
        work_dir=work_dir,
        extra_loss=extra_loss,
        state=begun,
        stop_after=stop_after,
        key=key or f"models.{card.model}.train",
    )
    _save_training(network, rows, checkpoint, curve, work_dir, state)


@rank_zero_only
def _save_training(
    network: nn.Module,
    rows: list[dict[str, float]],
    checkpoint: str,
    curve: str,
    work_dir: str | Path,
    state: str | None = None,
) -> None:
    """Write a trained network and its curve, and forget what a resumed training would need.

    Parameters
    ----------
    network : Module
        With weights of any values.
    rows : list of dict
        As `train` returns.
    checkpoint, curve : str
        Paths of the weights (safetensors) and of the curve (CSV).
    work_dir : path
        As given to `train`.
    state : str, optional
        Path that keeps what a training needs to go on, for the rest of its schedule.
    """
    save_checkpoint(network, checkpoint)
    with aside(curve) as path, path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    if state is not None:
        make_folder(Path(state).parent)
        move(Path(work_dir) / LAST, Path(state))
    shutil.rmtree(work_dir, ignore_errors=True)


class _WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are whole or the ones before; Lightning's own pass through /tmp."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        with aside(path) as work:
            torch.save(checkpoint, work)
