# What the rules of Table 3 share: the arms, their inputs and their options.

ROBUSTNESS = in_order(config["robustness"])
ROBUST_MODELS = TRAINED if ROBUSTNESS["models"] == "all" else list(ROBUSTNESS["models"])
ROBUST_SEEDS = [config["seed"] + number for number in range(ROBUSTNESS["seeds"])]
ROBUST_ROLES = {"fit": FIT, "test": TEST, "ood": ROBUSTNESS["ood_split"]}
ROBUST_SPLITS = list(dict.fromkeys(ROBUST_ROLES.values()))
FINETUNED = ["control", "literal", "normalised"]
ROBUST_ARMS = ["baseline", *FINETUNED]
START_EPOCHS = ROBUSTNESS["start_epochs"]
# by the title of a figure's row, one curve per seed; the first baseline is the main job's
ARM_CURVES = {
    f"{model}, {arm}": [
        (
            f"results/networks/{model}/curve.csv"
            if (arm, seed) == ("baseline", config["seed"])
            else f"results/robustness/{model}/seed{seed}/{arm}/curve.csv"
        )
        for seed in ROBUST_SEEDS
    ]
    for model in ROBUST_MODELS
    for arm in ROBUST_ARMS
}


wildcard_constraints:
    arm=one_of(ROBUST_ARMS),
    seed=r"\d+",


def wanted_pair(model):
    """The pair that the configuration names for a network, if any."""
    pair = ROBUSTNESS["pair"]
    return None if pair == "auto" else pair.get(model)


def arm_stem(wildcards):
    """Where everything of one network and seed lies."""
    return f"results/robustness/{wildcards.model}/seed{wildcards.seed}"


def baseline_checkpoint(wildcards):
    """The baseline's weights: those of the main job for the run's own seed."""
    if int(wildcards.seed) == config["seed"]:
        return f"results/networks/{wildcards.model}/model.safetensors"
    return f"{arm_stem(wildcards)}/baseline/model.safetensors"


def arm_inputs(wildcards):
    """What an arm starts from, and the pair where it carries the penalty."""
    start = f"{arm_stem(wildcards)}/start/model.safetensors"
    inputs = {"start": start if START_EPOCHS else baseline_checkpoint(wildcards)}
    if wildcards.arm != "control":
        inputs["pair"] = f"results/robustness/{wildcards.model}/pair.json"
    return inputs


def arm_options(wildcards):
    """Fine-tuning, on the same machine in the same way as the network's own training."""
    of_schedule = ["opt_kwargs", "warmup_epochs", "warmup_lr", "min_lr", "sched_kwargs"]
    options = training_options(wildcards) | ROBUSTNESS["finetune"]
    apart = [*of_schedule, "samples_per_category", "valid_samples_per_category"]
    return {key: options[key] for key in sorted(options) if key not in apart}


def arm_penalty(wildcards):
    """Weight and form of an arm's penalty, if it has one."""
    if wildcards.arm not in ("literal", "normalised"):
        return None
    return {"weight": ROBUSTNESS["weight"], "form": wildcards.arm}


def arm_logits(role):
    """Every arm's logits of one set of images; the main job's where it has them."""

    def stores(wildcards):
        split = ROBUST_ROLES[role]
        own = f"results/logits/{wildcards.model}/{split}.zarr"
        paths = [f"{arm_stem(wildcards)}/{arm}/{split}.zarr" for arm in ROBUST_ARMS]
        return [own, *paths[1:]] if int(wildcards.seed) == config["seed"] else paths

    return stores


def arm_mem_mb(wildcards, attempt):
    """Four second moments and a solver's work on one of them."""
    return int(attempt * (2500 + 6 * 8 * N_CATEGORIES**2 / 2**20))
