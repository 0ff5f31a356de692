"""The networks: where their weights or logits come from, and how they are run over images."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from neuraldeps.config.blocks import Block, Given, Input, OfPhotos, Options
from neuraldeps.config.training import Train


class DataOptions(Options):
    """timm's data configuration, in place of the network's own."""

    model_config = ConfigDict(extra="forbid")

    crop_pct: OfPhotos[Given[float]] = Field(
        None, gt=0, description="Share of an image's side that the central crop keeps."
    )
    crop_mode: OfPhotos[Given[str]] = Field(None, description="timm's way of cropping images.")
    interpolation: OfPhotos[Given[str]] = Field(
        None, description="Interpolation by which images are resized."
    )
    mean: Given[list[float]] = Field(None, description="Mean that each channel is standardised by.")
    std: Given[list[Annotated[float, Field(gt=0)]]] = Field(
        None, description="Standard deviation that each channel is standardised by."
    )


class Model(Block):
    """A network, given by exactly one of train, pretrained, checkpoint and logits."""

    architecture: Given[str] = Field(
        None, description="Name of a timm model; every network needs it, imported logits do not."
    )
    model_kwargs: Options = Field(
        default_factory=Options, description="Keyword arguments of the timm model."
    )
    pretrained: Given[bool] = Field(
        None, description="Whether timm downloads its weights for the architecture."
    )
    checkpoint: Input[Given[str]] = Field(
        None,
        description="Path of a file with the network's weights: safetensors, or .pth, of which only weights are read.",
    )
    logits: Input[Given[dict[str, str]]] = Field(
        None,
        description="Path of imported logits (sample x category) for each split: a Zarr store (a .zip of one, too) or .npy.",
    )
    labels: Input[Given[dict[str, str]]] = Field(
        None,
        description="Path of the images' labels (.npy of integers, -1 for none) for each split, for imported logits.",
    )
    paths: Input[Given[dict[str, str]]] = Field(
        None,
        description="Path of the images' identifiers (.npy, .txt or .csv, one per image) for each split, for imported logits.",
    )
    img_size: OfPhotos[int | None] = Field(
        None,
        ge=1,
        description="Side of the images that the network sees, in pixels; null uses the network's own.",
    )
    data_kwargs: DataOptions = Field(
        default_factory=DataOptions,
        description="timm's data configuration, in place of the network's own.",
    )
    channels_last: bool = Field(
        True,
        description="Whether training and extraction keep images in memory with the channels last.",
    )
    train: Given[Train] = Field(None)


class Extraction(Block):
    """How networks are run over images."""

    batch_size: int = Field(256, ge=1, description="Images per forward pass.")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32",
        description="Precision that logits are computed in: anything lower than float32 uses PyTorch's automatic mixed precision. They are stored as float32.",
    )
    torchcompile: bool = Field(
        False, description="Whether networks are compiled with torch.compile."
    )
