"""The images, and the roles that their splits play."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from neuraldeps.config.blocks import (
    Block,
    Given,
    Input,
    Name,
    NotOfGlyphs,
    OfGlyphs,
    OfPhotos,
    Options,
)

GLYPHS_PER_CATEGORY = 40
# what is there to draw; a test holds it against the list of characters
N_GLYPHS, N_OOD_GLYPHS = 1000, 392


class OriginOptions(Options):
    """Further arguments of timm's create_dataset."""

    elsewhere: ClassVar[Mapping[str, str]] = {
        "name": "origin",
        "root": "data_dir",
        "split": "origin_split",
        "class_map": "class_map",
    }

    input_key: Given[str] = Field(None, description="Name of the field that holds the image.")
    target_key: Given[str] = Field(None, description="Name of the field that holds the label.")
    num_samples: Given[int] = Field(
        None, ge=1, description="Number of images in a webdataset that does not state it."
    )
    download: Given[bool] = Field(None, description="Whether timm may download the data set.")


class ImageSplit(Block):
    """A named set of images."""

    samples_per_category: int | None = Field(
        None,
        ge=1,
        description=f"Images drawn from every category; null is {GLYPHS_PER_CATEGORY} for glyphs, and all for photos.",
    )
    samples: OfPhotos[int | None] = Field(
        None, ge=1, description="Images drawn in total; null uses all of them."
    )
    data_dir: OfPhotos[str | None] = Field(
        None,
        description="Folder or tar file of the images; with csv, the folder that its paths are relative to.",
    )
    csv: Input[OfPhotos[str | None]] = Field(
        None,
        description="Table of images with the columns path and label (a number, code or name, or empty), in place of a folder or data set.",
    )
    labels: OfPhotos[bool] = Field(
        True,
        description="Whether folders or targets are the images' labels; false treats the images as unlabelled, as in ImageNet-O.",
    )
    n_views: OfPhotos[int] = Field(
        1,
        ge=1,
        description="How many times each image is included; every view but the first is augmented by timm.",
    )
    origin: OfPhotos[str | None] = Field(
        None,
        description="Name of a data set for timm's create_dataset, such as hfds/NAME, torch/NAME or wds/NAME; null reads folders or a tar file.",
    )
    origin_split: OfPhotos[str | None] = Field(
        None, description="timm's name of the split within the data set or below data_dir."
    )
    origin_kwargs: OfPhotos[OriginOptions] = Field(
        default_factory=OriginOptions,
        description="Further arguments of timm's create_dataset.",
    )
    class_map: OfPhotos[str | None] = Field(
        None,
        description="timm's class map: a .txt of folder names in the order of the categories, or a file with a mapping.",
    )


class Dataset(Block):
    """The images, or the categories of imported logits."""

    kind: Literal["glyphs", "photos", "logits"] = Field(
        description="glyphs (embedded, no download), photos (your own or ImageNet's) or logits (all models import their logits)."
    )
    n_categories: int = Field(
        ge=2, description=f"Number of categories; at most {N_GLYPHS} for glyphs."
    )
    categories: Input[NotOfGlyphs[str | None]] = Field(
        None,
        description="Codes and names of the categories, in the order of the networks' outputs: a subset of timm's ImageNetInfo, such as imagenet-1k, or a .csv with the columns code and name; null uses the names of the images' folders, or what lies beside imported logits.",
    )
    n_ood: OfGlyphs[int] = Field(
        300,
        ge=1,
        description=f"Number of further categories that are kept out of distribution; at most {N_OOD_GLYPHS}.",
    )
    img_size: OfGlyphs[int] = Field(32, ge=16, description="Side of the square images, in pixels.")
    splits: dict[Name, ImageSplit] = Field(
        min_length=1, description="Named sets of images that logits are extracted for."
    )


class Roles(Block):
    """What the splits of dataset.splits are for."""

    fit: str = Field("fit", description="The split whose second moment CovLasso is solved on.")
    test: str = Field(
        "test",
        description="The split that dependencies are evaluated on; the paper uses one split for both.",
    )
    ood: str = Field(
        "ood", description="The split with out-of-distribution images, which Table 3 needs."
    )
