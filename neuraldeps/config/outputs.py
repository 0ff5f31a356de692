"""What the tables and figures show."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from neuraldeps.arms import PENALISED
from neuraldeps.config.blocks import Block, Choices, Either, TwoWords
from neuraldeps.estimators import ESTIMATORS

if TYPE_CHECKING:
    Estimator = str
    PenalisedArm = str
else:
    Estimator = Literal[tuple(ESTIMATORS)]
    PenalisedArm = Literal[tuple(PENALISED)]


class Cards(Block):
    """Cards, one row per category and ordered pair."""

    enabled: bool = Field(True, description="Whether cards are written.")
    sizes: list[Annotated[int, Field(ge=1)]] = Field(
        [4, 10],
        min_length=1,
        description="Support sizes of the dependencies on a card; those beyond covlasso.max_support are left out.",
    )
    diffs: list[TwoWords] = Field(
        [],
        description="Pairs of networks, two versions of one, whose dependencies are held against each other.",
    )
    n_worst: int = Field(
        5,
        ge=0,
        description="How many images a card names: those that the best subset of its first size misses most.",
    )


class Theory(Block):
    """What the paper proves and supposes, held against every solution."""

    enabled: bool = Field(
        True,
        description="Whether Eq. 5, Theorem 3 and Conjecture 1 are checked on every CovLasso solution.",
    )
    redundancy: bool = Field(
        True,
        description="Whether err(0) and the rank of the logits are measured, by one pass over the logits that takes about four times the arithmetic of a second moment.",
    )


class Stability(Block):
    """How stable the best subsets are over random halves of the images."""

    enabled: bool = Field(True, description="Whether stability is measured.")
    pairs: Literal["all", "within"] = Field(
        "all", description="The pairs that it is measured of: all, or those within a network."
    )
    n_splits: int = Field(
        5, ge=1, description="Random splits of the images; both halves of each are solved anew."
    )


class Controls(Block):
    """What the same analysis says where there is nothing learned to find, and where there is."""

    enabled: bool = Field(True, description="Whether there are controls.")
    models: list[str] | None = Field(
        None,
        description="The networks that have controls, within them and from the first other network to each; null is the target of the first pair.",
    )
    sizes: list[Annotated[int, Field(ge=1)]] = Field(
        [1, 2, 4, 10, 20],
        min_length=1,
        description="Support sizes in the table of controls; those beyond covlasso.max_support are left out.",
    )


class Explorer(Block):
    """The explorer, a folder to be opened in a browser."""

    enabled: bool = Field(True, description="Whether the explorer is made.")
    images: int = Field(
        4, ge=0, description="Sample images of each category; 0 shows characters or initials."
    )
    image_size: int = Field(
        64, ge=8, le=512, description="Largest side of its images in pixels; no image is enlarged."
    )
    max_images: int = Field(
        40_000,
        ge=0,
        description="Most images in the folder: first the samples, then those that dependencies miss most.",
    )
    block_size: int = Field(
        20,
        ge=1,
        description="Categories that a click loads at once, about 7 kB each at 20 support sizes.",
    )
    map_size: int = Field(
        4, ge=1, description="Support size of the best subsets whose communities the map shows."
    )
    in_report: bool = Field(
        False,
        description="Whether Snakemake's report has the explorer too; such a report must be an archive (`snakemake --report report.zip`).",
    )


class Table1(Block):
    """Table 1."""

    cases: Annotated[
        Either[Literal["auto"], dict[str, str]], Choices("auto, or map pairs to categories")
    ] = Field(
        "auto",
        description="The category shown for each pair of networks: auto, which chooses the one with the smallest error, or a mapping from source--target to a category's name or code; a pair that is not named is chosen automatically.",
    )
    support_size: Annotated[
        list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)
    ] = Field(
        [3, 4],
        description="Smallest and largest number of source categories that a case may have; the paper solves at one alpha instead.",
    )
    choose_by: Estimator = Field(
        "subset", description="The estimator whose error an automatic case is chosen by."
    )
    min_positives: int = Field(
        10,
        ge=1,
        description="Images that a category needs in both splits to be chosen automatically; if no category has that many, the most that any has. Where a split is only partly labelled and no category has that many labelled images in it, the target network's own top-1 stands in for the labels (pseudo-positives).",
    )


class Paper(Block):
    """Tables 1 to 4 as the paper lays them out: what stands for its method."""

    estimator: Estimator = Field(
        "lasso", description="The estimator of Table 1; the paper's own method is the Lasso."
    )
    variant: str | None = Field(
        None,
        description="The variant of Tables 2 and 4, a key of generalizability.variants; null is literal, the paper read literally, or generalizability.default_variant where no variant has that name.",
    )
    arm: PenalisedArm = Field(
        "literal", description="The arm of Table 3 that stands for the paper's regulariser."
    )


class Tables(Block):
    """What the tables show."""

    table1: Table1 = Field(default_factory=Table1)
    paper: Paper = Field(default_factory=Paper)


class Star(Block):
    """Figures 1 and 2."""

    estimator: Estimator = Field(
        "subset",
        description="The estimator whose dependencies the star graphs show; beside any other than the Lasso's, the Lasso's refit of the same category is drawn small.",
    )


class Correlation(Block):
    """Figure 3."""

    n_targets: int = Field(4, ge=1, description="Number of target categories in Figure 3.")
    relative_alpha: float = Field(
        0.1, gt=0, lt=1, description="Penalty in Figure 3, as a share of each target's alpha_max."
    )


class Chord(Block):
    """Figure 4."""

    model: str | None = Field(
        None, description="The network that the chord graph shows; null takes the first model."
    )
    n_base: int | None = Field(
        None,
        ge=2,
        description="Number of base categories on the chord graph's ring; null is 88, or all that are not targets if they are fewer.",
    )
    n_targets: int | None = Field(
        None,
        ge=1,
        description="Number of target categories inside the chord graph; null is 10, or a fifth of all categories if that is less.",
    )
    support_size: int = Field(
        4, ge=1, description="Number of source categories of each target in the chord graph."
    )


class Galleries(Block):
    """Galleries of star graphs: the categories of every ordered pair with the best and the most peculiar dependencies."""

    n_categories: int = Field(
        6,
        ge=0,
        description="Categories in each of a pair's two galleries, the best and the most peculiar; 0 leaves galleries out.",
    )
    per_page: int = Field(6, ge=1, description="Star graphs on a page, three side by side.")
    support_size: int = Field(
        4,
        ge=1,
        description="Number of source categories of each target, at most; covlasso.max_support where that is less.",
    )
    estimator: Estimator = Field(
        "subset", description="The estimator whose dependencies are chosen and shown."
    )


class Figures(Block):
    """What the figures show."""

    star: Star = Field(default_factory=Star)
    correlation: Correlation = Field(default_factory=Correlation)
    chord: Chord = Field(default_factory=Chord)
    galleries: Galleries = Field(default_factory=Galleries)
