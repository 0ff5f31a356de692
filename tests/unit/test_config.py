"""Every wrong configuration is one line that names the key, the value and the fix."""

import copy
import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from snakemake.utils import update_config

from neuraldeps.config import Run, check_config
from neuraldeps.config.blocks import fill, find_place
from neuraldeps.config.documents import json_schema
from neuraldeps.config.renamed import RENAMED as RENAMED_KEYS
from neuraldeps.config.renamed import find_new_name
from neuraldeps.config.spelling import misread
from neuraldeps.config.training import TransformOptions
from neuraldeps.errors import InputError

ROOT = Path(__file__).parents[2]


def default():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def changed(path, value):
    config = copy.deepcopy(default())
    *parents, last = path.split(".")
    at = config
    for key in parents:
        at = at[key]
    if value is DELETE:
        del at[last]
    else:
        at[last] = value
    return config


DELETE = object()

WRONG = [
    ("datset", {}, r"unknown key datset; did you mean dataset\?"),
    ("covlasso.max_suport", 3, r"unknown key covlasso\.max_suport; did you mean max_support\?"),
    ("dataset.n_categories", DELETE, r"missing key dataset\.n_categories; add it: Number of"),
    ("dataset.n_categories", 0, r"dataset\.n_categories is 0; it must be at least 2"),
    ("dataset.n_categories", "many", r"dataset\.n_categories is 'many', of type str; .* integer"),
    ("dataset.kind", "cifar", r"dataset\.kind is 'cifar'; it must be one of glyphs"),
    ("models", {}, r"models has 0 entries; it needs at least 1"),
    ("models.resnet18.architecture", DELETE, r"missing key models\.resnet18\.architecture; add"),
    ("models.resnet18.checkpoint", "x.pth", r"resnet18 has train and checkpoint of .* exactly one"),
    (
        "models.resnet18.checkpoint",
        "my {best}.pth",
        r"resnet18\.checkpoint is 'my \{best\}\.pth', in which Snakemake would take \{best\} for a",
    ),
    ("models.resnet18.train", DELETE, r"models\.resnet18 has none of .* give exactly one"),
    ("covlasso.alpha", [1.0, -0.5], r"covlasso\.alpha\[1\] is -0\.5; it must be greater than 0"),
    ("covlasso.relative_alpha", [2], r"covlasso\.relative_alpha\[0\] is 2; it must be at most 1"),
    ("covlasso.max_support", 1000, r"max_support is 1000; it must be less than .*n_categories"),
    (
        "resources.reduction_device",
        "gpu",
        r"device is 'gpu'; it must be cpu, cuda or cuda:N, or null",
    ),
    ("resources.reduction_device", "cuda:", r"'cuda:'; it must be cpu, cuda or cuda:N, or null"),
    ("resources.reduction_device", 0, r"device is 0, of type int; it must be text or null"),
    ("centering", "centred", r"centering is 'centred'; it must be one of none, per_image"),
    ("roles.test", "val", r"roles\.test is 'val'; it must be one of dataset\.splits: fit"),
    ("pairs", [["resnet18", "vit"]], r"pairs\[0\] names 'vit'; it must be one of models"),
    ("pairs", "some", r"pairs is 'some'; it must be all, or be spelled out"),
    (
        "tables.table1.cases",
        {"resnet18--vit": "PLUS SIGN"},
        r"table1\.cases names 'resnet18--vit'; it must be one of pairs: resnet18--resnet18,",
    ),
    ("tables.table1.cases", "best", r"tables\.table1\.cases is 'best'; it must be auto"),
    (
        "tables.paper",
        {"arm": "control"},
        r"paper\.arm is 'control'; it must be one of literal, normalised",
    ),
    ("figures.chord.model", "vit", r"figures\.chord\.model is 'vit'; it must be one of models"),
    (
        "tables.table1.support_size",
        [4, 3],
        r"support_size is \[4, 3\]; it must be in ascending order",
    ),
    ("dataset.splits.fit.csv", "a.csv", r"splits\.fit\.csv is for photos but .* is glyphs; remove"),
    (
        "dataset.kind",
        "photos",
        r"resnet18\.train\.split is 'train'; it must be one of dataset\.splits",
    ),
    (
        "models.resnet18.train.augmentation",
        {"aa": "rand-m9"},
        r"train\.augmentation\.aa is for photos but .* is glyphs; remove it",
    ),
    ("robustness.models", "some", r"robustness\.models is 'some'; it must be all, or a list"),
    ("robustness.models", ["vit"], r"names 'vit'; it must be one of the trained models: resnet18"),
    (
        "robustness.category_pair",
        "best",
        r"category_pair is 'best'; it must be auto, or map models",
    ),
    (
        "robustness.category_pair",
        {"vit": ["A", "B"]},
        r"category_pair names 'vit'; it must be one of robustness\.mod",
    ),
    (
        "robustness.ood_categories",
        "folder",
        r"ood_categories is 'folder'; it must be all, folders or",
    ),
    (
        "robustness.choose_pair",
        {"support_size": 21},
        r"robustness\.choose_pair\.support_size is 21; .*covlasso\.max_support, 20",
    ),
    ("roles.ood", "far", r"roles\.ood is 'far'; it must be one of dataset\.splits: fit"),
    (
        "robustness.start_epochs",
        9,
        r"start_epochs is 9; .* at most models\.resnet18\.train\.epochs, 4",
    ),
    (
        "dataset.categories",
        "imagenet-1k",
        r"categories is for photos and logits but .* glyphs; remove it",
    ),
    ("robustness.ood_categories", "folders", r"is 'folders', for photos, but .*glyphs; use all"),
    ("roles.ood", "test", r"roles\.ood is 'test'; of the glyphs it must be ood"),
    (
        "generalizability.held_out_every",
        41,
        r"held_out_every is 41; .*splits\.fit\.samples_per_category, 40",
    ),
    (
        "generalizability.held_out_every",
        501,
        r"held_out_every is 501; .*generalizability\.balanced, 500",
    ),
    ("models.resnet18.train.trainer", {"devices": 0}, r"devices is 0; it must be at least 1"),
    ("generalizability.models", "some", r"generalizability\.models is 'some'; it must be all, or"),
    (
        "generalizability.fit_split",
        "train",
        r"generalizability\.fit_split is 'train'; it must be one of data",
    ),
    (
        "generalizability.fit_split",
        "test",
        r"fit_split is 'test', which is kept for evaluation; choose another of dataset",
    ),
    (
        "generalizability.new",
        [0.1, 999],
        r"new\[1\] is 999; it must leave two of .*categories, 1000",
    ),
    ("generalizability.default_variant", "l3", r"is 'l3'; it must be one of generalizability\.var"),
    (
        "tables.paper",
        {"variant": "l3"},
        r"variant is 'l3'; it must be one of generalizability\.variants",
    ),
    ("figures.chord.n_base", 999, r"n_base \+ n_targets is 1009; it must be at most"),
]


@pytest.mark.parametrize(("path", "value", "message"), WRONG)
def test_names_key_value_and_fix_on_one_line(path, value, message):
    with pytest.raises(InputError, match=message) as caught:
        check_config(changed(path, value), "config.yaml")
    assert str(caught.value).startswith("config.yaml: ")
    assert "\n" not in str(caught.value)


def test_a_few_categories_need_no_sizes():
    logits = {"logits": {"fit": "fit.npy", "test": "test.npy"}}
    dataset = {"kind": "logits", "n_categories": 10, "splits": {"fit": {}, "test": {}}}
    config = {"dataset": dataset, "models": {"mine": logits}}
    filled = check_config(config, "config.yaml")
    assert filled["covlasso"]["max_support"] == 9
    chord = filled["figures"]["chord"]
    assert (chord["n_base"], chord["n_targets"]) == (8, 2)


def test_labels_are_given_for_every_model_or_for_none():
    config = yaml.safe_load((ROOT / "tests/workflow/planted.yaml").read_text())
    check_config(config, "config.yaml")
    first, second = config["models"]
    del config["models"][second]["labels"]["test"]
    message = rf"missing key models\.{second}\.labels\.test, which models\.{first} has; labels are"
    with pytest.raises(InputError, match=message):
        check_config(config, "config.yaml")


@pytest.mark.parametrize("part", ["labels", "paths"])
def test_labels_and_paths_are_of_imported_logits(part):
    config = yaml.safe_load((ROOT / "tests/workflow/planted.yaml").read_text())
    model = next(iter(config["models"]))
    spec = config["models"][model]
    spec[part] = {split: f"{split}.npy" for split in spec["logits"]}
    config["dataset"]["splits"]["more"] = {}
    check_config(config, "config.yaml")
    spec[part]["more"] = "more.npy"
    message = rf"models\.{model}\.{part}\.more is of imported logits, but there is no models\."
    with pytest.raises(InputError, match=message):
        check_config(config, "config.yaml")


PHOTOS = [
    ({}, r"splits\.fit has no images; add data_dir"),
    ({"csv": "a.csv", "origin_split": "train"}, r"splits\.fit has csv and one of origin, origin_s"),
    ({"data_dir": "a", "samples": 3, "samples_per_category": 1}, r"samples_per_category; give one"),
    ({"datadir": "a"}, r"unknown key dataset\.splits\.fit\.datadir; did you mean data_dir"),
    ({"data_dir": "a", "n_views": 0}, r"n_views is 0; it must be at least 1"),
]


@pytest.mark.parametrize(("split", "message"), PHOTOS)
def test_photos_come_from_one_source(split, message):
    config = yaml.safe_load((ROOT / "config/photos.yaml").read_text())
    config["dataset"]["splits"]["fit"] = split
    with pytest.raises(InputError, match=message):
        check_config(config, "config.yaml")


LEARNED = [
    (
        "models.learner.train.split",
        "test",
        r"train\.split is 'test', which is kept for evaluation; choose another",
    ),
    ("models.learner.train.split", "ood", r"train\.split is 'ood', whose images have no labels"),
    (
        "dataset.splits.train",
        {"origin": "wds/x"},
        r"is 'train', which can only be read from start to end",
    ),
    (
        "models.learner.train.batch_size",
        13,
        r"batch_size is 13; mixup and cutmix need an even number",
    ),
    (
        "generalizability.fit_split",
        "ood",
        r"fit_split is 'ood', whose images have no labels; choose another",
    ),
    ("generalizability.balanced", 8, r"balanced is 8; .*splits\.train\.samples_per_category must"),
    (
        "dataset.splits.train.samples_per_category",
        None,
        r"balanced is 6; .*samples_per_category must",
    ),
    (
        "models.learner.train.split",
        "fit",
        r"is 'train' and models\.learner\.train\.split 'fit'; make",
    ),
    (
        "models.learner.train.augmentation.erase_kwargs",
        {"mode": "blur"},
        r"erase_kwargs\.mode is 'blur'; it must be one of const, rand, pixel",
    ),
]


@pytest.mark.parametrize(("path", "value", "message"), LEARNED)
def test_photos_that_cannot_be_trained_on_are_refused(path, value, message):
    config = yaml.safe_load((ROOT / "tests/workflow/folders.yaml").read_text())
    check_config(config, "config.yaml")
    *parents, last = path.split(".")
    at = config
    for key in parents:
        at = at[key]
    at[last] = value
    with pytest.raises(InputError, match=message) as caught:
        check_config(config, "config.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a--b", "a/b", "-a", "a b", ""])
def test_refuses_names_that_cannot_stand_in_a_file_name(name):
    config = default()
    config["models"][name] = config["models"]["resnet18"]
    with pytest.raises(InputError, match="is not allowed; use letters"):
        check_config(config, "config.yaml")


CONFIGURATIONS = [ROOT / "config.yaml", *sorted((ROOT / "config").glob("*.yaml"))]


def read(path):
    """A configuration; of an overlay what it makes of the default."""
    config = yaml.safe_load(path.read_text())
    if "dataset" not in config:
        overlay, config = config, default()
        update_config(config, overlay)
    return config


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.name)
def test_every_configuration_here_is_right(path):
    config = read(path)
    check_config(config, path.name)
    Draft202012Validator(json_schema()).validate(config)
    assert not list(misread(path.read_text()))


RENAMED = {
    "covlasso.size": "covlasso.max_support",
    "solver.size": "covlasso.max_support",
    "models.<name>.train.lr": "models.<name>.train.optimizer.lr",
}


def test_an_old_key_is_refused_with_its_new_name():
    old = ("covlasso", "size"), ("models", "mine", "train", "lr"), ("covlasso", "alpha")
    new = ["covlasso.max_support", "models.mine.train.optimizer.lr", None]
    assert [find_new_name(path, RENAMED) for path in old] == new
    with pytest.raises(
        InputError, match=r"unknown key covlasso\.size; it is now covlasso\.max_support$"
    ):
        check_config(changed("covlasso.size", 3), "config.yaml", renamed=RENAMED)
    with pytest.raises(InputError, match=r"unknown key solver\.size; it is now covlasso\.max_supp"):
        check_config(changed("solver", {"size": 3}), "config.yaml", renamed=RENAMED)


def test_no_key_is_renamed_to_one_that_is_not_there_or_back():
    def is_key(name):
        return not find_place(Run, tuple(name.split("."))).within

    assert [new for new in RENAMED_KEYS.values() if not is_key(new)] == []
    assert [old for old in RENAMED_KEYS if is_key(old)] == []


def put(config, key, value):
    """Write a value under a key, whatever stood there."""
    *parents, last = key.split(".")
    for parent in parents:
        config = config.setdefault(parent, {})
    config[last] = value


@pytest.mark.parametrize("old", RENAMED_KEYS)
def test_every_old_key_is_refused_with_its_new_name(old):
    config, name = default(), "fit" if old.startswith("dataset") else "efficientnet"
    put(config, old.replace("<name>", name), "text")
    new = re.escape(RENAMED_KEYS[old].replace("<name>", name))
    if old.startswith("extraction"):  # one key for all networks is now a key of each
        new = new.replace("efficientnet", "<name>")
    shown = re.escape(old.replace("<name>", name))
    with pytest.raises(InputError, match=rf"^c: unknown key {shown}; it is now {new}$"):
        check_config(config, "c")


OLD_VALUES = [
    (
        "dataset",
        default()["dataset"] | {"kind": "images"},
        "dataset.kind is 'images'; it is now photos",
    ),
    ("centering", "zero_mean", "centering is 'zero_mean'; it is now per_image"),
    (
        "dataset",
        {"name": "images"},
        "dataset.name; it is now dataset.kind, and images is now photos",
    ),
    ("moments", {"gauge": "raw"}, "moments.gauge; it is now centering, and raw is now none"),
    ("extraction", {"amp": True}, "extraction.precision, and true is now bfloat16 or float16"),
    ("extraction", {"amp": False}, "extraction.precision, and false is now float32"),
    ("splits", {"fit": "fit"}, "unknown key splits; it is now roles"),
]


@pytest.mark.parametrize(("key", "value", "message"), OLD_VALUES)
def test_old_values_are_refused_with_their_new_names(key, value, message):
    with pytest.raises(InputError, match=rf"{re.escape(message)}$"):
        check_config(default() | {key: value}, "c")


TRAIN = "models.learner.train"
OPTIONS = [
    (f"{TRAIN}.augmentation.transform_kwargs.hflip", 2, r"hflip is 2; it must be at most 1 \(Prob"),
    (
        f"{TRAIN}.augmentation.transform_kwargs.scale",
        [0.1],
        "scale has 1 entries; it needs at least 2",
    ),
    (
        f"{TRAIN}.augmentation.mixup_kwargs.mode",
        "both",
        "mode is 'both'; it must be one of batch, ",
    ),
    (
        f"{TRAIN}.augmentation.erase_kwargs.max_count",
        1.5,
        r"max_count is 1\.5, of type float; it must",
    ),
    (
        f"{TRAIN}.schedule.sched_kwargs.noise",
        float("inf"),
        "kwargs.noise is inf; it must be a finite",
    ),
    (
        f"{TRAIN}.optimizer.opt_kwargs.lr",
        0.1,
        "opt_kwargs.lr has a key of its own, lr; give it there",
    ),
    (
        f"{TRAIN}.trainer.trainer_kwargs.gradient_clip_val",
        5,
        r"gradient_clip_val has a key of its own, train\.optimizer\.clip_grad; give it there",
    ),
    ("models.learner.data_kwargs.crop_pc", 1.0, r"data_kwargs\.crop_pc; did you mean crop_pct\?"),
    ("models.learner.data_kwargs.std", [0.5, 0], r"std\[1\] is 0; it must be greater than 0"),
    ("models.learner.model_kwargs", 3, "model_kwargs is 3, of type int; it must be a mapping"),
    ("dataset.splits.fit.origin_kwargs.root", "a", "a key of its own, data_dir; give it there"),
]


@pytest.mark.parametrize(("key", "value", "message"), OPTIONS)
def test_options_of_other_packages_are_checked_as_far_as_they_are_known(key, value, message):
    config = yaml.safe_load((ROOT / "tests/workflow/folders.yaml").read_text())
    put(config, key, value)
    with pytest.raises(InputError, match=message) as caught:
        check_config(config, "c")
    assert "\n" not in str(caught.value)
    assert key.partition(".")[0] in str(caught.value)


def test_options_of_other_packages_are_passed_on_as_they_were_written():
    given = {"lr_noise": [0.4, 0.9], "hflip": None, "interpolation": "bicubic", "extra": None}
    filled = fill(TransformOptions, given)
    assert filled == {name: given[name] for name in ("lr_noise", "interpolation", "extra")}
    assert TransformOptions.model_validate(given).given() == filled


def test_the_overlay_of_seeds_changes_nothing_else():
    base = check_config(default(), "config.yaml")
    seeds = check_config(read(ROOT / "config/seeds.yaml"), "seeds.yaml")
    for block in "robustness", "generalizability":
        assert (base[block].pop("seeds"), seeds[block].pop("seeds")) == (1, 5)
    assert base == seeds


OTHER_KINDS = [
    ("photos", "dataset.n_ood", 10, r"dataset\.n_ood is for glyphs but dataset\.kind is photos"),
    ("glyphs", "dataset.splits.fit.n_views", 2, r"fit\.n_views is for photos but .* is glyphs"),
    (
        "glyphs",
        "models.resnet18.data_kwargs",
        {"crop_pct": 1.0},
        r"resnet18\.data_kwargs\.crop_pct is for photos but .* glyphs",
    ),
    (
        "glyphs",
        "models.resnet18.train.augmentation",
        {"transform_kwargs": {"train_crop_mode": "rrc"}},
        r"augmentation\.transform_kwargs is for photos but .* glyphs",
    ),
    (
        "photos",
        "robustness.choose_pair",
        {"shape_quantile": 0.5},
        r"shape_quantile is for glyphs but .* photos",
    ),
    ("logits", "dataset.img_size", 64, r"dataset\.img_size is for glyphs but .* is logits"),
]


@pytest.mark.parametrize(("kind", "path", "value", "message"), OTHER_KINDS)
def test_keys_of_another_kind_of_data_set_are_refused(kind, path, value, message):
    config = changed(path, value)
    config["dataset"]["kind"] = kind
    with pytest.raises(InputError, match=message + r".*; remove it$"):
        check_config(config, "config.yaml")


@pytest.mark.parametrize(("key", "there"), [("n_categories", 1000), ("n_ood", 392)])
def test_no_more_glyphs_than_there_are(key, there):
    check_config(changed(f"dataset.{key}", there), "config.yaml")
    message = rf"dataset\.{key} is {there + 1}; there are {there} glyphs"
    with pytest.raises(InputError, match=message):
        check_config(changed(f"dataset.{key}", there + 1), "config.yaml")


IMPORTED = [
    (
        "labels",
        {"fti": "a.npy"},
        r"models\.f\.labels names 'fti'; it must be one of dataset\.splits",
    ),
    ("paths", {"fti": "a.csv"}, r"models\.f\.paths names 'fti'; it must be one of dataset\.splits"),
    ("logits", {"fit": "a", "test": "b", "odd": "c"}, r"models\.f\.logits names 'odd'; it must be"),
]


@pytest.mark.parametrize(("key", "value", "message"), IMPORTED)
def test_imported_arrays_are_of_splits_that_are_there(key, value, message):
    config = yaml.safe_load((ROOT / "tests/workflow/planted.yaml").read_text())
    config["models"]["f"][key] = value
    with pytest.raises(InputError, match=message):
        check_config(config, "config.yaml")


def test_paths_are_for_imported_logits():
    message = r"models\.resnet18\.paths is for imported logits but .*\.train is given; remove it"
    with pytest.raises(InputError, match=message):
        check_config(changed("models.resnet18.paths", {"fit": "a.csv"}), "config.yaml")


def test_a_network_with_a_seed_of_its_own_is_not_trained_again_for_tables_2_to_4():
    for block in "robustness", "generalizability":
        config = default()
        config["models"]["other"] = {"architecture": "resnet18", "train": {"seed": 1}}
        check_config(config, "config.yaml")
        config[block]["models"] = ["resnet18", "other"]
        with pytest.raises(InputError, match=rf"{block}\.models names 'other', whose training has"):
            check_config(config, "config.yaml")
