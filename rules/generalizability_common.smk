# What the rules of Tables 2 and 4 share: the settings, their inputs and their memory.

GENERAL = config["generalizability"]
GENERAL_MODELS = TRAINED if GENERAL["models"] == "all" else list(GENERAL["models"])
GENERAL_SEEDS = [config["seed"] + number for number in range(GENERAL["seeds"])]
GENERAL_SPLIT = GENERAL["split"] or FIT
NEW_COUNTS = [count_new(new, N_CATEGORIES) for new in GENERAL["new"]]
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


# by the title of a figure's row, one curve per seed
BASE_CURVES = {
    f"{model}, {setting}": [
        f"results/generalizability/{model}/{setting}/seed{seed}/curve.csv"
        for seed in GENERAL_SEEDS
    ]
    for model in GENERAL_MODELS
    for setting in SETTINGS
}


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


def training_benchmarks(model, setting, seed):
    """Where Snakemake wrote how long a network's training took, of both of its parts if it had two."""
    if setting != "baseline":
        parts = [f"train_base/{model}/{setting}/{seed}"]
    elif seed == config["seed"]:
        parts = [f"train_backbone/{model}"]
    elif model in ROBUST_MODELS:
        parts = [f"train_baseline/{model}/{seed}"]
    else:
        parts = [f"train_base/{model}/baseline/{seed}"]
    if setting == "baseline" and START_EPOCHS and model in ROBUST_MODELS:
        parts.insert(0, f"train_start/{model}/{seed}")
    return [f"logs/benchmarks/{part}.tsv" for part in parts]


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
    """The logits that W is learned from: float32, or float64 of at most 0.8 of the rank."""
    given = config["dataset"]["splits"].get(GENERAL_SPLIT, {})
    samples = (
        GENERAL["samples_per_category"] or given.get("samples_per_category") or 500
    )
    samples *= given.get("n_views") or 1
    return int(attempt * (1500 + 7 * samples * N_CATEGORIES**2 / 2**20))
