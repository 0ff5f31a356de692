"""Train one arm of Table 3: from scratch, or on from a checkpoint with or without the penalty."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from neuraldeps.logs import job_log
from neuraldeps.networks import build_network, load_checkpoint, weights_digest
from neuraldeps.poses import PosedGlyphs, bitmap_tensor, seed_of
from neuraldeps.robustness import DependencyPenalty
from neuraldeps.stores import fingerprint, open_store
from neuraldeps.training import TrainingOptions, save_training, train

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    bitmaps: str,
    card: str,
    start: str | None,
    pair: str | None,
    checkpoint: str,
    curve: str,
    *,
    model: str,
    spec: Mapping[str, Any],
    options: Mapping[str, Any],
    penalty: Mapping[str, Any] | None,
    samples_per_category: int,
    valid_samples_per_category: int,
    stop_after: int | None,
    seed: int,
    threads: int,
) -> None:
    torch.set_num_threads(threads)
    described = json.loads(Path(card).read_text())
    network = build_network(model, spec, described["n_categories"], described, seed=seed)
    if start is not None:
        load_checkpoint(network, start, model)
    # all arms of a seed see the same images in the same order, none that the baseline has seen
    stream = seed if start is None else seed_of(seed, "finetune")
    data = PosedGlyphs(
        bitmap_tensor(open_store(bitmaps)["bitmap"].values),
        samples_per_category,
        valid_samples_per_category,
        described["input_size"][-1],
        stream,
    )
    extra_loss, everything = None, [dict(options), len(data), valid_samples_per_category, stream]
    if penalty is not None:
        chosen = json.loads(Path(pair).read_text())
        extra_loss = DependencyPenalty(chosen["target"], chosen["source"], **penalty)
        everything += [repr(extra_loss)]
    everything += [weights_digest(network), fingerprint(bitmaps), stop_after]
    digest = hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()
    work_dir = Path(checkpoint).parent / f".training.{digest[:16]}.partial"
    rows = train(
        network,
        data,
        TrainingOptions(**options),
        seed=stream,
        work_dir=work_dir,
        extra_loss=extra_loss,
        stop_after=stop_after,
    )
    save_training(network, rows, checkpoint, curve, work_dir)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.input.bitmaps,
            snakemake.input.card,
            snakemake.input.get("start") or None,
            snakemake.input.get("pair") or None,
            snakemake.output.checkpoint,
            snakemake.output.curve,
            model=snakemake.wildcards.model,
            spec=snakemake.params.spec,
            options=snakemake.params.options,
            penalty=snakemake.params.penalty,
            samples_per_category=snakemake.params.samples_per_category,
            valid_samples_per_category=snakemake.params.valid_samples_per_category,
            stop_after=snakemake.params.stop_after,
            seed=int(snakemake.wildcards.seed),
            threads=snakemake.threads,
        )
