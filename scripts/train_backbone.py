"""Train a network from scratch on fresh poses of the glyphs."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from neuraldeps.logs import job_log
from neuraldeps.networks import build_network
from neuraldeps.poses import PosedGlyphs, bitmap_tensor
from neuraldeps.stores import fingerprint, open_store
from neuraldeps.training import TrainingOptions, save_training, train

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    bitmaps: str,
    card: str,
    checkpoint: str,
    curve: str,
    *,
    model: str,
    spec: Mapping[str, Any],
    options: Mapping[str, Any],
    samples_per_category: int,
    valid_samples_per_category: int,
    seed: int,
    threads: int,
) -> None:
    torch.set_num_threads(threads)
    described = json.loads(Path(card).read_text())
    network = build_network(model, spec, described["n_categories"], described, seed=seed)
    data = PosedGlyphs(
        bitmap_tensor(open_store(bitmaps)["bitmap"].values[described.get("categories", ...)]),
        samples_per_category,
        valid_samples_per_category,
        described["input_size"][-1],
        seed,
    )
    training = TrainingOptions(**options)
    everything = [described, dict(options), len(data), valid_samples_per_category, seed]
    everything += [fingerprint(bitmaps)]
    digest = hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()
    work_dir = Path(checkpoint).parent / f".training.{digest[:16]}.partial"
    rows = train(network, data, training, seed=seed, work_dir=work_dir)
    save_training(network, rows, checkpoint, curve, work_dir)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.bitmaps,
            snakemake.input.card,
            snakemake.output.checkpoint,
            snakemake.output.curve,
            model=snakemake.wildcards.model,
            spec=snakemake.params.spec,
            options=snakemake.params.options,
            samples_per_category=snakemake.params.samples_per_category,
            valid_samples_per_category=snakemake.params.valid_samples_per_category,
            seed=snakemake.params.seed,
            threads=snakemake.threads,
        )
