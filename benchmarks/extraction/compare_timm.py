r"""Images per second of extraction, writing included, against timm's own inference loop.

Same network, images, batch size, workers, device and settings of PyTorch, in alternating rounds of one process. On a CPU the
unit is CPU time, of this process and its workers, on one thread; on a GPU it is wall time, and a third
loop runs the network alone on a batch that already lies on the device.

    python benchmarks/extraction/compare_timm.py --model resnet18 --n-images 512 --rounds 5
    python benchmarks/extraction/compare_timm.py --sweep

`--sweep` is three networks, four batch sizes, fp32 and bf16, and 50 000 synthetic JPEG images on disk and
in memory (/dev/shm), on a GPU; options that stand beside it change it. On a CPU extraction has the C library keep
freed memory, from which the other loop gains as well: `--loop timm` runs it alone. Columns: `ratio` is the
rate of the first loop to that of each, median over the rounds, `low` and `high` its range.
"""

import argparse
import csv
import itertools
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from timm.data import create_dataset, create_loader, resolve_model_data_config

from neuraldeps.images.index import index_images
from neuraldeps.images.reading import open_images
from neuraldeps.logits.extraction import ExtractionOptions, autocast, extract_logits, reproducible
from neuraldeps.logits.store import lay_out_logits
from neuraldeps.stores import write_store

COLUMNS = ["folder", "model", "batch_size", "precision", "device"]
COLUMNS += ["loop", "images_per_s", "ratio", "low", "high"]
SWEEP = {
    "device": "cuda",
    "model": ["resnet50", "swin_tiny_patch4_window7_224", "vit_small_patch16_224"],
    "batch_size": [128, 256, 512, 1024],
    "precision": ["float32", "bfloat16"],
    "folder": [tempfile.gettempdir(), "/dev/shm"],
    "n_images": 50_000,
    "workers": 12,
    "rounds": 3,
}


def write_photos(folder: Path, n_images: int) -> None:
    """Write synthetic JPEG images of about ImageNet's size: noise of several scales."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for number in range(n_images):
        pixels = np.zeros((375, 500, 3), np.float32)
        for scale in 4, 16, 64:
            noise = Image.fromarray(rng.integers(0, 256, (scale, scale, 3), np.uint8))
            pixels += np.asarray(noise.resize((500, 375), Image.Resampling.BICUBIC)) / 3
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:06d}.jpg", quality=90)


def cpu_seconds() -> float:
    """CPU time of this process and of those that it has ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def timed(loop: Callable[[], None], device: str) -> float:
    """Seconds that a loop takes: of the CPU, or of the wall where a GPU works."""
    if device == "cpu":
        began = cpu_seconds()
        loop()
        return cpu_seconds() - began
    torch.cuda.synchronize()
    began = time.perf_counter()
    loop()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def make_loops(
    model: str, photos: str, options: ExtractionOptions, workers: int, scratch: Path
) -> dict[str, Callable[[], None]]:
    """Build the loops over all photos: ours, timm's, and on a GPU the network alone."""
    network = timm.create_model(model).eval()
    data_config = resolve_model_data_config(network)
    index = index_images(
        "all", {"data_dir": photos, "labels": False}, categories=None, n_categories=1000, seed=0
    )
    write_store(index, scratch / "index.zarr")
    rounds = iter(range(10**6))
    device = torch.device(options.device)
    network = network.to(device).to(memory_format=torch.channels_last)

    def ours() -> None:
        images = open_images(str(scratch / "index.zarr"), data_config, workers)
        path = str(scratch / f"{next(rounds)}.zarr")
        store = lay_out_logits(path, images.coords, made_by="benchmark", config={}, sources={})
        extract_logits(network, images, store, options)
        store.finish()

    lower = autocast(device, options.precision)

    def theirs() -> None:
        loader = create_loader(
            create_dataset("", photos),
            batch_size=options.batch_size,
            num_workers=workers,
            device=device,
            pin_memory=device.type == "cuda",
            persistent_workers=False,
            **data_config,
        )
        outputs = []
        with torch.inference_mode(), reproducible(device):
            for batch, _ in loader:
                with lower:
                    output = network(batch.contiguous(memory_format=torch.channels_last))
                outputs.append(output.float().cpu())
        torch.cat(outputs)

    def forward_only() -> None:
        shape = (options.batch_size, *data_config["input_size"])
        batch = torch.randn(shape, device=device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), reproducible(device), lower:
            for _ in range(-(-index.sizes["sample"] // options.batch_size)):
                network(batch)

    loops: dict[str, Callable[[], None]] = {"extract_logits": ours, "timm": theirs}
    return loops if options.device == "cpu" else loops | {"forward_only": forward_only}


def compare(
    model: str, photos: str, options: ExtractionOptions, args: argparse.Namespace
) -> list[list[object]]:
    """Rows of the table for one network and batch size; ratios are the first loop's, per round."""
    rounds, n_images = args.rounds, args.n_images
    with tempfile.TemporaryDirectory(dir=Path(photos).parent) as scratch:
        loops = make_loops(model, photos, options, args.workers, Path(scratch))
        loops = {args.loop: loops[args.loop]} if args.loop else loops
        for loop in loops.values():
            loop()
        seconds: dict[str, list[float]] = {name: [] for name in loops}
        for number in range(rounds):
            for name in list(loops) if number % 2 else reversed(list(loops)):
                seconds[name].append(timed(loops[name], options.device))
    rows, first = [], next(iter(seconds.values()))
    for name, took in seconds.items():
        ratios = sorted(t / own for t, own in zip(took, first, strict=True))
        rate = n_images / statistics.median(took)
        shown = [statistics.median(ratios), ratios[0], ratios[-1]]
        rows.append([name, f"{rate:.1f}", *(f"{ratio:.3f}" for ratio in shown)])
    return rows


def read_options() -> argparse.Namespace:
    """Options of the command line; a sweep's values are other defaults."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sweep", action="store_true", help="the sweep for a GPU")
    parser.add_argument("--model", nargs="+", default=["resnet18"])
    parser.add_argument("--batch-size", nargs="+", type=int, default=[64])
    precisions = ["float32", "bfloat16", "float16"]
    parser.add_argument("--precision", nargs="+", choices=precisions, default=["float32"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--n-images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    loops = ["extract_logits", "timm", "forward_only"]
    parser.add_argument("--loop", choices=loops, help="one of them, in a process of its own")
    parser.add_argument(
        "--folder",
        nargs="+",
        default=[tempfile.gettempdir()],
        help="where the synthetic images are written for the run",
    )
    if parser.parse_args().sweep:
        parser.set_defaults(**SWEEP)
    return parser.parse_args()


def main() -> None:
    """Write one row per folder, network, batch size, precision and loop to stdout as CSV."""
    args = read_options()
    torch.set_num_threads(1 if args.device == "cpu" else torch.get_num_threads())
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(COLUMNS)
    with tempfile.TemporaryDirectory(dir=args.folder[0]) as first:
        write_photos(Path(first) / "photos", args.n_images)
        for where in args.folder:
            with tempfile.TemporaryDirectory(dir=where) as folder:
                photos = shutil.copytree(f"{first}/photos", f"{folder}/photos")
                for case in itertools.product(args.model, args.batch_size, args.precision):
                    model, size, precision = case
                    options = ExtractionOptions(
                        batch_size=size, precision=precision, channels_last=True, device=args.device
                    )
                    rows = compare(model, photos, options, args)
                    table.writerows([where, *case, args.device, *row] for row in rows)
                    sys.stdout.flush()


if __name__ == "__main__":
    main()
