"""The paper's experiments: a dependency cut off, and new categories from base categories' logits."""

from typing import Annotated, Literal

from pydantic import Field

from neuraldeps.config.blocks import Block, Choices, Either, Name, OfGlyphs, TwoWords
from neuraldeps.config.training import BareOptimizer, BareSchedule
from neuraldeps.weight_penalties import FORMULAS, WEIGHT_PENALTIES

TrainedModels = Annotated[Either[Literal["all"], list[str]], Choices("all, or a list")]
Positive = Annotated[float, Field(gt=0)]


class FinetuneOptimizer(BareOptimizer):
    """The optimiser of fine-tuning: timm's create_optimizer_v2."""

    lr: float = Field(0.01, gt=0, description="Peak learning rate.")


class Finetune(Block):
    """How all arms of Table 3 are fine-tuned; what is not named here is as in the network's own training."""

    epochs: int = Field(1, ge=1, description="Passes over the training set.")
    samples_per_category: OfGlyphs[int] = Field(
        64, ge=1, description="Fresh images of every category per epoch."
    )
    valid_samples_per_category: int = Field(
        4,
        ge=1,
        description="Images of every category that the validation curve is computed on; of photos, the first ones of roles.test.",
    )
    batch_size: int = Field(256, ge=1, description="Images per update on each device.")
    optimizer: FinetuneOptimizer = Field(default_factory=FinetuneOptimizer)
    schedule: BareSchedule = Field(default_factory=BareSchedule)


class ChoosePair(Block):
    """Which dependencies an automatic category pair is chosen among."""

    support_size: int = Field(
        4,
        ge=1,
        description="Largest number of source categories in the dependencies that auto chooses a category pair among.",
    )
    shape_quantile: OfGlyphs[float] = Field(
        0.75,
        ge=0,
        le=1,
        description="Share of all pairs of categories that must be more alike in shape than the category pair that auto chooses.",
    )


class Robustness(Block):
    """Table 3: one dependency cut off by fine-tuning."""

    models: TrainedModels = Field(
        [],
        description="The networks that Table 3 is made of: all that are trained here, or a list of them; an empty list leaves the table out.",
    )
    seeds: int = Field(
        1,
        ge=1,
        description="How many times every network is trained and fine-tuned, each time with the next seed; the first is the seed of the run.",
    )
    category_pair: Annotated[
        Either[Literal["auto"], dict[str, TwoWords]], Choices("auto, or map models to pairs")
    ] = Field(
        "auto",
        description="The dependency that is cut off: auto chooses one, or a mapping from a network to [target, source], names or codes of two categories.",
    )
    choose_pair: ChoosePair = Field(default_factory=ChoosePair)
    penalty_weight: float = Field(0.2, gt=0, description="Weight of the penalty in the loss.")
    start_epochs: int | None = Field(
        None,
        ge=1,
        description="Epochs of the baseline's schedule after which fine-tuning starts (in the paper 60 of 90); null fine-tunes the finished baseline.",
    )
    finetune: Finetune = Field(default_factory=Finetune)
    ood_categories: Annotated[
        Either[Literal["all", "folders"], list[str]], Choices("all, folders or a list")
    ] = Field(
        "all",
        description="Categories that the anomaly score's softmax runs over and whose images count as in-distribution: all, folders (those that the folders of the out-of-distribution images are named after, as in ImageNet-O), or a list.",
    )
    n_bootstrap: int = Field(
        1000, ge=1, description="Number of paired bootstrap resamples of the images."
    )


class Variant(Block):
    """What W minimises: cross-entropy with the softmax over all categories, plus a penalty."""

    images: Literal["new", "all"] = Field(
        description="Images that the cross-entropy is summed over: those of the new categories alone (the paper read literally), or all."
    )
    penalty: Literal[tuple(WEIGHT_PENALTIES)] = Field(  # type: ignore[valid-type]
        description=f"The penalty: {FORMULAS}."
    )
    strengths: Annotated[list[Positive], Field(min_length=1)] = Field(
        description="Strengths of the penalty, in nats per image; of several, the best on held-out training images is used. The paper's literal reading uses the network's own weight decay."
    )


class Generalizability(Block):
    """Tables 2 and 4: new categories learned from the logits of a network that never saw them."""

    models: TrainedModels = Field(
        [],
        description="The networks that Tables 2 and 4 are made of: all that are trained here, or a list of them; an empty list leaves the tables out.",
    )
    seeds: int = Field(
        1,
        ge=1,
        description="How many times every setting is run, each time with the next seed; the first is the seed of the run.",
    )
    new: Annotated[list[Positive], Field(min_length=1)] = Field(
        [0.1, 0.05, 1],
        description="Number of new categories in each setting; below 1, a share of all categories.",
    )
    balanced: int | None = Field(
        None,
        ge=4,
        description="Number of images of the one new category that the balanced setting is learned on, as many of all other categories together, and as many again to evaluate on; null leaves this setting out.",
    )
    fit_split: str | None = Field(
        None,
        description="The split of dataset.splits whose images W is learned on; null uses roles.fit.",
    )
    samples_per_category: int | None = Field(
        None, ge=2, description="Images of every category that W is learned on; null uses all."
    )
    held_out_every: int = Field(
        4,
        ge=2,
        description="One in this many training images is held out to choose the strength of the penalty on.",
    )
    variants: dict[Name, Variant] = Field(
        {
            "literal": {"images": "new", "penalty": "l2", "strengths": [5.0e-4]},
            "new-l2": {"images": "new", "penalty": "l2", "strengths": [100, 30, 10, 3, 1, 0.3]},
            "new-l1": {
                "images": "new",
                "penalty": "l1",
                "strengths": [10, 3, 1, 0.3, 0.15, 0.1, 0.05],
            },
            "all-l2": {"images": "all", "penalty": "l2", "strengths": [0.1, 0.01, 0.001]},
        },
        min_length=1,
        validate_default=True,
        description="Objectives that W is learned by, under the names that the tables show.",
    )
    default_variant: str = Field(
        "all-l2",
        description="The variant that the tables name as the default. all-l2 was chosen with hindsight, after test accuracies had been seen.",
    )
