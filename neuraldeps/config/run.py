"""A whole configuration: its blocks, and the sizes that depend on the number of categories."""

from typing import Annotated, Any, Literal

from pydantic import Field

from neuraldeps.config.blocks import Block, Choices, Either, Name, TwoWords, fill
from neuraldeps.config.dataset import GLYPHS_PER_CATEGORY, Dataset, Roles
from neuraldeps.config.dependencies import BestSubset, CovLasso
from neuraldeps.config.experiments import Generalizability, Robustness
from neuraldeps.config.networks import Extraction, Model
from neuraldeps.config.outputs import (
    Cards,
    Controls,
    Explorer,
    Figures,
    Stability,
    Tables,
    Theory,
)
from neuraldeps.config.resources import Resources


class Run(Block):
    """The configuration of a run of neural-dependencies."""

    seed: int = Field(
        0,
        ge=0,
        description="Seed of every random draw: images, training, choices of categories.",
    )
    dataset: Dataset
    roles: Roles = Field(default_factory=Roles)
    models: dict[Name, Model] = Field(
        min_length=1, description="The networks, by the names under which their results are filed."
    )
    pairs: Annotated[
        Either[Literal["all"], Annotated[list[TwoWords], Field(min_length=1)]],
        Choices("all, or be spelled out"),
    ] = Field(
        "all",
        description="The ordered pairs of networks that dependencies are solved for: all, or a list of [source, target].",
    )
    centering: Literal["none", "per_image"] = Field(
        "none",
        description="Whether second moments are of the logits as they are (none, as in the paper) or of the logits with each image's mean subtracted (per_image).",
    )
    extraction: Extraction = Field(default_factory=Extraction)
    covlasso: CovLasso = Field(default_factory=CovLasso)
    best_subset: BestSubset = Field(default_factory=BestSubset)
    robustness: Robustness = Field(default_factory=Robustness)
    generalizability: Generalizability = Field(default_factory=Generalizability)
    theory: Theory = Field(default_factory=Theory)
    stability: Stability = Field(default_factory=Stability)
    controls: Controls = Field(default_factory=Controls)
    cards: Cards = Field(default_factory=Cards)
    explorer: Explorer = Field(default_factory=Explorer)
    tables: Tables = Field(default_factory=Tables)
    figures: Figures = Field(default_factory=Figures)
    resources: Resources = Field(default_factory=Resources)

    @property
    def max_support(self) -> int:
        """Largest support of the paths."""
        return self.covlasso.max_support or min(20, self.dataset.n_categories - 1)

    @property
    def chord_targets(self) -> int:
        """Target categories in Figure 4."""
        return self.figures.chord.n_targets or max(1, min(10, self.dataset.n_categories // 5))

    @property
    def chord_base(self) -> int:
        """Base categories in Figure 4."""
        return self.figures.chord.n_base or min(88, self.dataset.n_categories - self.chord_targets)

    def drawn_per_category(self, split: str) -> int | None:
        """Images of every category in a split; None where all photos are taken.

        Parameters
        ----------
        split : str
            Name of a split.

        Returns
        -------
        int or None
            Images per category.
        """
        given = self.dataset.splits[split].samples_per_category
        return given or (GLYPHS_PER_CATEGORY if self.dataset.kind == "glyphs" else None)

    def filled(self, given: dict[str, Any]) -> dict[str, Any]:
        """The given configuration, as plain Python, with every default and size in place.

        Parameters
        ----------
        given : dict
            The configuration as it was given.

        Returns
        -------
        dict
            The same with every key.
        """
        config = fill(Run, given)
        config["covlasso"]["max_support"] = self.max_support
        config["figures"]["chord"] |= {"n_targets": self.chord_targets, "n_base": self.chord_base}
        for split, spec in config["dataset"]["splits"].items():
            spec["samples_per_category"] = self.drawn_per_category(split)
        return config


def count_new(share: float, n_categories: int) -> int:
    """New categories of a setting: a number, or a share of all categories below 1.

    Parameters
    ----------
    share : float
        Number of new categories, or their share below 1.
    n_categories : int
        All categories.

    Returns
    -------
    int
        At least 1.

    Examples
    --------
    >>> count_new(0.1, 1000), count_new(1, 1000)
    (100, 1)
    """
    return max(1, round(share * n_categories)) if share < 1 else int(share)
