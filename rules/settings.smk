# What the rules take from the configuration: checked, then every constant after those it is made of.
import re
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from neuraldeps.arms import ARMS, BASELINE, FINETUNED, PENALISED
from neuraldeps.logits.arrays import check_headers, folder_state
from neuraldeps.config import complete_config, count_new
from neuraldeps.controls.kinds import CONTROLS
from neuraldeps.errors import InputError
from neuraldeps.run_lock import lift_stale_lock

if workflow.is_main_process and lift_stale_lock(Path(".snakemake")):
    logger.warning(
        "The last run here was killed: its lock is lifted, and this run goes on from there."
    )

try:
    complete_config(config, workflow.configfiles, workflow.config_settings.config)
    check_headers(config)
except InputError as error:
    raise WorkflowError(str(error)) from None


def one_of(names):
    """A regular expression of names, of none if there are none."""
    return "|".join(map(re.escape, names)) or "(?!)"


def in_order(entry):
    """The same for any order of the keys: who moves a line of the configuration reruns nothing."""
    if isinstance(entry, dict):
        return {key: in_order(entry[key]) for key in sorted(entry)}
    return entry


def baseline_folder(model, seed):
    """Where a network trained on all categories lies; those of further seeds lie below the first."""
    own = f"results/networks/{model}"
    return own if int(seed) == config["seed"] else f"{own}/seed{seed}/baseline"


def arm_folder(model, seed, arm):
    """Where the weights of an arm of Table 3 lie."""
    if arm == BASELINE:
        return baseline_folder(model, seed)
    return f"results/robustness/{model}/seed{seed}/{arm}"


# rules that reduce logits or judge on them use PyTorch where a device is named, and a GPU where it is one
REDUCTION_DEVICE = config["resources"]["reduction_device"]
REDUCTION_ENV = "../envs/gpu.yaml" if REDUCTION_DEVICE else "../envs/cpu.yaml"
REDUCTION_GPUS = int(str(REDUCTION_DEVICE).startswith("cuda"))

# images and categories
SPLITS = list(config["dataset"]["splits"])
GLYPH_SPLITS = SPLITS if config["dataset"]["kind"] == "glyphs" else []
PHOTO_SPLITS = SPLITS if config["dataset"]["kind"] == "photos" else []
IS_IMAGENET = PHOTO_SPLITS and config["dataset"]["categories"] == "imagenet-1k"
DATASET = "imagenet" if IS_IMAGENET else config["dataset"]["kind"]
ROLES = {role: config["roles"][role] for role in ("fit", "test", "ood")}
FIT, TEST, OOD = ROLES.values()
JUDGED_SPLITS = list(dict.fromkeys([FIT, TEST]))
N_CATEGORIES = config["dataset"]["n_categories"]
# what names the categories of imported logits, where no images do
NAMED_BY = config["dataset"]["categories"] if DATASET == "logits" else None
BATCHES = -(-N_CATEGORIES // config["resources"]["targets_per_job"])
# an input of the tables, cheap to make again, so that wrong names are found before any long work
CHECKED = [] if DATASET == "logits" else ["results/images/categories.csv"]
PAPER_TABLES = f"{workflow.basedir}/reference/paper_tables.csv"
# what the run made, described for archives
CRATE = "results/ro-crate-metadata.json"

# the order of jobs that could all run: what may be wrong is found first, then comes what Table 1 needs
CHECKS_FIRST, TABLE1_FIRST = 20, 10

# networks and pairs of them
MODELS = list(config["models"])
IMPORTED = [model for model in MODELS if config["models"][model].get("logits")]
NETWORKS = [model for model in MODELS if model not in IMPORTED]
TRAINED = [model for model in MODELS if config["models"][model].get("train")]
# those that Tables 2 to 4 can train again with their own seeds
OF_RUN_SEED = [
    model
    for model in TRAINED
    if config["models"][model]["train"]["seed"] in (None, config["seed"])
]
PAIRS = (
    [(source, target) for source in MODELS for target in MODELS]
    if config["pairs"] == "all"
    else [tuple(pair) for pair in config["pairs"]]
)

# pairs whose best subsets are found again on halves of the images
STABILITY_PAIRS = [
    (source, target)
    for source, target in PAIRS
    if config["stability"]["enabled"]
    and (source == target or config["stability"]["pairs"] == "all")
]
# pairs of a network with itself, by all but its training's seed: more than one are seeds of one network
SAME_BUT_SEED = {}
for model in TRAINED:
    if (model, model) in PAIRS:
        spec = in_order(config["models"][model])
        spec["train"] = {**spec["train"], "seed": None}
        SAME_BUT_SEED.setdefault(str(spec), []).append(model)
SEED_GROUPS = [models for models in SAME_BUT_SEED.values() if len(models) > 1]
# control networks, named {model}@{kind}; pairs that have controls, and those of control networks
CONTROLLED = config["controls"]["models"] or [PAIRS[0][1]]
CONTROLLED = CONTROLLED if config["controls"]["enabled"] else []
PARTNER = {
    target: next((source for source, one in PAIRS if one == target != source), None)
    for target in CONTROLLED
}
CONTROLLED_PAIRS = [
    (source, target)
    for source, target in PAIRS
    if target in CONTROLLED and source in (target, PARTNER[target])
]
CONTROL_PAIRS = [
    (f"{source}@{kind}", target if control.is_between else f"{target}@{kind}")
    for source, target in CONTROLLED_PAIRS
    for kind, control in CONTROLS.items()
    if control.is_between == (source != target)
    and (target in NETWORKS or not control.is_network)
]
CONTROL_MODELS = sorted({source for source, target in CONTROL_PAIRS})
PLANTED = [model for model in CONTROL_MODELS if model.endswith("@planted")]

# Table 3
ROBUSTNESS = in_order(config["robustness"])
ROBUST_MODELS = (
    OF_RUN_SEED if ROBUSTNESS["models"] == "all" else list(ROBUSTNESS["models"])
)
ROBUST_SEEDS = [config["seed"] + number for number in range(ROBUSTNESS["seeds"])]
ROBUST_SPLITS = list(dict.fromkeys(ROLES.values()))
ROBUST_ARMS = list(ARMS)
START_EPOCHS = ROBUSTNESS["start_epochs"]

# Tables 2 and 4: in the paper's words 900 -> 100 is 900to100; the baseline knows all categories
GENERAL = config["generalizability"]
GENERAL_MODELS = OF_RUN_SEED if GENERAL["models"] == "all" else list(GENERAL["models"])
GENERAL_SEEDS = [config["seed"] + number for number in range(GENERAL["seeds"])]
GENERAL_SPLIT = GENERAL["fit_split"] or FIT
NEW_COUNTS = [count_new(new, N_CATEGORIES) for new in GENERAL["new"]]
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
# the sets of photos that something is made from
USED_PHOTO_SPLITS = [
    split
    for split in PHOTO_SPLITS
    if split in JUDGED_SPLITS
    or split in [config["models"][model]["train"]["split"] for model in TRAINED]
    or (ROBUST_MODELS and split in ROBUST_SPLITS)
    or (GENERAL_MODELS and split == GENERAL_SPLIT)
]

# the tables as the paper lays them out: what stands for its method
PAPER_CHOICE = in_order(config["tables"]["paper"])
if PAPER_CHOICE["variant"] is None:
    PAPER_CHOICE["variant"] = (
        "literal" if "literal" in GENERAL["variants"] else GENERAL["default_variant"]
    )

# figures
CHORD_MODEL = config["figures"]["chord"]["model"] or MODELS[0]
# support size of the figures that show one: the largest of Table 1's
SHOWN_SIZE = config["tables"]["table1"]["support_size"][1]
# Snakemake's report takes folders into archives alone
EXPLORER = directory("results/explorer")
if config["explorer"]["in_report"]:
    EXPLORER = report(
        EXPLORER,
        caption="../report/explorer.rst",
        category="Explorer",
        htmlindex="index.html",
    )
GALLERIES = in_order(config["figures"]["galleries"])
GALLERY_PAGES = range(1, 1 - (-GALLERIES["n_categories"] // GALLERIES["per_page"]))
# by the title of a figure's row, one curve per seed
ARM_CURVES = {
    f"{model}, {arm}": [
        f"{arm_folder(model, seed, arm)}/curve.csv" for seed in ROBUST_SEEDS
    ]
    for model in ROBUST_MODELS
    for arm in ROBUST_ARMS
}
BASE_CURVES = {
    f"{model}, {setting}": [
        f"results/generalizability/{model}/{setting}/seed{seed}/curve.csv"
        for seed in GENERAL_SEEDS
    ]
    for model in GENERAL_MODELS
    for setting in SETTINGS
}
CURVES = {
    "training": {model: [f"results/networks/{model}/curve.csv"] for model in TRAINED},
    "table2": BASE_CURVES,
    "table3": ARM_CURVES,
}


wildcard_constraints:
    model=one_of(MODELS),
    source=one_of([*MODELS, *CONTROL_MODELS]),
    target=one_of([*MODELS, *CONTROL_MODELS]),
    split=one_of(SPLITS),
    batch=r"\d+",
    part=r"\d+",
    seed=r"\d+",
    arm=one_of(ROBUST_ARMS),
    setting=one_of([*SETTINGS, SETTING_OF_ONE, BASELINE]),
    task="multiclass|balanced",
    trainings=one_of(CURVES),
    number="[1-4]",
