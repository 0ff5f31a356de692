"""Logits of images under a network, into a store, shard by shard, without the device ever waiting."""

import contextlib
import itertools
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from operator import itemgetter
from typing import Any, TypeVar

import numpy as np
import torch
from timm.data import resolve_model_data_config
from torch import Tensor, nn
from tqdm import tqdm

from neuraldeps.config.networks import Extraction
from neuraldeps.devices import keep_freed_memory
from neuraldeps.errors import InputError
from neuraldeps.images.protocol import Images
from neuraldeps.images.reading import open_images, read_coords
from neuraldeps.logits.store import lay_out_logits
from neuraldeps.networks.build import Standardise, build_network
from neuraldeps.networks.card import NetworkCard
from neuraldeps.networks.checkpoints import load_checkpoint, weights_digest
from neuraldeps.stores import ShardedArray

logger = logging.getLogger(__name__)
AHEAD = 4
Item = TypeVar("Item")


class ExtractionOptions(Extraction):
    """How to run a network: the configuration's block, and what is no part of it.

    Logits are stored as float32, whatever the precision. Where a shard has fewer images than
    `batch_size`, or all images are fewer, as many as those are a batch: every batch of a store has
    one size (the last of a shard is filled up), so that no logit depends on where a job began, nor
    on which other images there are.

    Attributes
    ----------
    channels_last : bool
        How the network keeps its images in memory.
    device : str
        `auto`, or a device of PyTorch.
    backend : str
        What compiles the network, where `torchcompile` is true.
    """

    channels_last: bool
    device: str = "auto"
    backend: str = "inductor"

    def as_config(self) -> dict[str, Any]:
        """Values that logits depend on, for provenance.

        Returns
        -------
        dict
            By option.
        """
        return self.model_dump(exclude={"device", "backend"}) | {"tf32": False}


def prepare_extraction(
    model: str,
    spec: Mapping[str, Any],
    card: str,
    checkpoint: str | None,
    images: str,
    path: str,
    options: ExtractionOptions,
    rows: int | None = None,
    workers: int = 0,
    *,
    made_by: str,
    seed: int | None = None,
) -> tuple[nn.Module, Images, ShardedArray]:
    """Open what an extraction needs: the network with its weights, the images, the store to be.

    Parameters
    ----------
    model : str
        Name of the model in the configuration.
    spec : mapping
        For `neuraldeps.networks.build.build_network`.
    card : str
        What `check_network` wrote.
    checkpoint : str, optional
        Weights; those of timm by default.
    images : str
        Store of images, or index of photos.
    path : str
        Declared path of the store of logits.
    options : ExtractionOptions
        Checked options of the configuration.
    rows : int, optional
        Rows per shard.
    workers : int
        Processes that decode photos.
    made_by : str
        Name of the rule that finishes the store.
    seed : int, optional
        Of the weights, where they are random.

    Returns
    -------
    tuple of Module, Images and ShardedArray
        For `extract_logits`.

    Raises
    ------
    InputError
        If the weights are not the network's, or the categories not the images'.
    """
    described = NetworkCard.from_json(card)
    coords, images_fingerprint = read_coords(images)
    if known := described.categories:  # a base network knows some of the images' categories
        coords = coords.isel(category=known)
    if coords.sizes["category"] != described.n_categories:
        raise InputError(
            f"{images}: has {coords.sizes['category']} categories, {card} "
            f"{described.n_categories}; remove both and run again"
        )
    spec = spec if checkpoint is None else {**spec, "pretrained": False}
    network = build_network(model, spec, described.n_categories, described.data_config, seed=seed)
    if checkpoint is not None:
        load_checkpoint(network, checkpoint, model)
    data_config = resolve_model_data_config(network)
    config = {
        "model": model,
        "architecture": described.architecture,
        "model_kwargs": described.model_kwargs,
        "data_config": data_config,
        **options.as_config(),
    }
    sources = {"images": images_fingerprint, "weights": weights_digest(network)}
    logits = lay_out_logits(
        path, coords, made_by=made_by, config=config, sources=sources, rows=rows
    )
    return network, open_images(images, data_config, workers), logits


def extract_logits(
    network: nn.Module,
    images: Images,
    logits: ShardedArray,
    options: ExtractionOptions,
    *,
    part: int = 0,
    parts: int = 1,
) -> None:
    """Write the missing shards of one part of a store of logits.

    Reading, the network and writing overlap: one thread reads ahead, one writes, and the device is
    given the next batch without waiting for the last.

    Parameters
    ----------
    network : Module
        In evaluation mode. Moved to the device.
    images : Images
        Pixels in batches.
    logits : ShardedArray
        See `lay_out_logits`. Not finished here: other parts may still be at work.
    options : ExtractionOptions
        Checked options of the configuration.
    part, parts : int
        Which of how many strided parts of the shards: ``part, part + parts, ...``.

    Raises
    ------
    StoreError
        If a logit is not finite.
    """
    logits.begin()
    mine = [shard for shard in logits.missing() if shard % parts == part]
    n_images = sum(last - first for first, last in map(logits.bounds, mine))
    size = min(options.batch_size, logits.bounds(0)[1])
    if not mine:
        logger.info("part %d of %d: nothing is missing", part + 1, parts)
        return
    batches = (
        (mine[number], pixels)
        for number, pixels in images.stream([logits.bounds(shard) for shard in mine], size)
    )
    run = _Runner(network, options, size)
    began = time.perf_counter()
    with (
        reproducible(run.device),
        ThreadPoolExecutor(1) as reader,
        ThreadPoolExecutor(1) as writer,
        tqdm(total=n_images, desc="extract", unit="image", unit_scale=True, mininterval=1) as bar,
    ):
        writing: list[Future] = []
        for shard, group in itertools.groupby(_ahead(reader, batches), key=itemgetter(0)):
            values = []
            for _, pixels in group:
                values.append(run(pixels))
                bar.update(len(pixels))
            _wait(writing)
            writing = [writer.submit(_write, logits, shard, values)]
        _wait(writing)
    took = time.perf_counter() - began
    logger.info(
        "part %d of %d: %d images in %.1f s on %s, %.0f images/s",
        part + 1,
        parts,
        n_images,
        took,
        run.device,
        n_images / took,
    )


class _Runner:
    """A network on its device, given pixels and giving logits."""

    def __init__(self, network: nn.Module, options: ExtractionOptions, size: int) -> None:
        self.size = size
        self.device = torch.device(options.device if options.device != "auto" else _best_device())
        if self.device.type == "cpu":
            keep_freed_memory()
        self.format = torch.channels_last if options.channels_last else torch.contiguous_format
        self.standardise = Standardise(resolve_model_data_config(network)).to(self.device)
        self.network: Callable[[Tensor], Tensor] = network.to(self.device).to(
            memory_format=self.format
        )
        if options.torchcompile:
            self.network = torch.compile(self.network, backend=options.backend)
        self.autocast = autocast(self.device, options.precision)

    @torch.inference_mode()
    def __call__(self, pixels: np.ndarray) -> Tensor:
        """Logits (image, category), on the device, perhaps still being worked out."""
        batch = torch.from_numpy(_filled(pixels, self.size))
        if self.device.type == "cuda":
            batch = batch.pin_memory()
        batch = batch.to(self.device, non_blocking=True)
        with self.autocast:
            inputs = self.standardise(batch).contiguous(memory_format=self.format)
            return self.network(inputs)[: len(pixels)]


@contextlib.contextmanager
def reproducible(device: torch.device) -> Iterator[None]:
    """Have equal batches give equal bytes, for a while: nothing chosen by its speed, float32 in full.

    Parameters
    ----------
    device : torch.device
        On a GPU PyTorch is also asked for deterministic algorithms, and warns where it has none.

    Yields
    ------
    None
        While it lasts.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, matmul.allow_tf32
    asked = torch.get_deterministic_debug_mode()
    cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32 = False, True, False
    matmul.allow_tf32 = False
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs for it
        torch.set_deterministic_debug_mode("warn")
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, matmul.allow_tf32 = before
        torch.set_deterministic_debug_mode(asked)


def _filled(pixels: np.ndarray, size: int) -> np.ndarray:
    """A batch, filled up with black images: another size would take other routines."""
    if len(pixels) == size:
        return pixels
    return np.concatenate([pixels, np.zeros((size - len(pixels), *pixels.shape[1:]), np.uint8)])


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """PyTorch's automatic mixed precision; none in float32.

    Parameters
    ----------
    device : torch.device
        Where the network runs.
    precision : {"float32", "bfloat16", "float16"}
        What it runs in.

    Returns
    -------
    torch.autocast
        A context.
    """
    is_lower = precision != "float32"
    lower = getattr(torch, precision) if is_lower else None
    return torch.autocast(device.type, lower, enabled=is_lower)


def _best_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _wait(writing: list[Future]) -> None:
    """Let at most one shard wait for the disk, and let its error stop the job."""
    for shard in writing:
        shard.result()


def _write(logits: ShardedArray, shard: int, values: list[Tensor]) -> None:
    """Wait for the device, in the writer's thread, and write."""
    logits.write(shard, torch.cat([value.float().cpu() for value in values]).numpy())


def _ahead(pool: ThreadPoolExecutor, items: Iterator[Item]) -> Iterator[Item]:
    """Have the next items made by another thread, a few at a time, while one is used."""
    coming = deque(pool.submit(next, items, None) for _ in range(AHEAD))
    while (item := coming.popleft().result()) is not None:
        coming.append(pool.submit(next, items, None))
        yield item
