"""The networks: where their weights or logits come from, and how they are trained and run."""

from typing import Annotated, Literal

from pydantic import Field

from neuraldeps.config.blocks import (
    Block,
    Choices,
    Either,
    Given,
    OfGlyphs,
    OfPhotos,
    OnlyFor,
    Options,
)

Share = Annotated[float, Field(ge=0, le=1)]
Range = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=2, max_length=2)]
Devices = Annotated[
    Either[str, Annotated[int, Field(ge=1)]],
    Choices("an integer of at least 1, or text for Lightning"),
]


class Train(Block):
    """Train the network here, from scratch. Option names are those of timm's training script."""

    epochs: int = Field(4, ge=1, description="Passes over the training set.")
    samples_per_category: OfGlyphs[int] = Field(
        64, ge=1, description="Fresh images of every category per epoch."
    )
    valid_samples_per_category: int = Field(
        4,
        ge=1,
        description="Images of every category that the validation curve is computed on; of photos, the first ones of splits.test.",
    )
    batch_size: int = Field(128, ge=1, description="Images per update on each device.")
    opt: str = Field("sgd", description="Name of timm's optimiser.")
    lr: float = Field(0.2, gt=0, description="Peak learning rate.")
    weight_decay: float = Field(5.0e-4, ge=0, description="Weight decay.")
    momentum: float = Field(0.9, ge=0, le=1, description="Momentum of the optimiser.")
    opt_kwargs: Options = Field(
        {}, description="Further keyword arguments of timm's create_optimizer_v2."
    )
    sched: str = Field("cosine", description="Name of timm's learning rate schedule.")
    warmup_epochs: float = Field(0, ge=0, description="Epochs of linear warm-up.")
    warmup_lr: float = Field(
        1.0e-5, ge=0, description="Learning rate at the beginning of the warm-up."
    )
    min_lr: float = Field(0, ge=0, description="Learning rate at the end of the schedule.")
    sched_kwargs: Options = Field(
        {}, description="Further keyword arguments of timm's create_scheduler_v2."
    )
    smoothing: float = Field(0, ge=0, lt=1, description="Label smoothing.")
    split: OfPhotos[str] = Field(
        "train", description="The split of dataset.splits that the network is trained on."
    )
    scale: OfPhotos[Range | None] = Field(
        None,
        description="Smallest and largest share of an image's area that a random crop keeps; null takes timm's 0.08 to 1.",
    )
    ratio: OfPhotos[Range | None] = Field(
        None,
        description="Smallest and largest ratio of width to height of a random crop; null takes timm's 3/4 to 4/3.",
    )
    hflip: OfPhotos[float] = Field(
        0.5, ge=0, le=1, description="Probability that an image is flipped left to right."
    )
    vflip: OfPhotos[float] = Field(
        0, ge=0, le=1, description="Probability that an image is flipped upside down."
    )
    color_jitter: OfPhotos[float | None] = Field(
        0.4,
        ge=0,
        description="Strength of random changes of brightness, contrast and saturation; null changes nothing.",
    )
    aa: OfPhotos[str | None] = Field(
        None,
        description="timm's AutoAugment policy, as rand-m9-mstd0.5-inc1, in place of color_jitter; null takes none.",
    )
    train_interpolation: OfPhotos[Literal["random", "bilinear", "bicubic"]] = Field(
        "random", description="Interpolation by which training images are resized."
    )
    reprob: OfPhotos[float] = Field(
        0, ge=0, le=1, description="Probability that parts of an image are erased."
    )
    remode: OfPhotos[Literal["const", "rand", "pixel"]] = Field(
        "pixel",
        description="Fill of erased parts: zeros (const), one random colour (rand) or a random colour for every pixel (pixel).",
    )
    recount: OfPhotos[int] = Field(
        1, ge=1, description="Largest number of parts that are erased from an image."
    )
    mixup: OfPhotos[float] = Field(
        0, ge=0, description="Parameter alpha of mixup; 0 turns mixup off."
    )
    cutmix: OfPhotos[float] = Field(
        0, ge=0, description="Parameter alpha of CutMix; 0 turns CutMix off."
    )
    cutmix_minmax: OfPhotos[Annotated[list[Share], Field(min_length=2, max_length=2)] | None] = (
        Field(
            None,
            description="Smallest and largest share of an image's side that CutMix replaces, in place of cutmix; null leaves it to cutmix.",
        )
    )
    mixup_prob: OfPhotos[float] = Field(
        1, ge=0, le=1, description="Probability that mixup or CutMix is applied."
    )
    mixup_switch_prob: OfPhotos[float] = Field(
        0.5,
        ge=0,
        le=1,
        description="Probability that CutMix is taken in place of mixup, where both are turned on.",
    )
    mixup_mode: OfPhotos[Literal["batch", "pair", "elem"]] = Field(
        "batch",
        description="Whether mixup draws one weight for a whole batch, for each pair of images or for each image.",
    )
    clip_grad: float | None = Field(
        None, gt=0, description="Bound that gradients are clipped to; null does not clip."
    )
    clip_mode: Literal["norm", "value"] = Field(
        "norm", description="Whether clip_grad bounds the gradient's norm or each of its values."
    )
    channels_last: bool = Field(
        True, description="Whether training keeps images in memory with the channels last."
    )
    workers: int = Field(0, ge=0, description="Processes per device that load training images.")
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        "32-true", description="Precision of training, in Lightning's words."
    )
    accelerator: str = Field(
        "auto", description="Accelerator for Lightning, as cpu or gpu; auto takes what is there."
    )
    devices: Devices = Field(
        1, description="Number of devices that train together, in Lightning's words."
    )
    strategy: str = Field(
        "auto",
        description="Lightning's strategy for several devices, as ddp; auto lets Lightning choose.",
    )


class Model(Block):
    """A network, given by exactly one of train, pretrained, checkpoint and logits."""

    architecture: Given[str] = Field(
        None, description="Name of a timm model; every network needs it, imported logits do not."
    )
    model_kwargs: Options = Field({}, description="Keyword arguments of the timm model.")
    pretrained: Given[bool] = Field(
        None, description="Whether timm downloads the weights that it has for the architecture."
    )
    checkpoint: Given[str] = Field(
        None,
        description="Path of a file with the network's weights: safetensors, or .pth, of which only weights are read.",
    )
    logits: Given[dict[str, str]] = Field(
        None,
        description="Path of imported logits (sample x category) for each split: a Zarr store (a .zip of one, too) or .npy.",
    )
    labels: Given[dict[str, str]] = Field(
        None,
        description="Path of the images' labels (.npy of integers, -1 for none) for each split, for imported logits.",
    )
    paths: Given[dict[str, str]] = Field(
        None,
        description="Path of the images' identifiers (.npy, .txt or .csv, one per image) for each split, for imported logits.",
    )
    img_size: OfPhotos[int | None] = Field(
        None,
        ge=1,
        description="Side of the images that the network sees, in pixels; null takes the network's own.",
    )
    crop_pct: OfPhotos[float | None] = Field(
        None,
        gt=0,
        description="Share of an image's side that the central crop keeps; null takes the network's own.",
    )
    crop_mode: OfPhotos[str | None] = Field(
        None, description="timm's way of cropping images; null takes the network's own."
    )
    interpolation: OfPhotos[str | None] = Field(
        None,
        description="Interpolation by which images are resized for the network; null takes the network's own.",
    )
    mean: list[float] | None = Field(
        None, description="Mean that each channel is standardised by; null takes the network's own."
    )
    std: list[Annotated[float, Field(gt=0)]] | None = Field(
        None,
        description="Standard deviation that each channel is standardised by; null takes the network's own.",
    )
    train: Given[Train] = Field(None)


# how photos are loaded and augmented for training; no part of a training on glyphs
OF_PHOTOS = tuple(
    name for name, field in Train.model_fields.items() if OnlyFor("images") in field.metadata
)


class Extraction(Block):
    """How networks are run over images."""

    batch_size: int = Field(256, ge=1, description="Images per forward pass.")
    channels_last: bool = Field(
        True, description="Whether extraction keeps images in memory with the channels last."
    )
    amp: bool = Field(False, description="Whether logits are computed in mixed precision.")
    amp_dtype: Literal["bfloat16", "float16"] = Field(
        "bfloat16", description="Lower precision of mixed precision, where amp is true."
    )
    torchcompile: bool = Field(
        False, description="Whether networks are compiled with torch.compile."
    )
    workers: int = Field(0, ge=0, description="Processes per job that decode images.")
    parts: int = Field(1, ge=1, description="Number of jobs that share the images of a split.")
    rows_per_shard: int | None = Field(
        None, ge=1, description="Images per shard of a store; null takes shards of at most 32 MiB."
    )
    gpu: int = Field(
        0,
        ge=0,
        description="Number of GPUs that each job with a network asks for; a training asks for as many for each of its devices.",
    )
