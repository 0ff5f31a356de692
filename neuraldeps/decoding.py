"""Photos read through an index, by timm's own transforms, in worker processes."""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data import create_transform
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from neuraldeps.errors import InputError
from neuraldeps.images import Range
from neuraldeps.photos import open_source
from neuraldeps.stores import fingerprint, open_store

Batch = Tensor | str

TRANSFORM = ("input_size", "interpolation", "mean", "std", "crop_pct", "crop_mode")


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
        return _numbered([number for number, _ in plan], batches, self.path)

    def _loader(self, batches: list[slice]) -> DataLoader:
        source = open_source(self._spec, self._key) if self.access != "files" else None
        if self.access == "streamed":
            streamed = _Streamed(source, self._rows, self._transform, batches)
            return DataLoader(streamed, batch_size=None, num_workers=min(1, self.workers))
        return DataLoader(
            _Photos(source, self._rows, self._transform),
            batch_sampler=[list(range(rows.start, rows.stop)) for rows in batches],
            num_workers=self.workers,
            collate_fn=_collate,
        )


class _Rows:
    """Columns of an index."""

    def __init__(self, path: np.ndarray, position: np.ndarray, view: np.ndarray) -> None:
        self.path, self.position, self.view = path, position, view


class _Transform:
    """Pixels of an opened image as the network takes them, (channel, y, x) uint8."""

    def __init__(self, data_config: Mapping[str, Any], seed: int) -> None:
        config = {name: data_config[name] for name in TRANSFORM if name in data_config}
        config["input_size"] = tuple(config["input_size"])
        self.mode = "RGB" if config["input_size"][0] == 3 else "L"
        self.seed = seed
        self.plain = create_transform(**config, normalize=False)
        self.augmented = create_transform(**config, normalize=False, is_training=True)

    def __call__(self, image: Image.Image, position: int, view: int) -> Tensor:
        image = image.convert(self.mode)
        if view == 0:
            return self.plain(image)
        draws = np.random.SeedSequence([self.seed, position, view]).generate_state(1)[0]
        state = random.getstate()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(draws))
            random.seed(int(draws))
            pixels = self.augmented(image)
        random.setstate(state)
        return pixels


class _Photos(Dataset):
    """Images that can be asked for one by one; in place of an image, the line that says what is wrong."""

    def __init__(self, source: Any, rows: _Rows, transform: _Transform) -> None:
        self.source, self.rows, self.transform = source, rows, transform

    def __getitem__(self, row: int) -> Batch:
        position, path = int(self.rows.position[row]), str(self.rows.path[row])
        try:
            # timm's own data set would put the next image in place of one that it cannot read
            image = _opened(self.source, path, position)
            return self.transform(image, position, int(self.rows.view[row]))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            return f"{path}: cannot be read as an image ({_first_line(error)}); mend or remove it"


class _Streamed(IterableDataset):
    """Batches of images of a source that can only be read through from its beginning."""

    def __init__(
        self, source: Any, rows: _Rows, transform: _Transform, batches: list[slice]
    ) -> None:
        self.source, self.rows, self.transform, self.batches = source, rows, transform, batches

    def __iter__(self) -> Iterator[Batch]:
        images = self._images()
        for rows in self.batches:
            yield _collate([next(images) for _ in range(rows.stop - rows.start)])

    def _images(self) -> Iterator[Batch]:
        wanted = iter([row for rows in self.batches for row in range(rows.start, rows.stop)])
        row = next(wanted, None)
        for position, (image, _) in enumerate(self.source.reader):
            while row is not None and self.rows.position[row] == position:
                yield self.transform(image, position, int(self.rows.view[row]))
                row = next(wanted, None)
            if row is None:
                return
        while row is not None:
            yield f"{self.rows.path[row]}: is no longer there; remove the index and run again"
            row = next(wanted, None)


def _opened(source: Any, path: str, position: int) -> Image.Image:
    if source is None:
        return Image.open(path)
    if not hasattr(source, "reader"):
        return source[position][0]
    return Image.open(source.reader[position][0])


def _collate(images: list[Batch]) -> Batch:
    wrong = next((image for image in images if isinstance(image, str)), None)
    return default_collate(images) if wrong is None else wrong


def _numbered(
    numbers: Iterable[int], batches: Iterator[Batch], path: str
) -> Iterator[tuple[int, np.ndarray]]:
    for number, batch in zip(numbers, batches, strict=True):
        if isinstance(batch, str):
            raise InputError(f"{path}: {batch}")
        yield number, batch.numpy()


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
