"""Write Table 3: fine-tuning with a dependency cut off, against a control without it."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from neuraldeps.arms import describe_penalties
from neuraldeps.logs import job_log
from neuraldeps.stores import open_store
from neuraldeps.tables.robustness import printable_table, shown_table, table3, table3_notes
from neuraldeps.tables.writing import FORMS, write_table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def describe_start(finetune: Mapping[str, Any], start_epochs: int | None) -> str:
    """Say what fine-tuning began with and how it went."""
    begins = (
        "the finished baseline (the paper: 60 of its 90 epochs, so that all arms train equally long)"
        if start_epochs is None
        else f"the network after {start_epochs} epochs of the baseline's schedule"
    )
    optimizer, schedule = finetune["optimizer"], finetune["schedule"]
    return (
        f"Fine-tuned for {finetune['epochs']} epoch{'s' * (finetune['epochs'] > 1)} from {begins} with {optimizer['opt']}, "
        f"lr {optimizer['lr']:g} ({schedule['sched']}), weight decay {optimizer['weight_decay']:g}, "
        f"batch {finetune['batch_size']} per device."
    )


def main(
    measures: Mapping[str, Sequence[str]],
    paper: str,
    outputs: Mapping[str, str],
    *,
    weight: float,
    finetune: Mapping[str, Any],
    start_epochs: int | None,
    n_bootstrap: int,
    seed: int,
) -> None:
    measured = {
        model: [open_store(path).load() for path in paths] for model, paths in measures.items()
    }
    is_imagenet = all(one[0].attrs["dataset"] == "imagenet" for one in measured.values())
    theirs = pd.read_csv(paper) if is_imagenet else None
    frame = table3(measured, theirs, n_bootstrap=n_bootstrap, seed=seed)
    shown, columns = shown_table(frame)
    write_table(
        frame,
        columns,
        outputs,
        caption="Table 3. Robustness: one dependency cut off by fine-tuning, against a control.",
        notes=table3_notes(
            measured,
            describe_penalties(weight),
            describe_start(finetune, start_epochs),
            n_bootstrap,
            with_paper=is_imagenet,
        ),
        shown=shown,
        printable=printable_table(shown),
    )


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        paths = list(snakemake.input.measures)
        n_seeds = snakemake.params.n_seeds
        main(
            {
                model: paths[n_seeds * number : n_seeds * (number + 1)]
                for number, model in enumerate(snakemake.params.models)
            },
            snakemake.input.paper,
            {form: snakemake.output[form] for form in FORMS},
            weight=snakemake.params.weight,
            finetune=snakemake.params.finetune,
            start_epochs=snakemake.params.start_epochs,
            n_bootstrap=snakemake.params.n_bootstrap,
            seed=snakemake.params.seed,
        )
