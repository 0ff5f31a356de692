"""What no single key can say: keys that disagree with each other, each in one line."""

import re
from collections.abc import Generator, Iterable, Iterator
from itertools import product

from neuraldeps.config.blocks import InputFile, OnlyFor, dotted, given_keys, leaves_of
from neuraldeps.config.dataset import N_GLYPHS, N_OOD_GLYPHS
from neuraldeps.config.networks import Model
from neuraldeps.config.run import Run, count_new
from neuraldeps.config.training import Train

SOURCES = ("train", "pretrained", "checkpoint", "logits")
STREAMS = ("wds/", "tfds/", "hfids/")


def contradictions(run: Run) -> Iterator[str]:
    """Every contradiction between keys, in the order in which they are best corrected.

    Parameters
    ----------
    run : Run
        A configuration whose single keys are right.

    Yields
    ------
    str
        The key, its value, and the fix.
    """
    yield from _other_kinds(run)
    yield from _braces(run)
    yield from _models(run)
    yield from _splits(run)
    yield from _pairs(run)
    yield from _covlasso(run)
    yield from _robustness(run)
    yield from _generalizability(run)
    yield from _shown(run)


def _one_of(names: Iterable[str], what: str) -> str:
    return f"one of {what}: {', '.join(names)}"


def _other_kinds(run: Run) -> Iterator[str]:
    """Keys that have a meaning for another kind of data set alone."""
    kind = run.dataset.kind
    for path, field, value in given_keys(run):
        default = field.get_default(call_default_factory=True)
        for mark in field.metadata:
            if isinstance(mark, OnlyFor) and kind not in mark.kinds and value != default:
                yield f"{dotted(path)} is for {mark.words} but dataset.kind is {kind}; remove it"


def _braces(run: Run) -> Iterator[str]:
    """Files whose names Snakemake would take for a pattern; it knows no way to say otherwise."""
    for path, field, value in given_keys(run):
        if not any(isinstance(mark, InputFile) for mark in field.metadata):
            continue
        for key, name in leaves_of(value, path):
            if name and (pattern := re.search(r"\{[^{}]+\}", name)):
                yield (
                    f"{dotted(key)} is {name!r}, in which Snakemake would take {pattern[0]} for a wildcard; "
                    "rename the file or folder"
                )


def _models(run: Run) -> Iterator[str]:
    """Where the weights or logits of a network come from: said once."""
    for name, model in run.models.items():
        key = f"models.{name}"
        for block in "train", "logits", "labels", "paths":
            if block in model.model_fields_set and getattr(model, block) is None:
                yield f"{key}.{block} is empty; indent its keys below it, or remove it"
        given = [source for source in SOURCES if getattr(model, source)]
        if len(given) != 1:
            what = " and ".join(given) or "none"
            yield f"{key} has {what} of {', '.join(SOURCES)}; give exactly one"
        elif model.logits:
            yield from _imported(run, key, model, model.logits)
        elif model.architecture is None:
            yield f"missing key {key}.architecture; add the name of a timm model"
        elif run.dataset.kind == "logits":
            yield f"{key} is a network but dataset.kind is logits; give {key}.logits"
        elif model.labels or model.paths:
            extra = "labels" if model.labels else "paths"
            yield f"{key}.{extra} is for imported logits but {key}.{given[0]} is given; remove it"
        elif model.train and run.dataset.kind == "photos":
            yield from _training(run, f"{key}.train", model.train)


def _imported(run: Run, key: str, model: Model, logits: dict[str, str]) -> Iterator[str]:
    """Imported logits have a file for every split that is used."""
    for block in "logits", "labels", "paths":
        for split in getattr(model, block) or ():
            if split not in run.dataset.splits:
                known = _one_of(run.dataset.splits, "dataset.splits")
                yield f"{key}.{block} names {split!r}; it must be {known}"
            elif split not in logits:
                yield (
                    f"{key}.{block}.{split} is of imported logits, but there is no "
                    f"{key}.logits.{split}; add it, or remove the other"
                )
    for split in (run.roles.fit, run.roles.test):
        if split not in logits:
            yield f"missing key {key}.logits.{split}; add the path of its logits"
        elif logits[split].endswith(".npy") and split not in (model.labels or {}):
            labelled = [name for name in run.models if split in (run.models[name].labels or {})]
            if labelled:
                yield (
                    f"missing key {key}.labels.{split}, which models.{labelled[0]} has; labels "
                    "are of the images: give the same to every model"
                )


def _training(run: Run, key: str, train: Train) -> Iterator[str]:
    """Where photos to train on come from, and how they are mixed."""
    splits, split = run.dataset.splits, train.split
    if split not in splits:
        yield f"{key}.split is {split!r}; it must be {_one_of(splits, 'dataset.splits')}"
    elif split == run.roles.test:
        yield f"{key}.split is {split!r}, which is kept for evaluation; choose another of dataset.splits"
    elif not splits[split].labels:
        yield f"{key}.split is {split!r}, whose images have no labels; choose another of dataset.splits"
    elif (splits[split].origin or "").startswith(STREAMS):
        yield (
            f"{key}.split is {split!r}, which can only be read from start to end; choose another of dataset.splits, "
            "or unpack it into folders"
        )
    how = train.augmentation
    mixes = how.mixup or how.cutmix or how.mixup_kwargs.cutmix_minmax
    if mixes and train.batch_size % 2:
        yield f"{key}.batch_size is {train.batch_size}; mixup and cutmix need an even number"


def _splits(run: Run) -> Iterator[str]:
    """Where the images of a split come from: said once."""
    for split, spec in run.dataset.splits.items() if run.dataset.kind == "photos" else ():
        key = f"dataset.splits.{split}"
        if not (spec.csv or spec.data_dir or spec.origin):
            yield f"{key} has no images; add data_dir (a folder or tar), origin (timm's name) or csv"
        elif spec.csv and (spec.origin or spec.origin_split or spec.class_map):
            yield f"{key} has csv and one of origin, origin_split, class_map; give csv or the others"
        elif spec.samples and spec.samples_per_category:
            yield f"{key} has samples and samples_per_category; give one"
    if run.dataset.kind == "glyphs":
        counts = ("n_categories", N_GLYPHS), ("n_ood", N_OOD_GLYPHS)
        for key, there in counts:
            if getattr(run.dataset, key) > there:
                yield f"dataset.{key} is {getattr(run.dataset, key)}; there are {there} glyphs"


def _pairs(run: Run) -> Iterator[str]:
    """Pairs of networks, and the cases that are named by them."""
    for role in "fit", "test":
        if (split := getattr(run.roles, role)) not in run.dataset.splits:
            allowed = _one_of(run.dataset.splits, "dataset.splits")
            yield f"roles.{role} is {split!r}; it must be {allowed}"
    pairs = run.pairs if isinstance(run.pairs, list) else product(run.models, run.models)
    known = ["--".join(pair) for pair in pairs]
    cases = run.tables.table1.cases
    for case in cases if isinstance(cases, dict) else ():
        if case not in known:
            yield f"tables.table1.cases names {case!r}; it must be {_one_of(known, 'pairs')}"
    for number, pair in enumerate(run.pairs if isinstance(run.pairs, list) else ()):
        for model in pair:
            if model not in run.models:
                yield f"pairs[{number}] names {model!r}; it must be {_one_of(run.models, 'models')}"


def _covlasso(run: Run) -> Iterator[str]:
    """How large supports can be, and which of them Table 1 shows."""
    n_categories, sizes = run.dataset.n_categories, run.tables.table1.support_size
    if run.max_support >= n_categories:
        yield (
            f"covlasso.max_support is {run.max_support}; it must be less than "
            f"dataset.n_categories, {n_categories}"
        )
    if sizes[0] > sizes[1] or sizes[1] > run.max_support:
        yield (
            f"tables.table1.support_size is {sizes}; it must be in ascending order and at most "
            f"covlasso.max_support, {run.max_support}"
        )


def _robustness(run: Run) -> Iterator[str]:
    """What Table 3 is made of."""
    given, splits, kind, ood = run.robustness, run.dataset.splits, run.dataset.kind, run.roles.ood
    models = yield from _trained_here(run, "robustness", given.models)
    if models and ood not in splits:
        yield f"roles.ood is {ood!r}; it must be {_one_of(splits, 'dataset.splits')}"
    for model in given.category_pair if isinstance(given.category_pair, dict) else ():
        if model not in models:
            known = _one_of(models, "robustness.models")
            yield f"robustness.category_pair names {model!r}; it must be {known}"
    if given.ood_categories == "folders" and kind != "photos":
        yield f"robustness.ood_categories is 'folders', for photos, but dataset.kind is {kind}; use all"
    if models and kind == "glyphs" and ood != "ood":
        yield f"roles.ood is {ood!r}; of the glyphs it must be ood"
    if models and given.choose_pair.support_size > run.max_support:
        yield (
            f"robustness.choose_pair.support_size is {given.choose_pair.support_size}; it must be at most "
            f"covlasso.max_support, {run.max_support}"
        )
    for model in models:
        train = run.models[model].train
        if train and (given.start_epochs or 0) > train.epochs:
            yield (
                f"robustness.start_epochs is {given.start_epochs}; it must be at most "
                f"models.{model}.train.epochs, {train.epochs}"
            )


def _generalizability(run: Run) -> Iterator[str]:
    """What Tables 2 and 4 are made of."""
    given, splits = run.generalizability, run.dataset.splits
    split = given.fit_split or run.roles.fit
    models = yield from _trained_here(run, "generalizability", given.models)
    if models and split not in splits:
        known = _one_of(splits, "dataset.splits")
        yield f"generalizability.fit_split is {split!r}; it must be {known}"
    elif models and split == run.roles.test:
        yield f"generalizability.fit_split is {split!r}, which is kept for evaluation; choose another of dataset.splits"
    elif models and not splits[split].labels:
        yield (
            f"generalizability.fit_split is {split!r}, whose images have no labels; choose another of "
            "dataset.splits"
        )
    elif models:
        yield from _learned(run, split, models)
    n_categories = run.dataset.n_categories
    for number, new in enumerate(given.new):
        if count_new(new, n_categories) >= n_categories - 1:
            yield (
                f"generalizability.new[{number}] is {new:g}; it must leave two of "
                f"dataset.n_categories, {n_categories}"
            )
    if given.default_variant not in given.variants:
        known = _one_of(given.variants, "generalizability.variants")
        yield f"generalizability.default_variant is {given.default_variant!r}; it must be {known}"
    shown = run.tables.paper.variant
    if shown is not None and shown not in given.variants:
        known = _one_of(given.variants, "generalizability.variants")
        yield f"tables.paper.variant is {shown!r}; it must be {known}"


def _learned(run: Run, split: str, models: list[str]) -> Iterator[str]:
    """How many images of each category W is learned on."""
    given, drawn = run.generalizability, run.drawn_per_category(split)
    if given.balanced and run.dataset.kind == "photos":
        if drawn is None or drawn < given.balanced:
            yield (
                f"generalizability.balanced is {given.balanced}; dataset.splits.{split}."
                "samples_per_category must be larger than that, to leave images to evaluate on"
            )
        for model in models:
            train = run.models[model].train
            if train and train.split != split:
                yield (
                    f"generalizability.fit_split is {split!r} and models.{model}.train.split "
                    f"{train.split!r}; make them the same: the balanced setting is evaluated on images outside it"
                )
    counts = {
        "generalizability.balanced": given.balanced,
        "generalizability.samples_per_category": given.samples_per_category,
        f"dataset.splits.{split}.samples_per_category": drawn,
    }
    for key, count in counts.items():
        if count and count < given.held_out_every:
            every = given.held_out_every
            yield f"generalizability.held_out_every is {every}; it must be at most {key}, {count}"


def _trained_here(run: Run, block: str, models: str | list[str]) -> Generator[str, None, list[str]]:
    """Give a block's networks back; they must be trained here."""
    trained = {name: model.train for name, model in run.models.items() if model.train}
    of_run = [name for name, train in trained.items() if train.seed in (None, run.seed)]
    if isinstance(models, str):
        return of_run
    for model in models:
        if model not in trained:
            known = _one_of(trained, "the trained models")
            yield f"{block}.models names {model!r}; it must be {known}"
        elif model not in of_run:
            yield (
                f"{block}.models names {model!r}, whose training has a seed of its own; name a network of the "
                f"run's seed ({', '.join(of_run) or 'there is none'}): {block}.seeds counts on from that one"
            )
    return models


def _shown(run: Run) -> Iterator[str]:
    """Networks that are there, and what fits into Figure 4."""
    model, n_categories = run.figures.chord.model, run.dataset.n_categories
    if model is not None and model not in run.models:
        yield f"figures.chord.model is {model!r}; it must be {_one_of(run.models, 'models')}"
    for one, other in run.cards.diffs:
        for model in (one, other):
            if model not in run.models:
                known = _one_of(run.models, "models")
                yield f"cards.diffs names {model!r}; it must be {known}"
        if one == other:
            yield f"cards.diffs names {one!r} twice in a pair; name two networks"
    for model in run.controls.models or []:
        if model not in run.models:
            known = _one_of(run.models, "models")
            yield f"controls.models names {model!r}; it must be {known}"
    shown = run.chord_base + run.chord_targets
    if shown > n_categories:
        yield (
            f"figures.chord.n_base + n_targets is {shown}; it must be at most "
            f"dataset.n_categories, {n_categories}"
        )
