"""Training of a network: Lightning's loop with timm's optimisers, schedules and metrics."""

import contextlib
import csv
import hashlib
import json
import logging
import random
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.plugins import TorchCheckpointIO
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from timm.data import Mixup, resolve_model_data_config
from timm.data.random_erasing import RandomErasing
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import accuracy
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from neuraldeps.checkpoints import save_checkpoint
from neuraldeps.config.training import Augmentation, Train
from neuraldeps.decoding import TrainingPhotos
from neuraldeps.errors import InputError, first_line
from neuraldeps.networks import Standardise
from neuraldeps.poses import PosedGlyphs, bitmap_tensor, seed_of
from neuraldeps.stores import aside, fingerprint, open_store

logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
logger = logging.getLogger(__name__)

LAST = "last.ckpt"  # what a training leaves in its folder after every epoch

ExtraLoss = Callable[[Tensor, Tensor], Tensor]


class TrainingData(Protocol):
    """What a network learns from: map-style data sets of (8-bit pixels (channel, y, x), label)."""

    def __len__(self) -> int:
        """Images in an epoch."""

    def epoch(self, epoch: int) -> Dataset:
        """Images of one epoch."""

    def validation(self) -> Dataset:
        """Images to watch the training with."""


class TrainingOptions(Train):
    """How to train: the configuration's block, and how the network keeps its images in memory.

    Its optimiser and schedule are for timm's `create_optimizer_v2` and `create_scheduler_v2`, the
    latter stepped after every update; its augmentation for `create_transform`, `RandomErasing` and
    `Mixup`; its trainer for Lightning's `Trainer`. A batch is that of one device.
    """

    channels_last: bool

    @classmethod
    def on_threads(cls, options: Mapping[str, Any], threads: int) -> "TrainingOptions":
        """Options of a job with so many threads: of a device's share, all but one load images."""
        devices = options["trainer"]["devices"]
        share = threads // (devices if isinstance(devices, int) else 1)
        trainer = {**options["trainer"], "workers": max(0, share - 1)}
        return cls.model_validate({**options, "trainer": trainer})

    def transform(self) -> dict[str, Any]:
        """How one photo is augmented, for `timm.data.create_transform`."""
        how = self.augmentation
        own = {"color_jitter": how.color_jitter, "auto_augment": how.aa}
        return own | {"interpolation": "random"} | how.transform_kwargs.given()


@contextlib.contextmanager
def _options_of(key: str) -> Iterator[None]:
    """Name the configuration's key where another package refuses the options that it holds."""
    try:
        yield
    except InputError:
        raise
    except (
        *(AssertionError, AttributeError, ImportError, IndexError, KeyError, TypeError),
        *(ValueError, MisconfigurationException),
    ) as error:
        raise InputError(
            f"{key}: {first_line(error)}; correct its options, or remove them"
        ) from error


def open_training_data(
    images: str,
    validation: str | None,
    card: Mapping[str, Any],
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
    card : mapping
        Description of the network: timm's data configuration, and `categories`, if it learns some
        of them only.
    options : TrainingOptions
    samples_per_category, valid_samples_per_category : int
        Images of each category in an epoch (of photos all) and in the validation set.
    seed : int

    Raises
    ------
    InputError
        If photos cannot be trained on as asked for.
    """
    store, categories = open_store(images), card.get("categories")
    if "bitmap" in store:
        bitmaps = store["bitmap"].values
        return PosedGlyphs(
            bitmap_tensor(bitmaps if categories is None else bitmaps[categories]),
            samples_per_category,
            valid_samples_per_category,
            card["input_size"][-1],
            seed,
        )
    return TrainingPhotos(
        images,
        validation or images,
        card,
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
    loop = _Loop(network, data, options, seed, extra_loss, key)
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
        logger.info("go on from %s", begun)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers")
        warnings.filterwarnings("ignore", message=".*exists and is not empty")
        warnings.filterwarnings("ignore", message="The dirpath has changed")
        warnings.filterwarnings("ignore", message=".*`srun` command is available")
        warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec")
        network.train()
        trainer.fit(loop, ckpt_path=begun, weights_only=True)
    network.eval()
    return loop.curve


def _trainer(options: TrainingOptions, key: str, **own: Any) -> lightning.Trainer:
    """Lightning's trainer, as the options want it."""
    how = options.trainer
    with _options_of(f"{key}.trainer"):
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
    card: Mapping[str, Any],
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
    card, images, validation, samples_per_category, valid_samples_per_category, seed
        See `open_training_data`.
    options : mapping
        For `TrainingOptions.on_threads`, with `threads`.
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
        key=key or f"models.{card.get('model')}.train",
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
        (Path(work_dir) / LAST).replace(state)
    shutil.rmtree(work_dir, ignore_errors=True)


class _WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints that are whole or the ones before; Lightning's own pass through /tmp."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        with aside(path) as work:
            torch.save(checkpoint, work)


class _Loop(lightning.LightningModule):
    """One step of training and one of validation, for Lightning."""

    def __init__(
        self,
        network: nn.Module,
        data: TrainingData,
        options: TrainingOptions,
        seed: int,
        extra_loss: ExtraLoss | None,
        key: str,
    ) -> None:
        super().__init__()
        self.network = network
        self.standardise = Standardise(resolve_model_data_config(network))
        self.data, self.options, self.seed, self.extra_loss = data, options, seed, extra_loss
        self.key = key
        self.loss = nn.CrossEntropyLoss(label_smoothing=options.smoothing)
        self.curve: list[dict[str, float]] = []
        with _options_of(f"{key}.augmentation.mixup_kwargs"):
            self.mixup = _mixup(options.augmentation, network)

    def forward(self, inputs: Tensor) -> Tensor:
        if self.options.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return self.network(inputs)

    def on_before_batch_transfer(self, batch: Any, _: int) -> Any:
        if isinstance(batch, str):
            raise InputError(batch)
        return batch

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        pixels, labels = batch
        inputs, targets = self.standardise(pixels), labels
        if self.mixup is not None:
            inputs, targets = self.mixup(inputs, targets)
        if self.erasing is not None:
            inputs = self.erasing(inputs)
        logits = self(inputs)
        loss = self.loss(logits, targets)
        if self.extra_loss is not None:
            loss = loss + self.extra_loss(logits, labels)
        self.log("train_loss", loss, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        pixels, labels = batch
        logits = self(self.standardise(pixels))
        top1, top5 = accuracy(logits, labels, topk=(1, 5))
        values = {"valid_loss": nn.functional.cross_entropy(logits, labels)}
        values |= {"valid_top1": top1, "valid_top5": top5}
        self.log_dict(values, prog_bar=True, batch_size=len(labels), sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        options, how, schedule = self.options, self.options.optimizer, self.options.schedule
        with _options_of(f"{self.key}.optimizer"):
            optimizer = create_optimizer_v2(
                self.network,
                opt=how.opt,
                lr=how.lr,
                weight_decay=how.weight_decay,
                momentum=how.momentum,
                **how.opt_kwargs.given(),
            )
        with _options_of(f"{self.key}.schedule"):
            scheduler, _ = create_scheduler_v2(
                optimizer,
                sched=schedule.sched,
                num_epochs=options.epochs,
                warmup_epochs=schedule.warmup_epochs,  # type: ignore[arg-type] # fractions work
                step_on_epochs=False,
                updates_per_epoch=len(self.data) // self.trainer.world_size // options.batch_size,
                **schedule.sched_kwargs.given(),
            )
            if scheduler is None:
                raise ValueError(f"timm has no schedule {schedule.sched!r}")
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def lr_scheduler_step(self, scheduler: Any, _: Any) -> None:
        scheduler.step_update(self.global_step)

    def train_dataloader(self) -> DataLoader:
        # where a training resumes, Lightning asks for the loader before it knows the epoch
        epoch = len(self.curve)
        dataset = self.data.epoch(epoch)
        generator = torch.Generator().manual_seed(seed_of(self.seed, "order", epoch))
        # a fixed order: how often Lightning starts an iteration differs where a training resumes
        order = torch.randperm(len(self.data), generator=generator).tolist()
        # devices share what one would see in batches as many times as large
        n_devices = self.trainer.world_size
        share = order[self.global_rank : len(order) // n_devices * n_devices : n_devices]
        seed = partial(_seed_worker, seed_of(self.seed, "worker", epoch, self.global_rank))
        return self._loader(dataset, sampler=share, drop_last=True, worker_init_fn=seed)

    def val_dataloader(self) -> DataLoader:
        dataset = self.data.validation()
        n_devices, device = self.trainer.world_size, self.global_rank
        return self._loader(
            dataset, sampler=DistributedSampler(dataset, n_devices, device, shuffle=False)
        )

    def _loader(self, dataset: Dataset, **how: Any) -> DataLoader:
        return DataLoader(
            dataset,
            self.options.batch_size,
            num_workers=self.options.trainer.workers,
            collate_fn=getattr(dataset, "collate", None),
            generator=torch.Generator(),  # of its own: it draws at every start of an iteration
            **how,
        )

    def on_fit_start(self) -> None:
        self.erasing = _erasing(self.options.augmentation, self.device, self.key)

    def on_train_epoch_start(self) -> None:
        _seed_everything(seed_of(self.seed, "epoch", len(self.curve), self.global_rank))
        self._began = time.perf_counter()

    def on_train_epoch_end(self) -> None:
        took = time.perf_counter() - self._began
        metrics = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.curve.append({"epoch": len(self.curve) + 1, **metrics, "learning_rate": rate})
        logger.info(
            "epoch %d of %d: train loss %.4f, validation top-1 %.2f %%, %.0f images/s",
            len(self.curve),
            self.options.epochs,
            metrics["train_loss"],
            metrics["valid_top1"],
            len(self.data) / took,
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["curve"] = self.curve

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.curve = checkpoint["curve"]


def _erasing(how: Augmentation, device: torch.device, key: str) -> RandomErasing | None:
    """Erase parts of a batch's images, if asked for."""
    if not how.reprob:
        return None
    kwargs = {"mode": "pixel"} | how.erase_kwargs.given()
    with _options_of(f"{key}.augmentation.erase_kwargs"):
        return RandomErasing(how.reprob, device=device, **kwargs)


def _mixup(how: Augmentation, network: Any) -> Mixup | None:
    """Mix a batch's images and one-hot labels, if asked for; smoothing is the loss's."""
    if not (how.mixup or how.cutmix or how.mixup_kwargs.cutmix_minmax):
        return None
    return Mixup(
        mixup_alpha=how.mixup,
        cutmix_alpha=how.cutmix,
        label_smoothing=0.0,
        num_classes=network.num_classes,
        **how.mixup_kwargs.given(),
    )


def _seed_everything(seed: int) -> None:
    """Seed what networks, augmentations and mixing may draw from."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - global, as torchvision and timm use it
    random.seed(seed)


def _seed_worker(seed: int, worker: int) -> None:
    """Seed a process that loads images."""
    _seed_everything(seed + worker)
