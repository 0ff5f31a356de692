"""How a network is trained here; option names are those of timm's training script and of Lightning."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from neuraldeps.config.blocks import (
    Block,
    Choices,
    Either,
    Given,
    OfGlyphs,
    OfPhotos,
    Options,
)

Share = Annotated[float, Field(ge=0, le=1)]
TwoShares = Annotated[list[Share], Field(min_length=2, max_length=2)]
Range = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=2, max_length=2)]
Devices = Annotated[
    Either[str, Annotated[int, Field(ge=1)]],
    Choices("an integer of at least 1, or text for Lightning"),
]


class OptimizerOptions(Options):
    """Further arguments of timm's create_optimizer_v2."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        name: name for name in ("opt", "lr", "weight_decay", "momentum")
    }


class BareOptimizer(Block):
    """The optimiser: timm's create_optimizer_v2."""

    opt: str = Field("sgd", description="Name of timm's optimiser.")
    lr: float = Field(0.2, gt=0, description="Peak learning rate.")
    weight_decay: float = Field(5.0e-4, ge=0, description="Weight decay of the optimiser.")
    momentum: float = Field(0.9, ge=0, le=1, description="Momentum of the optimiser.")


class Optimizer(BareOptimizer):
    """The optimiser: timm's create_optimizer_v2, and the bound on gradients."""

    clip_grad: float | None = Field(
        None,
        gt=0,
        description="Bound that the gradient's norm is clipped to; null does not clip. With gradient_clip_algorithm: value in trainer_kwargs each of its values is clipped instead.",
    )
    opt_kwargs: OptimizerOptions = Field(
        default_factory=OptimizerOptions,
        description="Further arguments of timm's create_optimizer_v2, such as betas.",
    )


class ScheduleOptions(Options):
    """Further arguments of timm's create_scheduler_v2."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "sched": "sched",
        "num_epochs": "train.epochs",
        "warmup_epochs": "warmup_epochs",
    }

    warmup_lr: Given[float] = Field(
        None, ge=0, description="Learning rate at the start of the warm-up."
    )
    min_lr: Given[float] = Field(
        None, ge=0, description="Learning rate at the end of the schedule."
    )


class BareSchedule(Block):
    """The learning rate's schedule: timm's create_scheduler_v2, stepped after every update."""

    sched: str = Field("cosine", description="Name of timm's learning rate schedule.")


class Schedule(BareSchedule):
    """The learning rate's schedule: timm's create_scheduler_v2, stepped after every update."""

    warmup_epochs: float = Field(0, ge=0, description="Epochs of linear warm-up.")
    sched_kwargs: ScheduleOptions = Field(
        default_factory=ScheduleOptions,
        description="Further arguments of timm's create_scheduler_v2, such as decay_milestones.",
    )


class TransformOptions(Options):
    """Further arguments of timm's create_transform."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "auto_augment": "aa",
        "color_jitter": "color_jitter",
        "re_prob": "reprob",
        "re_mode": "erase_kwargs.mode",
        "re_count": "erase_kwargs.max_count",
    }

    scale: Given[Range] = Field(
        None, description="Smallest and largest share of an image's area that a random crop keeps."
    )
    ratio: Given[Range] = Field(
        None, description="Smallest and largest ratio of width to height of a random crop."
    )
    hflip: Given[Share] = Field(
        None, description="Probability that an image is flipped left to right."
    )
    vflip: Given[Share] = Field(
        None, description="Probability that an image is flipped upside down."
    )
    interpolation: Given[Literal["random", "bilinear", "bicubic"]] = Field(
        None, description="Interpolation by which training images are resized."
    )


class EraseOptions(Options):
    """Further arguments of timm's RandomErasing."""

    elsewhere: ClassVar[Mapping[str, str]] = {"probability": "reprob"}

    mode: Given[Literal["const", "rand", "pixel"]] = Field(
        None,
        description="Fill of erased parts: zeros (const), one random colour (rand) or a random colour for every pixel (pixel).",
    )
    max_count: Given[int] = Field(
        None, ge=1, description="Largest number of parts that are erased from an image."
    )


class MixupOptions(Options):
    """Further arguments of timm's Mixup."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "mixup_alpha": "mixup",
        "cutmix_alpha": "cutmix",
        "label_smoothing": "train.smoothing",
    }

    cutmix_minmax: Given[TwoShares] = Field(
        None,
        description="Smallest and largest share of an image's side that CutMix replaces, in place of cutmix.",
    )
    prob: Given[Share] = Field(None, description="Probability that mixup or CutMix is applied.")
    switch_prob: Given[Share] = Field(
        None,
        description="Probability that CutMix is used instead of mixup, where both are turned on.",
    )
    mode: Given[Literal["batch", "pair", "elem"]] = Field(
        None,
        description="Whether mixup draws one weight for a whole batch, for each pair of images or for each image.",
    )


class Augmentation(Block):
    """How training images are changed: timm's create_transform, RandomErasing and Mixup."""

    aa: OfPhotos[str | None] = Field(
        None,
        description="timm's AutoAugment policy, such as rand-m9-mstd0.5-inc1, in place of color_jitter; null uses none.",
    )
    color_jitter: OfPhotos[float | None] = Field(
        0.4,
        ge=0,
        description="Strength of random changes of brightness, contrast and saturation; null changes nothing.",
    )
    reprob: OfPhotos[float] = Field(
        0, ge=0, le=1, description="Probability that parts of an image are erased."
    )
    mixup: OfPhotos[float] = Field(
        0, ge=0, description="Parameter alpha of mixup; 0 turns mixup off."
    )
    cutmix: OfPhotos[float] = Field(
        0, ge=0, description="Parameter alpha of CutMix; 0 turns CutMix off."
    )
    transform_kwargs: OfPhotos[TransformOptions] = Field(
        default_factory=TransformOptions,
        description="Further arguments of timm's create_transform. Unless given, interpolation is random, as in timm's training script.",
    )
    erase_kwargs: OfPhotos[EraseOptions] = Field(
        default_factory=EraseOptions,
        description="Further arguments of timm's RandomErasing. Unless given, mode is pixel, as in timm's training script.",
    )
    mixup_kwargs: OfPhotos[MixupOptions] = Field(
        default_factory=MixupOptions, description="Further arguments of timm's Mixup."
    )


class TrainerOptions(Options):
    """Further arguments of Lightning's Trainer."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "devices": "devices",
        "precision": "precision",
        "max_epochs": "train.epochs",
        "gradient_clip_val": "train.optimizer.clip_grad",
    }

    accelerator: Given[str] = Field(None, description="Hardware to train on, such as cpu or gpu.")
    strategy: Given[str] = Field(
        None, description="How several devices train together, such as ddp."
    )
    gradient_clip_algorithm: Given[Literal["norm", "value"]] = Field(
        None, description="Whether clip_grad bounds the gradient's norm or each of its values."
    )


class Trainer(Block):
    """What training runs on: Lightning's Trainer."""

    devices: Devices = Field(
        1, description="Number of devices that train together, as Lightning takes it."
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        "32-true", description="Training precision, by Lightning's names."
    )
    workers: int = Field(0, ge=0, description="Processes per device that load training images.")
    trainer_kwargs: TrainerOptions = Field(
        default_factory=TrainerOptions, description="Further arguments of Lightning's Trainer."
    )


class Train(Block):
    """Train the network here, from scratch."""

    seed: int | None = Field(
        None,
        ge=0,
        description="Seed that the network is trained with; null takes the seed of the run. Networks that differ in it alone are held against each other in results/tables/stability.csv.",
    )
    epochs: int = Field(4, ge=1, description="Passes over the training set.")
    samples_per_category: OfGlyphs[int] = Field(
        64, ge=1, description="Fresh images of every category per epoch."
    )
    valid_samples_per_category: int = Field(
        4,
        ge=1,
        description="Images of every category that the validation curve is computed on; of photos, the first ones of roles.test.",
    )
    batch_size: int = Field(128, ge=1, description="Images per update on each device.")
    smoothing: float = Field(0, ge=0, lt=1, description="Label smoothing of the cross-entropy.")
    split: OfPhotos[str] = Field(
        "train", description="The split of dataset.splits that the network is trained on."
    )
    optimizer: Optimizer = Field(default_factory=Optimizer)
    schedule: Schedule = Field(default_factory=Schedule)
    augmentation: Augmentation = Field(default_factory=Augmentation)
    trainer: Trainer = Field(default_factory=Trainer)
