"""Random poses of glyphs: the same bytes for the same seed, whatever the batch, thread or order.

Images are posed in blocks of `BLOCK`, and every block draws from a generator of its own, seeded by
what the images are for and by the block's place among them.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from neuraldeps.seeds import seed_of
from neuraldeps.stores import (
    fingerprint,
    open_store,
    provenance,
    rows_per_shard,
    strings,
    write_store,
)
from neuraldeps.stores.layouts import BALANCED, GLYPHS

BLOCK = 1024
DEGREES, LOG_SCALE, SHEAR, SHIFT = 10, 0.15, 0.2, 0.08
BLUR, FADE, GRADIENT, NOISE = 0.9, 0.45, 0.12, 0.12
GREY, CONTRAST = 0.15, 0.7


@dataclass(frozen=True)
class Posed(Dataset):
    """Images with what they show; a data set that gives whole batches.

    Attributes
    ----------
    images : Tensor, shape (sample, y, x), uint8
    labels, faces : Tensor, shape (sample,), int64
        Index of the category and of the face.
    """

    images: Tensor
    labels: Tensor
    faces: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index, None], self.labels[index]

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        """Batch of images (image, 1, y, x) and labels (image,), put together already."""
        return self.images[indices, None], self.labels[indices]

    @staticmethod
    def collate(batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Leave a batch as it is.

        Parameters
        ----------
        batch : tuple of Tensor
            Pixels and labels.

        Returns
        -------
        tuple of Tensor
            The same.
        """
        return batch


@dataclass(frozen=True)
class PosedGlyphs:
    """Glyphs to train on: fresh poses in every epoch, and some of their own to validate on.

    Parameters
    ----------
    bitmaps : Tensor, shape (category, face, y, x), uint8
        Of the categories to be learned, in the order of the network's outputs.
    per_category, valid_per_category : int
        Images of each category in an epoch and in the validation set.
    size : int
        Height and width of the images in pixels.
    seed : int
    """

    bitmaps: Tensor
    per_category: int
    valid_per_category: int
    size: int
    seed: int

    def __len__(self) -> int:
        return len(self.bitmaps) * self.per_category

    def epoch(self, epoch: int) -> Posed:
        """Images of one epoch.

        Parameters
        ----------
        epoch : int
            From 0; each has its own poses.

        Returns
        -------
        Posed
            In batches.
        """
        return pose_all(self.bitmaps, self.per_category, self.size, self.seed, "train", epoch)

    def validation(self) -> Posed:
        """Images to watch the training with.

        Returns
        -------
        Posed
            In batches.
        """
        return pose_all(self.bitmaps, self.valid_per_category, self.size, self.seed, "valid")


def pose_all(bitmaps: Tensor, per_category: int, size: int, *stream: str | int) -> Posed:
    """Pose every category equally often, each time in a random face.

    Parameters
    ----------
    bitmaps : Tensor, shape (category, face, y, x), uint8
        Ink 255 on 0.
    per_category : int
        Images of every category.
    size : int
        Height and width of the images in pixels.
    *stream : str or int
        What the images are for, a seed among it: see `seed_of`.

    Returns
    -------
    Posed
        Sorted by category.
    """
    n = len(bitmaps) * per_category
    labels = torch.arange(len(bitmaps)).repeat_interleave(per_category)
    images = torch.empty(n, size, size, dtype=torch.uint8)
    faces = torch.empty(n, dtype=torch.int64)
    for first in range(0, n, BLOCK):
        block = slice(first, min(first + BLOCK, n))
        generator = torch.Generator().manual_seed(seed_of(*stream, first // BLOCK))
        rows = block.stop - first
        faces[block] = torch.randint(bitmaps.shape[1], (BLOCK,), generator=generator)[:rows]
        images[block] = pose(bitmaps[labels[block], faces[block]], size, generator)
    return Posed(images, labels, faces)


def pose(glyphs: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Turn, scale, shear, shift, blur, fade, shade and roughen glyphs.

    Parameters
    ----------
    glyphs : Tensor, shape (image, y, x), uint8
        Ink 255 on 0; square.
    size : int
        Height and width of the results in pixels.
    generator : torch.Generator
        What poses are drawn from.

    Returns
    -------
    Tensor, shape (image, size, size), uint8
        Bright glyphs on dark ground.
    """
    n = len(glyphs)

    def uniform(low: float, high: float) -> Tensor:
        return (torch.rand(n, generator=generator) * (high - low) + low)[:, None, None]

    def around_zero(limit: float) -> Tensor:
        return uniform(-limit, limit)

    line = (torch.arange(size) + 0.5) * (2 / size) - 1
    y, x = torch.meshgrid(line, line, indexing="ij")

    angle = around_zero(math.radians(DEGREES))
    cos, sin = angle.cos(), angle.sin()
    scale_x, scale_y = around_zero(LOG_SCALE).exp(), around_zero(LOG_SCALE).exp()
    shear = around_zero(SHEAR)
    from_x = (cos * x + (shear - sin) * y) / scale_x + around_zero(SHIFT)
    from_y = (sin * x + (cos + shear * sin) * y) / scale_y + around_zero(SHIFT)
    grid = torch.stack([from_x, from_y], -1)
    sharp = functional.grid_sample(glyphs[:, None].float() / 255, grid, align_corners=False)[:, 0]

    soft = torch.lerp(sharp, _binomial_blur(sharp), uniform(0, BLUR))
    shaded = soft * uniform(FADE, 1) + around_zero(GRADIENT) * x + around_zero(GRADIENT) * y
    noise = torch.randn(n, size, size, generator=generator) * uniform(0, NOISE)
    return (GREY + CONTRAST * shaded + noise).clamp_(0, 1).mul_(255).round_().byte()


def bitmap_tensor(bitmaps: np.ndarray) -> Tensor:
    """Bitmaps of a store as a tensor of its own memory.

    Parameters
    ----------
    bitmaps : ndarray, shape (glyph, y, x), uint8
        Of a store.

    Returns
    -------
    Tensor, shape (glyph, 1, y, x), float32
        From 0 to 1.
    """
    return torch.from_numpy(np.ascontiguousarray(bitmaps))


def _binomial_blur(images: Tensor) -> Tensor:
    padded = functional.pad(images, (1, 1, 1, 1))
    rows = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    return (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16


def render_glyphs(
    bitmaps: str, split: str, *, samples_per_category: int, img_size: int, seed: int
) -> xr.Dataset:
    """Draw one fixed set of images: every character equally often, in random faces and poses.

    Parameters
    ----------
    bitmaps : str
        Store that `neuraldeps.images.glyphs.render_bitmaps` made.
    split : str
        Name of the set; `ood` shows the characters that are kept out of distribution.
    samples_per_category : int
        Images of every category.
    img_size : int
        Side of the images, pixels.
    seed : int
        Of all that is drawn.

    Returns
    -------
    xarray.Dataset
        `image` (sample, y, x), uint8; what each shows along `sample`; the categories.
    """
    drawn = open_store(bitmaps).load()
    prefix = "ood_" if split == "ood" else ""
    names = drawn[f"{prefix}category_name"].values
    codes = drawn[f"{prefix}category_code"].values
    posed = pose_all(
        bitmap_tensor(drawn[f"{prefix}bitmap"].values), samples_per_category, img_size, seed, split
    )
    shown = posed.labels.numpy()
    faces = drawn["face"].values[posed.faces.numpy()]
    number = np.arange(len(shown)) % samples_per_category
    paths = [
        f"{face}/{code}/{k:06d}" for face, code, k in zip(faces, codes[shown], number, strict=True)
    ]
    code_points = np.array([int(code[2:], 16) for code in codes], np.int32)
    label = np.full(len(shown), -1) if prefix else shown
    return GLYPHS.dataset(
        {"image": posed.images.numpy()},
        {
            "label": label.astype(np.int32),
            "path": strings(paths),
            "face": strings(faces),
            "code_point": code_points[shown],
            "unicode_name": strings(names[shown]),
            **{name: drawn[name] for name in ("category", "category_name", "category_code")},
        },
        provenance(
            "render_glyphs",
            f"Posed characters, split {split}",
            config={
                "split": split,
                "samples_per_category": samples_per_category,
                "img_size": img_size,
            },
            sources={"bitmaps": fingerprint(bitmaps)},
            seed=seed,
            packages=("torch",),
        ),
    )


def render_balanced(
    bitmaps: str, base: np.ndarray, new: np.ndarray, *, n_each: int, img_size: int, seed: int
) -> xr.Dataset:
    """Draw as many images of new categories as of all base categories: to learn from, and to evaluate on.

    Parameters
    ----------
    bitmaps : str
        Store that `neuraldeps.images.glyphs.render_bitmaps` made.
    base, new : ndarray of int
        Categories.
    n_each : int
        Images of either kind, in each part.
    img_size : int
        Side of the images, pixels.
    seed : int
        Of all that is drawn.

    Returns
    -------
    xarray.Dataset
        `image` (sample, y, x), uint8; label and `part` (train, test) along `sample`; the categories.
    """
    drawn = open_store(bitmaps).load()
    parts, labels, pixels = [], [], []
    for part in "train", "test":
        rng = np.random.default_rng(seed_of(seed, "balanced", part))
        shown = np.r_[np.repeat(new, n_each), rng.choice(base, n_each)]
        glyphs = bitmap_tensor(drawn["bitmap"].values[shown])
        pixels.append(pose_all(glyphs, 1, img_size, seed, "balanced", part).images.numpy())
        labels.append(shown)
        parts += [part] * len(shown)
    label = np.concatenate(labels)
    codes = drawn["category_code"].values[label]
    paths = [
        f"{part}/{code}/{k:06d}" for k, (part, code) in enumerate(zip(parts, codes, strict=True))
    ]
    return BALANCED.dataset(
        {"image": np.concatenate(pixels)},
        {
            "label": label.astype(np.int32),
            "path": strings(paths),
            "part": strings(parts),
            **{name: drawn[name] for name in ("category", "category_name", "category_code")},
        },
        provenance(
            "render_balanced",
            "Posed characters, one category as often as all the others",
            config={"n_each": n_each, "img_size": img_size, "new": new.tolist()},
            sources={"bitmaps": fingerprint(bitmaps)},
            seed=seed,
            packages=("torch",),
        ),
    )


def write_images(dataset: xr.Dataset, path: str) -> None:
    """Write images as a store in shards of whole images.

    Parameters
    ----------
    dataset : xarray.Dataset
        From `render_glyphs` or `render_balanced`.
    path : str
        Declared path of the store.
    """
    height, width = dataset["image"].shape[1:]
    write_store(dataset, path, {"image": (rows_per_shard(height * width), height, width)})
