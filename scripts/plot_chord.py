"""Draw target categories as combinations of base categories alone, as a chord graph (Figure 4)."""

from typing import TYPE_CHECKING

from neuraldeps.categories import categories
from neuraldeps.figures.chord import Chords, plot_chord
from neuraldeps.figures.style import save_figure
from neuraldeps.logs import job_log
from neuraldeps.stores import open_store

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(chord: str, png: str, svg: str) -> None:
    store = open_store(chord)
    base, targets = (categories(store, f"{side}_category") for side in ("source", "target"))
    title = (
        f"{store.attrs['source']}: {len(targets)} target categories "
        f"from {len(base)} base categories alone"
    )
    subtitle = (
        f"CovLasso, at most {store.attrs['config']['support_size']} base categories per target; "
        "arc length = |coefficient|; grey serves none"
    )
    save_figure(plot_chord(Chords(base, targets, store.coef.values), title, subtitle), png, svg)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(snakemake.input.chord, snakemake.output.png, snakemake.output.svg)
