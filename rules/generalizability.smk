# in:  results/images/, results/networks/{model}/, results/logits/{model}/
# out: results/generalizability/, results/tables/table{2,4}.{csv,md,tex}, logs/tables/table2_times.csv

GENERAL = config["generalizability"]
GENERAL_MODELS = TRAINED if GENERAL["models"] == "all" else list(GENERAL["models"])
GENERAL_SEEDS = [config["seed"] + number for number in range(GENERAL["seeds"])]
GENERAL_SPLIT = GENERAL["split"] or FIT
# a number of new categories, or a share of all
NEW_COUNTS = [
    max(1, round(new * N_CATEGORIES)) if new < 1 else int(new) for new in GENERAL["new"]
]
# in the paper's words, 900 -> 100 is 900to100; the baseline knows all categories
SETTINGS = {f"{N_CATEGORIES - n_new}to{n_new}": n_new for n_new in NEW_COUNTS}
SETTING_OF_ONE = f"{N_CATEGORIES - 1}to1"
TASKS = [(setting, "multiclass") for setting in SETTINGS]
TASKS += [(SETTING_OF_ONE, "balanced")] if GENERAL["balanced"] else []
GENERAL_RUNS = [
    f"results/generalizability/{model}/{setting}/seed{seed}/{task}"
    for model in GENERAL_MODELS
    for setting, task in TASKS
    for seed in GENERAL_SEEDS
]


def generalizability_problems():
    """What the schema cannot say about the block."""
    if isinstance(GENERAL["models"], str) and GENERAL["models"] != "all":
        yield f"generalizability.models is {GENERAL['models']!r}; it must be all, or a list"
    for model in GENERAL_MODELS:
        if model not in TRAINED:
            known = ", ".join(TRAINED)
            yield f"generalizability.models names {model!r}; it must be one of the trained models: {known}"
    if GENERAL_MODELS and GENERAL_SPLIT not in SPLITS:
        known = ", ".join(SPLITS)
        yield f"generalizability.split is {GENERAL_SPLIT!r}; it must be one of dataset.splits: {known}"
    if GENERAL_MODELS and GENERAL_SPLIT == TEST:
        yield f"generalizability.split is {TEST!r}, which judges; take another of dataset.splits"
    for number, n_new in enumerate(NEW_COUNTS):
        if n_new >= N_CATEGORIES - 1:
            yield (
                f"generalizability.new[{number}] is {GENERAL['new'][number]}; it must leave two of "
                f"dataset.n_categories, {N_CATEGORIES}"
            )
    if GENERAL["default_variant"] not in GENERAL["variants"]:
        known = ", ".join(GENERAL["variants"])
        yield (
            f"generalizability.default_variant is {GENERAL['default_variant']!r}; it must be one of "
            f"generalizability.variants: {known}"
        )


for problem in generalizability_problems():
    raise WorkflowError(f"{CONFIG_NAME}: {problem}")


wildcard_constraints:
    setting=one_of([*SETTINGS, SETTING_OF_ONE, "baseline"]),
    task="multiclass|balanced",
    seed=r"\d+",


def categories_path(wildcards):
    """The table of base and new categories of a setting and seed."""
    setting = wildcards.setting
    if setting == "baseline" and wildcards.get("split") == "balanced":
        setting = SETTING_OF_ONE
    return f"results/generalizability/categories/{setting}_seed{wildcards.seed}.csv"


def base_folder(wildcards):
    """Where the network of a setting lies; baselines of the main job and of Table 3 are reused."""
    model, setting, seed = wildcards.model, wildcards.setting, wildcards.seed
    if setting == "baseline" and int(seed) == config["seed"]:
        return f"results/networks/{model}"
    if setting == "baseline" and model in ROBUST_MODELS:
        return f"results/robustness/{model}/seed{seed}/baseline"
    return f"results/generalizability/{model}/{setting}/seed{seed}"


def base_inputs(wildcards):
    """Weights and card of the network that logits are extracted with."""
    of_base = wildcards.setting != "baseline"
    folder = base_folder(wildcards)
    card = folder if of_base else f"results/networks/{wildcards.model}"
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
    stem = f"results/generalizability/{wildcards.model}/baseline"
    return f"{stem}/seed{wildcards.seed}/logits/{split}.zarr"


def learning_mem_mb(wildcards, attempt):
    """The logits of all training images, as they are stored and compressed."""
    given = config["dataset"]["splits"].get(GENERAL_SPLIT, {})
    samples = (
        GENERAL["samples_per_category"] or given.get("samples_per_category") or 500
    )
    return int(attempt * (1500 + 12 * samples * N_CATEGORIES**2 / 2**20))


localrules:
    split_categories,


rule split_categories:
    """Draw the categories that a base network is not to know."""
    input:
        images=f"results/images/{GENERAL_SPLIT}.zarr",
    output:
        categories="results/generalizability/categories/{setting}_seed{seed}.csv",
    log:
        "logs/split_categories/{setting}_seed{seed}.log",
    benchmark:
        "logs/benchmarks/split_categories/{setting}_seed{seed}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        n_new=lambda wildcards: {**SETTINGS, SETTING_OF_ONE: 1, "baseline": 0}[
            wildcards.setting
        ],
    script:
        "../scripts/split_categories.py"


rule render_balanced:
    """Draw as many images of the one new category as of all the others."""
    input:
        bitmaps="results/images/bitmaps.zarr",
        categories=f"results/generalizability/categories/{SETTING_OF_ONE}_seed{{seed}}.csv",
    output:
        images=directory("results/generalizability/images/balanced_seed{seed}.zarr"),
    log:
        "logs/render_balanced/{seed}.log",
    benchmark:
        "logs/benchmarks/render_balanced/{seed}.tsv"
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        n_each=GENERAL["balanced"],
        img_size=config["dataset"]["img_size"],
    script:
        "../scripts/render_balanced.py"


rule train_base:
    """Train a network on the base categories alone."""
    input:
        bitmaps="results/images/bitmaps.zarr",
        categories=categories_path,
        card=ancient("results/networks/{model}/card.json"),
    output:
        checkpoint="results/generalizability/{model}/{setting}/seed{seed}/model.safetensors",
        curve="results/generalizability/{model}/{setting}/seed{seed}/curve.csv",
        card="results/generalizability/{model}/{setting}/seed{seed}/card.json",
    log:
        "logs/train_base/{model}/{setting}/{seed}.log",
    benchmark:
        "logs/benchmarks/train_base/{model}/{setting}/{seed}.tsv"
    wildcard_constraints:
        model=one_of(GENERAL_MODELS),
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=1440,
        gpu=config["extraction"]["gpu"],
    params:
        spec=network_spec,
        options=training_options,
        samples_per_category=lambda wildcards: model_spec(wildcards)["train"][
            "samples_per_category"
        ],
        valid_samples_per_category=lambda wildcards: model_spec(wildcards)["train"][
            "valid_samples_per_category"
        ],
    script:
        "../scripts/train_base.py"


rule extract_base_logits:
    """Write a base network's logits of a set of images of all categories, base and new."""
    input:
        unpack(base_inputs),
        images=base_images,
    output:
        logits=directory(
            "results/generalizability/{model}/{setting}/seed{seed}/logits/{split}.zarr"
        ),
    log:
        "logs/extract_base_logits/{model}/{setting}/{seed}/{split}.log",
    benchmark:
        "logs/benchmarks/extract_base_logits/{model}/{setting}/{seed}/{split}.tsv"
    wildcard_constraints:
        model=one_of(GENERAL_MODELS),
        split=one_of([*SPLITS, "balanced"]),
    conda:
        "../envs/gpu.yaml"
    threads: 1
    resources:
        mem_mb=extraction_mem_mb,
        runtime=720,
        gpu=config["extraction"]["gpu"],
    params:
        spec=network_spec,
        options=extraction_options,
        rows=config["extraction"]["rows_per_shard"],
    script:
        "../scripts/extract_base_logits.py"


rule fit_new_categories:
    """Learn the new categories as linear combinations of the stored logits, every variant."""
    input:
        logits=lambda wildcards: base_logits(wildcards, GENERAL_SPLIT),
        categories=categories_path,
    output:
        weights=directory(
            "results/generalizability/{model}/{setting}/seed{seed}/{task}/weights.zarr"
        ),
        times="logs/times/{model}/{setting}/{seed}/{task}.csv",
    log:
        "logs/fit_new_categories/{model}/{setting}/{seed}/{task}.log",
    benchmark:
        "logs/benchmarks/fit_new_categories/{model}/{setting}/{seed}/{task}.tsv"
    wildcard_constraints:
        model=one_of(GENERAL_MODELS),
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=learning_mem_mb,
        runtime=720,
    params:
        variants=GENERAL["variants"],
        samples_per_category=GENERAL["samples_per_category"],
        held_out=GENERAL["held_out"],
        binary=lambda wildcards: wildcards.task == "balanced",
    script:
        "../scripts/fit_new_categories.py"


rule evaluate_new_categories:
    """Judge base and new categories together, and the baseline, on held-out images."""
    input:
        weights="results/generalizability/{model}/{setting}/seed{seed}/{task}/weights.zarr",
        logits=lambda wildcards: base_logits(wildcards, TEST),
        baseline=baseline_logits,
        categories=categories_path,
    output:
        evaluation=directory(
            "results/generalizability/{model}/{setting}/seed{seed}/{task}/evaluation.zarr"
        ),
    log:
        "logs/evaluate_new_categories/{model}/{setting}/{seed}/{task}.log",
    benchmark:
        "logs/benchmarks/evaluate_new_categories/{model}/{setting}/{seed}/{task}.tsv"
    wildcard_constraints:
        model=one_of(GENERAL_MODELS),
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        binary=lambda wildcards: wildcards.task == "balanced",
    script:
        "../scripts/evaluate_new_categories.py"


rule tabulate_generalizability:
    """Write Tables 2 and 4: new categories learned from base categories, against the baseline."""
    input:
        evaluations=expand("{run}/evaluation.zarr", run=GENERAL_RUNS),
        paper=f"{workflow.basedir}/reference/paper_tables.csv",
    output:
        table2_csv=report(
            "results/tables/table2.csv",
            caption="../report/table2.rst",
            category="Tables",
            subcategory="Table 2",
            labels={"table": "new categories", "format": "CSV"},
        ),
        table2_md=report(
            "results/tables/table2.md",
            caption="../report/table2.rst",
            category="Tables",
            subcategory="Table 2",
            labels={"table": "new categories", "format": "Markdown"},
        ),
        table2_tex=report(
            "results/tables/table2.tex",
            caption="../report/table2.rst",
            category="Tables",
            subcategory="Table 2",
            labels={"table": "new categories", "format": "LaTeX"},
        ),
        table4_csv=report(
            "results/tables/table4.csv",
            caption="../report/table4.rst",
            category="Tables",
            subcategory="Table 4",
            labels={"table": "base and new apart", "format": "CSV"},
        ),
        table4_md=report(
            "results/tables/table4.md",
            caption="../report/table4.rst",
            category="Tables",
            subcategory="Table 4",
            labels={"table": "base and new apart", "format": "Markdown"},
        ),
        table4_tex=report(
            "results/tables/table4.tex",
            caption="../report/table4.rst",
            category="Tables",
            subcategory="Table 4",
            labels={"table": "base and new apart", "format": "LaTeX"},
        ),
    log:
        "logs/tabulate_generalizability.log",
    benchmark:
        "logs/benchmarks/tabulate_generalizability.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        dataset=DATASET,
        default=GENERAL["default_variant"],
        split=GENERAL_SPLIT,
        test=TEST,
    script:
        "../scripts/tabulate_generalizability.py"


rule tabulate_times:
    """Gather what trainings and the learning of new categories took; times are no results."""
    input:
        baseline=expand(
            "logs/benchmarks/train_backbone/{model}.tsv", model=GENERAL_MODELS
        ),
        base=expand(
            "logs/benchmarks/train_base/{model}/{setting}/{seed}.tsv",
            model=GENERAL_MODELS,
            setting=SETTINGS,
            seed=GENERAL_SEEDS,
        ),
        extraction=expand(
            "logs/benchmarks/extract_base_logits/{model}/{setting}/{seed}/{split}.tsv",
            model=GENERAL_MODELS,
            setting=SETTINGS,
            seed=GENERAL_SEEDS,
            split=GENERAL_SPLIT,
        ),
        learning=expand(
            "logs/times/{model}/{setting}/{seed}/multiclass.csv",
            model=GENERAL_MODELS,
            setting=SETTINGS,
            seed=GENERAL_SEEDS,
        ),
    output:
        times="logs/tables/table2_times.csv",
    log:
        "logs/tabulate_times.log",
    benchmark:
        "logs/benchmarks/tabulate_times.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        epochs={
            model: config["models"][model]["train"]["epochs"]
            for model in GENERAL_MODELS
        },
    script:
        "../scripts/tabulate_times.py"
