"""The training loop: loss, optimiser, schedule and curve, for Lightning's Trainer."""

import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol

import lightning.pytorch as lightning
import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from timm.data import Mixup, resolve_model_data_config
from timm.data.random_erasing import RandomErasing
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import accuracy
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from neuraldeps.config.training import Augmentation, Train
from neuraldeps.errors import InputError, first_line
from neuraldeps.networks.build import Standardise
from neuraldeps.seeds import seed_of

logger = logging.getLogger(__name__)
ExtraLoss = Callable[[Tensor, Tensor], Tensor]


class TrainingData(Protocol):
    """What a network learns from: map-style data sets of (8-bit pixels (channel, y, x), label)."""

    def __len__(self) -> int:
        """Images in an epoch."""

    def epoch(self, epoch: int) -> Dataset:
        """Images of one epoch.

        Parameters
        ----------
        epoch : int
            From 0.

        Returns
        -------
        Dataset
            Of pixels and label.
        """

    def validation(self) -> Dataset:
        """Images to watch the training with.

        Returns
        -------
        Dataset
            Of pixels and label.
        """


class TrainingOptions(Train):
    """How to train: the configuration's block, and how the network keeps its images in memory.

    Its optimiser and schedule are for timm's `create_optimizer_v2` and `create_scheduler_v2`, the
    latter stepped after every update; its augmentation for `create_transform`, `RandomErasing` and
    `Mixup`; its trainer for Lightning's `Trainer`. A batch is that of one device.
    """

    channels_last: bool

    @classmethod
    def on_threads(cls, options: Mapping[str, Any], threads: int) -> "TrainingOptions":
        """Options of a job with so many threads: of a device's share, all but one load images.

        Parameters
        ----------
        options : mapping
            The network's `train` in the configuration.
        threads : int
            Of the job.

        Returns
        -------
        TrainingOptions
            With the number of processes that load images.
        """
        devices = options["trainer"]["devices"]
        share = threads // (devices if isinstance(devices, int) else 1)
        trainer = {**options["trainer"], "workers": max(0, share - 1)}
        return cls.model_validate({**options, "trainer": trainer})

    def transform(self) -> dict[str, Any]:
        """How one photo is augmented, for `timm.data.create_transform`.

        Returns
        -------
        dict
            By timm's own names.
        """
        how = self.augmentation
        own = {"color_jitter": how.color_jitter, "auto_augment": how.aa}
        return own | {"interpolation": "random"} | how.transform_kwargs.given()


@contextlib.contextmanager
def options_of(key: str) -> Iterator[None]:
    """Name the configuration's key where another package refuses the options that it holds.

    Parameters
    ----------
    key : str
        The configuration key of the options.

    Yields
    ------
    None
        While the options are used.

    Raises
    ------
    InputError
        In place of what the other package raises.
    """
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


class Loop(lightning.LightningModule):
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
        with options_of(f"{key}.augmentation.mixup_kwargs"):
            self.mixup = _mixup(options.augmentation, network)

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits of a batch."""
        if self.options.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return self.network(inputs)

    def on_before_batch_transfer(self, batch: Any, _: int) -> Any:
        """Refuse a batch that holds an image which cannot be read."""
        if isinstance(batch, str):
            raise InputError(batch)
        return batch

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Loss of a batch, the extra loss included."""
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
        """Record loss and accuracy of a batch."""
        pixels, labels = batch
        logits = self(self.standardise(pixels))
        top1, top5 = accuracy(logits, labels, topk=(1, 5))
        values = {"valid_loss": nn.functional.cross_entropy(logits, labels)}
        values |= {"valid_top1": top1, "valid_top5": top5}
        self.log_dict(values, prog_bar=True, batch_size=len(labels), sync_dist=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Timm's optimiser and schedule."""
        options, how, schedule = self.options, self.options.optimizer, self.options.schedule
        with options_of(f"{self.key}.optimizer"):
            optimizer = create_optimizer_v2(
                self.network,
                opt=how.opt,
                lr=how.lr,
                weight_decay=how.weight_decay,
                momentum=how.momentum,
                **how.opt_kwargs.given(),
            )
        with options_of(f"{self.key}.schedule"):
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
        """Advance the schedule by one update."""
        scheduler.step_update(self.global_step)

    def train_dataloader(self) -> DataLoader:
        """Images of the current epoch."""
        # where a training resumes, Lightning asks for the loader before it knows the epoch
        epoch = len(self.curve)
        dataset = self.data.epoch(epoch)
        generator = torch.Generator().manual_seed(seed_of(self.seed, "order", epoch))
        # a fixed order: how often Lightning starts an iteration differs where a training resumes
        order = torch.randperm(len(self.data), generator=generator).tolist()
        # devices share what one would see in batches as many times as large
        n_devices = self.trainer.world_size
        share = order[self.global_rank : len(order) // n_devices * n_devices : n_devices]
        seed = partial(seed_worker, seed_of(self.seed, "worker", epoch, self.global_rank))
        return self._loader(dataset, sampler=share, drop_last=True, worker_init_fn=seed)

    def val_dataloader(self) -> DataLoader:
        """Images that the curve is drawn with."""
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
        """Make what erases parts of images, on the device."""
        self.erasing = _erasing(self.options.augmentation, self.device, self.key)

    def on_train_epoch_start(self) -> None:
        """Seed the epoch."""
        seed_everything(seed_of(self.seed, "epoch", len(self.curve), self.global_rank))
        self._began = time.perf_counter()

    def on_train_epoch_end(self) -> None:
        """Write the epoch into the curve."""
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
        """Save the curve so far."""
        checkpoint["curve"] = self.curve

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the curve so far."""
        self.curve = checkpoint["curve"]


def _erasing(how: Augmentation, device: torch.device, key: str) -> RandomErasing | None:
    """Erase parts of a batch's images, if asked for."""
    if not how.reprob:
        return None
    kwargs = {"mode": "pixel"} | how.erase_kwargs.given()
    with options_of(f"{key}.augmentation.erase_kwargs"):
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


def seed_everything(seed: int) -> None:
    """Seed what networks, augmentations and mixing may draw from.

    Parameters
    ----------
    seed : int
        Of Python's, NumPy's and PyTorch's generators.
    """
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - global, as torchvision and timm use it
    random.seed(seed)


def seed_worker(seed: int, worker: int) -> None:
    """Seed a process that loads images.

    Parameters
    ----------
    seed : int
        Of the epoch.
    worker : int
        Number of the process.
    """
    seed_everything(seed + worker)
