"""Photos read through an index, by timm's own transforms, in worker processes."""

import contextlib
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data import auto_augment, create_transform
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from neuraldeps.errors import InputError, first_line
from neuraldeps.images.archives import TarImages
from neuraldeps.images.labels import position_among, rank_within_label
from neuraldeps.images.pixels import eight_bits
from neuraldeps.images.protocol import Range
from neuraldeps.images.sources import open_indexed
from neuraldeps.stores import fingerprint, open_store

Batch = Tensor | str
MOST_PIXELS = 2**25  # of an image once it is resized
TRANSFORM = ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")


def _posterize(image: Image.Image, bits_to_keep: int, **how: Any) -> Image.Image:
    """Keep the highest bits; of no bit black remains, which Pillow 13 refuses and timm may draw."""
    if bits_to_keep < 1:
        return image.point(lambda _: 0)
    return auto_augment.posterize(image, bits_to_keep, **how)


auto_augment.NAME_TO_OP.update(
    {name: _posterize for name in auto_augment.NAME_TO_OP if name.startswith("Posterize")}
)


class IndexedPhotos:
    """Photos of an index, resized and cropped as timm does for a network; 8-bit pixels.

    Parameters
    ----------
    path : str
        What `index_images` wrote.
    data_config : mapping
        timm's data configuration of the network.
    workers : int
        Processes that decode; 0 decodes in this one. One at most reads a stream.

    Notes
    -----
    The transform is timm's for evaluation without its last step: `Standardise` does that on the
    device. Views beyond the first take timm's default transform for training, seeded by the run's
    seed, the image's position and the view.
    """

    def __init__(self, path: str, data_config: Mapping[str, Any], workers: int = 0) -> None:
        dataset = open_store(path).load()
        self.path, self.workers = path, workers
        self.fingerprint = fingerprint(path)
        self.coords = dataset
        config, self.access = dataset.attrs["config"], dataset.attrs["access"]
        self._transform = _Transform(data_config, dataset.attrs["seed"])
        self._spec, self._key = config["spec"], f"dataset.splits.{config['split']}"
        self._rows = _Rows(*(dataset[name].values for name in ("path", "position", "view")))

    def __len__(self) -> int:
        return self.coords.sizes["sample"]

    def stream(self, ranges: Sequence[Range], size: int) -> Iterator[tuple[int, np.ndarray]]:
        """Read ranges of images, each in batches of its own: the range's number, and pixels.

        The workers start here, before any thread does.

        Parameters
        ----------
        ranges : sequence of tuple of int
            First image and one past the last, of each range.
        size : int
            Most images of a batch.

        Yields
        ------
        tuple of int and ndarray
            Number of the range, and (image, channel, y, x) uint8.

        Raises
        ------
        InputError
            If an image cannot be read, when its batch is asked for.
        """
        plan = [
            (number, slice(start, min(start + size, last)))
            for number, (first, last) in enumerate(ranges)
            for start in range(first, last, size)
        ]
        batches = iter(self._loader([rows for _, rows in plan]))
        return _numbered([number for number, _ in plan], batches)

    def _loader(self, batches: list[slice]) -> DataLoader:
        rows = self._rows
        source = open_indexed(self.access, self._spec, self._key, rows.path, rows.position)
        if self.access == "streamed":
            streamed = _Streamed(self.path, source, self._rows, self._transform, batches)
            return DataLoader(streamed, batch_size=None, num_workers=min(1, self.workers))
        return DataLoader(
            _Photos(self.path, source, self._rows, self._transform),
            batch_sampler=[list(range(rows.start, rows.stop)) for rows in batches],
            num_workers=self.workers,
            collate_fn=_collate,
        )


class TrainingPhotos:
    """Photos to train on, augmented anew by timm in every epoch, and some to validate on.

    Parameters
    ----------
    images, validation : str
        What `index_images` wrote. Images without a label and augmented views are left out.
    data_config : mapping
        timm's data configuration of the network.
    augmentation : mapping
        Further options of timm's `create_transform`, for training.
    categories : sequence of int, optional
        Categories to be learned, ascending, in the order of the network's outputs; all by default.
        No image of another category is opened.
    valid_per_category : int
        Images of each category to validate on: the first ones.
    seed : int

    Raises
    ------
    InputError
        If a category has no image, or timm does not take the options.

    Notes
    -----
    What is drawn for an image depends on the seed, the image's position and the epoch, and not on
    the process that loads it.
    """

    def __init__(
        self,
        images: str,
        validation: str,
        data_config: Mapping[str, Any],
        augmentation: Mapping[str, Any],
        categories: Sequence[int] | None,
        valid_per_category: int,
        seed: int,
    ) -> None:
        try:
            transform = _Transform(data_config, seed, **augmentation)
        except (AssertionError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"models.{data_config.get('model')}.train.augmentation: timm cannot make this transform "
                f"({first_line(error)}); correct aa, color_jitter or transform_kwargs"
            ) from error
        self._train = _Labelled.from_index(images, transform, categories)
        self._valid = _Labelled.from_index(validation, transform, categories, valid_per_category)

    def __len__(self) -> int:
        return len(self._train)

    def epoch(self, epoch: int) -> Dataset:
        """Images of one epoch, all augmented.

        Parameters
        ----------
        epoch : int
            From 0; each has its own augmentations.

        Returns
        -------
        Dataset
            Of pixels and label.
        """
        return self._train.in_view(epoch + 1)

    def validation(self) -> Dataset:
        """Images to watch the training with, as the network is evaluated on them.

        Returns
        -------
        Dataset
            Of pixels and label.
        """
        return self._valid


class _Rows:
    """Columns of an index."""

    def __init__(self, path: np.ndarray, position: np.ndarray, view: np.ndarray) -> None:
        self.path, self.position, self.view = path, position, view


class _Transform:
    """Pixels of an opened image as the network takes them, (channel, y, x) uint8."""

    def __init__(self, data_config: Mapping[str, Any], seed: int, **augmentation: Any) -> None:
        config = {name: data_config[name] for name in TRANSFORM if name in data_config}
        config["input_size"] = tuple(config["input_size"])
        self.mode = "RGB" if config["input_size"][0] == 3 else "L"
        self.seed, self.side = seed, max(config["input_size"])
        self.plain = create_transform(**config, normalize=False)
        how = {**config, **augmentation}
        self.augmented = create_transform(**how, normalize=False, is_training=True)

    def take(self, image: Image.Image) -> Image.Image:
        """Pixels of 8 bits, of an image that can be resized; a ValueError says what it is otherwise."""
        # its shorter side becomes that of the network's images: of a thin image gigabytes
        if max(image.size) * self.side**2 > MOST_PIXELS * min(image.size):
            width, height = image.size
            raise ValueError(
                f"{width} x {height} pixels, of which resizing would make more than {MOST_PIXELS}; crop it"
            )
        return eight_bits(image, self.mode)

    def __call__(self, image: Image.Image, position: int, view: int) -> Tensor:
        if view == 0:
            return self.plain(image)
        draws = np.random.SeedSequence([self.seed, position, view]).generate_state(1)[0]
        with _drawing_from(int(draws)):
            return self.augmented(image)


@contextlib.contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """Seed, for a while, whatever timm's and torchvision's transforms draw from."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - what timm draws from
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002


class _Photos(Dataset):
    """Images that can be asked for one by one; in place of an image, the line that says what is wrong."""

    def __init__(self, index: str, source: Any, rows: _Rows, transform: _Transform) -> None:
        self.index, self.source, self.rows, self.transform = index, source, rows, transform

    def __getitem__(self, row: int) -> Batch:
        position, path = int(self.rows.position[row]), str(self.rows.path[row])
        try:
            # timm's own data set would put the next image in place of one that it cannot read
            with _opened(self.source, path, position) as opened:
                image = self.transform.take(opened)
                image.load()
        except FileNotFoundError:
            return f"{path}: is no longer there; restore it, or remove {self.index} and run again"
        except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
            return (
                f"{path}: cannot be read as an image ({first_line(error)}); repair it, or remove it and "
                f"{self.index}, and run again"
            )
        return self.transform(image, position, int(self.rows.view[row]))


class _Labelled(_Photos):
    """Images that can be asked for one by one, with their labels; `view` 0 is the image itself."""

    def __init__(
        self, index: str, source: Any, rows: _Rows, transform: _Transform, labels: np.ndarray
    ) -> None:
        super().__init__(index, source, rows, transform)
        self.labels = labels

    @classmethod
    def from_index(
        cls,
        path: str,
        transform: _Transform,
        categories: Sequence[int] | None,
        most: int | None = None,
    ) -> "_Labelled":
        """Open the images of some categories, of each at most so many."""
        index = open_store(path).load()
        key = f"dataset.splits.{index.attrs['config']['split']}"
        known = np.arange(index.sizes["category"]) if categories is None else np.array(categories)
        labels = position_among(known, index["label"].values)
        rows = np.flatnonzero((labels >= 0) & (index["view"].values == 0))
        if most is not None:
            rows = rows[rank_within_label(labels[rows]) < most]
        missing = np.flatnonzero(np.bincount(labels[rows], minlength=len(known)) == 0)
        if len(missing):
            name = index["category_name"].values[known[missing[0]]]
            raise InputError(
                f"{key}: {len(missing)} of {len(known)} categories have no image with a label "
                f"({name!r}); training needs some of each"
            )
        spec, access = index.attrs["config"]["spec"], index.attrs["access"]
        columns = _Rows(*(index[name].values[rows] for name in ("path", "position", "view")))
        source = open_indexed(access, spec, key, columns.path, columns.position)
        return cls(path, source, columns, transform, labels[rows])

    def in_view(self, view: int) -> "_Labelled":
        """Give the same images in another view."""
        views = np.full(len(self), view)
        rows = _Rows(self.rows.path, self.rows.position, views)
        return _Labelled(self.index, self.source, rows, self.transform, self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> Any:
        pixels = super().__getitem__(row)
        return pixels if isinstance(pixels, str) else (pixels, int(self.labels[row]))

    @staticmethod
    def collate(images: list[Any]) -> Any:
        """Put a batch together, or give the line that says what is wrong with an image of it."""
        return _collate(images)


class _Streamed(IterableDataset):
    """Batches of images of a source that can only be read from start to end."""

    def __init__(
        self,
        index: str,
        source: Any,
        rows: _Rows,
        transform: _Transform,
        batches: list[slice],
    ) -> None:
        self.index, self.source, self.rows = index, source, rows
        self.transform, self.batches = transform, batches

    def __iter__(self) -> Iterator[Batch]:
        images = self._images()
        for rows in self.batches:
            yield _collate([next(images) for _ in range(rows.stop - rows.start)])

    def _images(self) -> Iterator[Batch]:
        wanted = iter([row for rows in self.batches for row in range(rows.start, rows.stop)])
        row = next(wanted, None)
        for position, (image, _) in enumerate(self.source.reader):
            while row is not None and self.rows.position[row] == position:
                yield self._pixels(image, position, row)
                row = next(wanted, None)
            if row is None:
                return
        while row is not None:
            yield f"{self.rows.path[row]}: is no longer there; remove {self.index} and run again"
            row = next(wanted, None)

    def _pixels(self, image: Image.Image, position: int, row: int) -> Batch:
        try:
            image = self.transform.take(image)
        except ValueError as error:
            return (
                f"{self.rows.path[row]}: cannot be read as an image ({error}), or leave it out of the "
                f"data set, remove {self.index} and run again"
            )
        return self.transform(image, position, int(self.rows.view[row]))


def _opened(source: Any, path: str, position: int) -> Image.Image:
    if source is None:
        return Image.open(path)
    if isinstance(source, TarImages):
        return Image.open(source.open(position))
    if not hasattr(source, "reader"):
        return source[position][0]
    return Image.open(source.reader[position][0])


def _collate(images: list[Batch]) -> Batch:
    wrong = next((image for image in images if isinstance(image, str)), None)
    return default_collate(images) if wrong is None else wrong


def _numbered(numbers: Iterable[int], batches: Iterator[Batch]) -> Iterator[tuple[int, np.ndarray]]:
    for number, batch in zip(numbers, batches, strict=True):
        if isinstance(batch, str):
            raise InputError(batch)
        yield number, batch.numpy()
