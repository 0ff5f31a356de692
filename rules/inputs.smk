# What jobs are given: inputs and parameters, as functions of the wildcards.
from pathlib import Path

from neuraldeps.images.listing import check_there


def without(options, *apart):
    """Options but for some."""
    return {key: value for key, value in options.items() if key not in apart}


def model_spec(wildcards):
    """A model's entry in the configuration, as plain Python."""
    return in_order(config["models"][wildcards.model])


def network_spec(wildcards):
    """What a network is built from, without where its weights come from and how it is run."""
    apart = ("train", "checkpoint", "channels_last")
    return without(model_spec(wildcards), *apart)


def own_checkpoint(wildcards):
    """The weight file that the user gives, if any."""
    path = model_spec(wildcards).get("checkpoint")
    return [path] if path else []


def checkpoint_input(wildcards):
    """The weights that logits are extracted with; none where timm downloads them."""
    if wildcards.model in TRAINED:
        return {"checkpoint": f"results/networks/{wildcards.model}/model.safetensors"}
    return {"checkpoint": path for path in own_checkpoint(wildcards)}


def extraction_options(wildcards):
    """What logits depend on, without what only spreads the work."""
    channels_last = model_spec(wildcards)["channels_last"]
    return in_order({**config["extraction"], "channels_last": channels_last})


def logits_parts(wildcards):
    """Markers of the parts of a split, where several jobs share it."""
    parts = config["resources"]["jobs_per_split"]
    stem = f"results/logits/{wildcards.model}/{wildcards.split}"
    return [f"{stem}.part{part}.done" for part in range(parts)] if parts > 1 else []


def imported_state(wildcards):
    """What imported logits are, where they are a folder."""
    return folder_state(model_spec(wildcards)["logits"][wildcards.split])


def glyphs_per_category(wildcards):
    """Images of every character in a split."""
    return config["dataset"]["splits"][wildcards.split]["samples_per_category"]


def split_spec(wildcards):
    """Where the photos of a split come from, and which of them are taken."""
    return in_order(config["dataset"]["splits"][wildcards.split])


def given_tables(wildcards):
    """The tables that a split's index is made from: its own, and one of categories."""
    spec, key = split_spec(wildcards), f"dataset.splits.{wildcards.split}"
    categories = config["dataset"]["categories"]
    try:
        if not Path(f"results/images/{wildcards.split}.zarr").exists():
            check_there(spec, key, categories)
    except InputError as error:
        # one line: Snakemake puts a traceback around any other exception
        raise SystemExit(f"Error: {error}") from None
    given = [spec["csv"], categories]
    return [path for path in given if path and path.endswith(".csv")]


def categories_store(split):
    """A store that has the categories; of the glyphs one that does not change with the images."""
    return f"results/images/{'bitmaps' if GLYPH_SPLITS else split}.zarr"


def categories_of_fit(wildcards):
    """Where nothing else names the categories, the index whose names all splits share."""
    own = config["dataset"]["categories"] or wildcards.split == FIT
    return [] if own else categories_store(FIT)


def folders_name_categories(wildcards):
    """Whether Table 3 takes the categories that out-of-distribution images' folders are named by."""
    known = config["dataset"]["categories"] is not None
    by_folders = ROBUST_MODELS and ROBUSTNESS["ood_categories"] == "folders"
    return bool(known and by_folders and wildcards.split == OOD)


def named_categories():
    """What the configuration calls categories by, under its keys."""
    cases, pairs = config["tables"]["table1"]["cases"], ROBUSTNESS["category_pair"]
    named = {} if cases == "auto" else dict(cases)
    named = {
        f"tables.table1.cases.{pair}": [name]
        for pair, name in named.items()
        if name != "auto"
    }
    if pairs != "auto":
        named |= {
            f"robustness.category_pair.{model}": pair for model, pair in pairs.items()
        }
    if isinstance(ROBUSTNESS["ood_categories"], list):
        named["robustness.ood_categories"] = ROBUSTNESS["ood_categories"]
    return {key: [str(name) for name in names] for key, names in sorted(named.items())}


def training_images(wildcards):
    """What a network learns from: bitmaps to pose, or photos and some to draw its curve with."""
    if GLYPH_SPLITS:
        return {"images": "results/images/bitmaps.zarr"}
    split = model_spec(wildcards)["train"]["split"]
    return {
        "images": f"results/images/{split}.zarr",
        "validation": f"results/images/{TEST}.zarr",
    }


def training_options(wildcards):
    """Options that a training depends on, without the numbers of its images."""
    apart = ["samples_per_category", "valid_samples_per_category", "split", "seed"]
    apart += ["augmentation"] if GLYPH_SPLITS else []
    entry = model_spec(wildcards)
    options = {**entry["train"], "channels_last": entry["channels_last"]}
    options["trainer"] = without(options["trainer"], "workers")
    return in_order(without(options, *apart))


def training_seed(wildcards):
    """The seed of a network's training: its own, or the run's."""
    own = model_spec(wildcards)["train"]["seed"]
    return config["seed"] if own is None else own


def start_folder(model, seed):
    """Where a network lies after the epochs that fine-tuning starts from."""
    return f"results/networks/{model}/seed{seed}/start"


def training_begun(wildcards):
    """The state after the epochs that Table 3's fine-tuning starts from: trained once for both."""
    if START_EPOCHS is None or wildcards.model not in ROBUST_MODELS:
        return []
    seed = wildcards.get("seed", config["seed"])
    return f"{start_folder(wildcards.model, seed)}/last.ckpt"


def moment_path(source, target):
    """The store of an unordered pair: names sorted, so that a further model moves no file."""
    first, second = sorted((source, target))
    return f"results/moments/{first}--{second}.zarr"


def pair_moments(wildcards):
    """The second moment of a rule's ordered pair."""
    return moment_path(wildcards.source, wildcards.target)


def target_redundancy(wildcards):
    """err(0) within the target network, where it is measured."""
    if not config["theory"]["redundancy"]:
        return {}
    return {"redundancy": f"results/theory/redundancy/{wildcards.target}.zarr"}


def proven_size(wildcards):
    """Size up to which best subsets are proven; of control networks pairs at most."""
    given = config["best_subset"]["proven_size"]
    return min(given or 2, 2) if wildcards.source in CONTROL_MODELS else given


def judged_splits(wildcards):
    """The sets of images that judge a pair; of control networks the held-out one alone."""
    return [TEST] if wildcards.source in CONTROL_MODELS else JUDGED_SPLITS


def judged_logits(side):
    """Logits of one side of a pair that judge it."""
    return lambda wildcards: [
        f"results/logits/{wildcards[side]}/{split}.zarr"
        for split in judged_splits(wildcards)
    ]


def known_stability(wildcards):
    """The stability of a pair's best subsets, where it is measured."""
    if (wildcards.source, wildcards.target) not in STABILITY_PAIRS:
        return {}
    return {
        "stability": f"results/stability/{wildcards.source}--{wildcards.target}.zarr"
    }


def known_redundancy(wildcards):
    """err(0) of a pair's targets: known within a network, where it is measured."""
    return target_redundancy(wildcards) if wildcards.source == wildcards.target else {}


def wanted_pair(model):
    """The pair that the configuration names for a network, if any."""
    pair = ROBUSTNESS["category_pair"]
    return None if pair == "auto" else pair.get(model)


def arm_inputs(wildcards):
    """What an arm starts from, and the pair where it carries a penalty."""
    folder = start_folder if START_EPOCHS else baseline_folder
    start = f"{folder(wildcards.model, wildcards.seed)}/model.safetensors"
    pair = {"pair": f"results/robustness/{wildcards.model}/pair.json"}
    return {"start": start} | (pair if wildcards.arm in PENALISED else {})


def arm_checkpoint(wildcards):
    """The weights of an arm."""
    return f"{arm_folder(wildcards.model, wildcards.seed, wildcards.arm)}/model.safetensors"


def arm_options(wildcards):
    """Fine-tuning, on the same machine in the same way as the network's own training."""
    own, given = training_options(wildcards), ROBUSTNESS["finetune"]
    optimizer = without(own["optimizer"], "opt_kwargs") | given["optimizer"]
    options = {**own, **given, "optimizer": optimizer}
    apart = ("samples_per_category", "valid_samples_per_category")
    return in_order(without(options, *apart))


def arm_penalty(wildcards):
    """Weight and form of an arm's penalty, if it has one."""
    if wildcards.arm not in PENALISED:
        return None
    return {"weight": ROBUSTNESS["penalty_weight"], "form": wildcards.arm}


def arm_logits(role):
    """Every arm's logits of one set of images; the main job's where it has them."""

    def stores(wildcards):
        model, split, is_first = (
            wildcards.model,
            ROLES[role],
            int(wildcards.seed) == config["seed"],
        )
        stem = f"results/robustness/{model}/seed{wildcards.seed}"
        return [
            (
                f"results/logits/{model}/{split}.zarr"
                if is_first and arm == BASELINE
                else f"{stem}/{arm}/{split}.zarr"
            )
            for arm in ROBUST_ARMS
        ]

    return stores


def categories_path(wildcards):
    """The table of base and new categories of a setting and seed."""
    return f"results/generalizability/categories/{wildcards.setting}_seed{wildcards.seed}.csv"


def base_folder(wildcards):
    """Where the network of a setting lies."""
    model, setting, seed = wildcards.model, wildcards.setting, wildcards.seed
    if setting == BASELINE:
        return baseline_folder(model, seed)
    return f"results/generalizability/{model}/{setting}/seed{seed}"


def training_benchmarks(model, setting, seed):
    """Where Snakemake wrote how long a network's training took, of both of its parts if it had two."""
    if setting != BASELINE:
        parts = [f"train_base/{model}/{setting}/{seed}"]
    elif seed == config["seed"]:
        parts = [f"train_backbone/{model}"]
    else:
        parts = [f"train_baseline/{model}/{seed}"]
    if setting == BASELINE and START_EPOCHS and model in ROBUST_MODELS:
        parts.insert(0, f"train_start/{model}/{seed}")
    return [f"logs/benchmarks/{part}.tsv" for part in parts]


def base_inputs(wildcards):
    """Weights and card of the network that logits are extracted with."""
    folder = base_folder(wildcards)
    card = (
        f"results/networks/{wildcards.model}"
        if wildcards.setting == BASELINE
        else folder
    )
    return {"checkpoint": f"{folder}/model.safetensors", "card": f"{card}/card.json"}


def base_images(wildcards):
    """Images of all categories, or the balanced ones of the one new category."""
    if wildcards.split == "balanced":
        return f"results/generalizability/images/balanced_seed{wildcards.seed}.zarr"
    return f"results/images/{wildcards.split}.zarr"


def base_logits(wildcards, split):
    """A base network's logits for a task."""
    split = "balanced" if wildcards.task == "balanced" else split
    stem = f"results/generalizability/{wildcards.model}/{wildcards.setting}"
    return f"{stem}/seed{wildcards.seed}/logits/{split}.zarr"


def baseline_logits(wildcards):
    """The baseline's logits for a task; the main job's where it has them."""
    split = "balanced" if wildcards.task == "balanced" else TEST
    if split == TEST and int(wildcards.seed) == config["seed"]:
        return f"results/logits/{wildcards.model}/{TEST}.zarr"
    stem = f"results/generalizability/{wildcards.model}/{BASELINE}"
    return f"{stem}/seed{wildcards.seed}/logits/{split}.zarr"


def findings_tables():
    """The tables that the paper's claims are judged by, as far as the run has them."""
    names = ["table1_distribution", "networks"]
    names += ["redundancy", "sparsity"] if config["theory"]["enabled"] else []
    names += ["controls", "planted"] if CONTROLLED_PAIRS else []
    names += ["stability", "agreement"] if STABILITY_PAIRS else []
    names += ["table3"] if ROBUST_MODELS else []
    names += ["table2", "table4"] if GENERAL_MODELS else []
    times = ["logs/tables/table2_times.csv"] if GENERAL_MODELS else []
    return [f"results/tables/{name}.csv" for name in names] + times


def made_outputs():
    """Every table, figure and set of images that the configuration asks for."""
    figures = ["figure1", "figure3", "figure4", "error_by_support", "share_within"]
    figures += ["accuracy_kept", "accuracy_replaced"]
    figures += [f"star/{source}--{target}" for source, target in PAIRS]
    figures += [f"graph/{source}" for source, target in PAIRS if source == target]
    outputs = expand("results/tables/table1{which}.csv", which=["", "_distribution"])
    outputs += ["results/tables/networks.csv", "results/findings.md"]
    laid_out = [1] + [3] * bool(ROBUST_MODELS) + [2, 4] * bool(GENERAL_MODELS)
    outputs += expand("results/tables/table{number}_paper.csv", number=laid_out)
    if config["theory"]["enabled"]:
        outputs += expand("results/tables/{name}.csv", name=["redundancy", "sparsity"])
    if STABILITY_PAIRS:
        outputs += expand("results/tables/{name}.csv", name=["stability", "agreement"])
        figures += ["stability"]
    if CONTROLLED_PAIRS:
        outputs += expand("results/tables/{name}.csv", name=["controls", "planted"])
    if config["explorer"]["enabled"]:
        outputs += ["results/explorer"]
    if config["cards"]["enabled"]:
        outputs += [f"results/cards/{source}--{target}.csv" for source, target in PAIRS]
    if ROBUST_MODELS:
        outputs += ["results/tables/table3.csv"]
        figures += ["table3", "table3_curves"]
    if GENERAL_MODELS:
        outputs += expand("results/tables/table{number}.csv", number=[2, 4])
        outputs += ["logs/tables/table2_times.csv"]
        figures += ["table2_curves"]
    if TRAINED:
        figures += ["training_curves"]
    if GLYPH_SPLITS:
        figures += ["contact_sheet"]
        outputs += expand("results/images/{split}.zarr", split=SPLITS)
    if GALLERY_PAGES:
        outputs += [
            f"results/figures/galleries/{source}--{target}_{kind}.pdf"
            for source, target in PAIRS
            for kind in ("best", "peculiar")
        ]
    outputs += [
        f"results/diff/{first}--{second}.csv"
        for first, second in config["cards"]["diffs"]
    ]
    # asked for, so that who removes an index has it made again, and all that comes of it
    outputs += expand("results/images/{split}.zarr", split=USED_PHOTO_SPLITS)
    return outputs + expand("results/figures/{figure}.png", figure=figures)


def final_outputs():
    """Everything that the configuration asks for, and its description."""
    return [*made_outputs(), CRATE]
