"""Every Zarr store of a run, and all that it holds: the one place where a layout is declared."""

from collections.abc import Mapping

from neuraldeps.stores.layout import Array, Layout

SAMPLE = {
    "label": Array(("sample",), "int32", "category; -1 is none"),
    "path": Array(("sample",), "str", "which image: its path or key", is_optional=True),
}
GLYPH = {
    "face": Array(("sample",), "str", "font face", is_optional=True),
    "code_point": Array(("sample",), "int32", "Unicode code point", is_optional=True),
    "unicode_name": Array(("sample",), "str", "Unicode name", is_optional=True),
}
PHOTO = {
    "position": Array(("sample",), "int64", "place in the origin", is_optional=True),
    "view": Array(
        ("sample",), "int16", "0 is the image itself, others are augmented", is_optional=True
    ),
}
PART = {"part": Array(("sample",), "str", "train or test, of a balanced set", is_optional=True)}


def _categories(dimension: str, *, are_named: bool = True) -> dict[str, Array]:
    """The coordinates of a dimension of categories."""
    return {
        dimension: Array((dimension,), "int32", "position of the category, from 0"),
        f"{dimension}_name": Array(
            (dimension,), "str", "what people call it", is_optional=not are_named
        ),
        f"{dimension}_code": Array(
            (dimension,), "str", "synset, code point or folder", is_optional=not are_named
        ),
    }


CATEGORY = _categories("category", are_named=False)
PAIR = _categories("source_category", are_named=False) | _categories(
    "target_category", are_named=False
)
PENALTY = {
    "penalty_kind": Array(("penalty",), "str", "alpha, or relative_alpha = alpha / alpha_max"),
    "penalty_value": Array(("penalty",), "float64", "alpha in squared logits, or the ratio"),
}
SIZE = {"support_size": Array(("support_size",), "int32", "at most so many sources")}
OF_PAIR = {
    "source": "the network whose logits predict",
    "target": "the network whose logits are predicted",
    "centering": "whether an image's logits are centred: none, per_image",
}
SAMPLES = {"n_samples": "number of images"}

_T = ("target_category",)
_KNOT, _SIZE, _PENALTY = (*_T, "knot"), (*_T, "support_size"), (*_T, "penalty")
_BOTH = ("target_category", "source_category")
_ALPHA = "penalty, lambda / 2"
_GAP = "duality gap: how far the objective is from its least, at most"
_ERROR = "E[(g_i - w.f)^2] on the images that it was fitted on"


def _images(path: str, holds: str, made_by: str, further: Mapping[str, Array]) -> Layout:
    pixels = Array(("sample", "y", "x"), "uint8", "brightness", "1/255")
    return Layout(path, holds, (made_by,), {"image": pixels}, SAMPLE | dict(further) | CATEGORY)


def _logits(path: str, holds: str, *made_by: str) -> Layout:
    return Layout(
        path,
        holds,
        made_by,
        {"logits": Array(("sample", "category"), "float32", "logit", "logit")},
        SAMPLE | GLYPH | PHOTO | PART | CATEGORY,
        {
            "order": "imported logits: what the order of their images rests on",
            "masked_categories": "imported logits: categories whose logits are no numbers to sum",
            "access": "photos: how their origin is read",
        },
    )


def _measures() -> dict[str, Array]:
    """What is measured of every dependency, along sizes and along penalties."""
    meanings = {
        "absolute_error_positive": ("mean of |g_i - w.f| over the category's own images", "logit"),
        "relative_error_positive": ("the same over the mean of |g_i| there", "1"),
        "absolute_error": ("mean of |g_i - w.f| over all images", "logit"),
        "relative_error": ("the same over the mean of |g_i|", "1"),
        "accuracy": ("share of images right with this logit replaced", "1"),
        "positive_accuracy": ("the same over the category's own images", "1"),
        "delta": ("share of images missed by more than epsilon root mean squares of g_i", "1"),
        "delta_positive": ("share of its own images missed by more than epsilon |g_i|", "1"),
    }
    arrays = {}
    for suffix, named, axis in (
        ("", "estimator", "support_size"),
        ("_at_penalty", "estimator_at_penalty", "penalty"),
    ):
        for name, (meaning, units) in meanings.items():
            further = ("epsilon",) if name.startswith("delta") else ()
            dims = ("split", named, *_T, axis, *further)
            arrays[name + suffix] = Array(dims, "float64", meaning, units)
    return arrays


BITMAPS = Layout(
    "results/images/bitmaps.zarr",
    "The glyphs in every font face, those of the categories and those kept out of them.",
    ("render_bitmaps",),
    {
        "bitmap": Array(("category", "face", "y", "x"), "uint8", "ink", "1/255"),
        "ood_bitmap": Array(("ood_category", "face", "y", "x"), "uint8", "ink", "1/255"),
    },
    {"face": Array(("face",), "str", "font face")}
    | _categories("category")
    | _categories("ood_category"),
)
GLYPHS = _images(
    "results/images/{split}.zarr",
    "Posed glyphs of one split.",
    "render_glyphs",
    GLYPH,
)
INDEX = Layout(
    "results/images/{split}.zarr",
    "Where the photos of one split lie, and what they show.",
    ("index_images",),
    {},
    SAMPLE | PHOTO | CATEGORY,
    {"access": "how the origin is read"},
)
BALANCED = _images(
    "results/generalizability/images/balanced_seed{seed}.zarr",
    "Glyphs of which half show one category.",
    "render_balanced",
    PART,
)
BALANCED_INDEX = Layout(
    "results/generalizability/images/balanced_seed{seed}.zarr",
    "Photos of which half show one category.",
    ("index_balanced",),
    {},
    SAMPLE | PHOTO | PART | CATEGORY,
    {"access": "how the origin is read"},
)
LOGITS = _logits(
    "results/logits/{model}/{split}.zarr",
    "Logits of every image of a split, raw.",
    *("extract_logits", "extract_logits_part", "import_logits"),
)
BASE_LOGITS = _logits(
    "results/generalizability/{model}/{setting}/seed{seed}/logits/{split}.zarr",
    "Logits of a network that knows the base categories, or of the baseline.",
    "extract_base_logits",
)
ARM_LOGITS = _logits(
    "results/robustness/{model}/seed{seed}/{arm}/{split}.zarr",
    "Logits of an arm of Table 3.",
    "extract_arm",
)
SECOND_MOMENT = Layout(
    "results/moments/{a}--{b}.zarr",
    "The uncentred second moment of two networks, or of one. One store per unordered pair.",
    ("reduce_second_moment",),
    {
        "second_moment": Array(
            ("source_category", "target_category"),
            "float64",
            "uncentred second moment E[f g^T]",
            "logit2",
        ),
        "source_mean": Array(("source_category",), "float64", "E[f]", "logit"),
        "target_mean": Array(("target_category",), "float64", "E[g]", "logit"),
    },
    PAIR,
    OF_PAIR | SAMPLES,
)
COVLASSO = Layout(
    "results/dependencies/covlasso/{source}--{target}.zarr",
    "The exact CovLasso path of every target category, and its solutions at the penalties.",
    ("solve_covlasso", "gather_covlasso"),
    {
        "alpha": Array(_KNOT, "float64", f"{_ALPHA}, at each knot", "logit2"),
        "knot_support_size": Array(_KNOT, "int32", "sources at the knot"),
        "support": Array((*_KNOT, "slot"), "int32", "sources at the knot; -1 is none"),
        "coef": Array((*_KNOT, "slot"), "float64", "their coefficients", "1"),
        "squared_error": Array(_KNOT, "float64", _ERROR, "logit2"),
        "dual_gap": Array(_KNOT, "float64", _GAP, "logit2"),
        "n_knots": Array(_T, "int32", "knots of the path; what follows them is no number"),
        "alpha_max": Array(_T, "float64", "penalty from which on no source is left", "logit2"),
        "target_second_moment": Array(_T, "float64", "E[g_i^2]", "logit2"),
        "ended_by": Array(_T, "str", "why the path ends: support, alpha, precision, certificate"),
        "alpha_at_support_size": Array(_SIZE, "float64", f"{_ALPHA}, of that point", "logit2"),
        "support_at_support_size": Array((*_SIZE, "slot"), "int32", "its sources; -1 is none"),
        "coef_at_support_size": Array((*_SIZE, "slot"), "float64", "their coefficients", "1"),
        "alpha_at_penalty": Array(_PENALTY, "float64", _ALPHA, "logit2"),
        "support_size_at_penalty": Array(_PENALTY, "int32", "sources of the solution"),
        "support_at_penalty": Array(
            (*_PENALTY, "penalty_slot"), "int32", "its sources; -1 is none"
        ),
        "coef_at_penalty": Array((*_PENALTY, "penalty_slot"), "float64", "coefficients", "1"),
        "squared_error_at_penalty": Array(_PENALTY, "float64", _ERROR, "logit2"),
        "dual_gap_at_penalty": Array(
            _PENALTY, "float64", f"{_GAP}; NaN: could not be certified", "logit2"
        ),
    },
    PAIR | SIZE | PENALTY,
    OF_PAIR
    | SAMPLES
    | {
        "alpha_convention": "how alpha and the paper's lambda go together",
        "paths_ended_by": "number of paths by why they ended",
        "uncertified_at_penalty": "targets that could not be certified, at each penalty",
    },
)
BEST_SUBSET = Layout(
    "results/dependencies/best_subset/{source}--{target}.zarr",
    "The best few sources of every target category at every size.",
    ("solve_best_subset", "gather_best_subset"),
    {
        "support": Array((*_SIZE, "slot"), "int32", "sources, in rising order; -1 is none"),
        "coef": Array((*_SIZE, "slot"), "float64", "their least-squares coefficients", "1"),
        "n_sources": Array(_SIZE, "int32", "sources that are really there"),
        "squared_error": Array(_SIZE, "float64", _ERROR, "logit2"),
        "status": Array(_SIZE, "str", "what is known: proven, exchange-optimal or dependent"),
        "target_second_moment": Array(_T, "float64", "E[g_i^2]", "logit2"),
    },
    PAIR | SIZE,
    OF_PAIR | SAMPLES | {"status": "number of targets by what is known, at each size"},
)
EVALUATION = Layout(
    "results/dependencies/evaluation/{source}--{target}.zarr",
    "Every dependency evaluated on the images of both splits, by every estimator.",
    ("evaluate_dependencies",),
    {
        **_measures(),
        "support": Array(("estimator", *_SIZE, "slot"), "int32", "sources; -1 is none"),
        "coef": Array(("estimator", *_SIZE, "slot"), "float64", "their coefficients", "1"),
        "alpha": Array(_SIZE, "float64", f"{_ALPHA}, of CovLasso's point", "logit2"),
        "relative_alpha": Array(_SIZE, "float64", "the same over alpha_max", "1"),
        "alpha_at_penalty": Array(_PENALTY, "float64", _ALPHA, "logit2"),
        "support_size_at_penalty": Array(_PENALTY, "int32", "sources of the solution"),
        "target_second_moment": Array(_T, "float64", "E[g_i^2] where it was fitted", "logit2"),
        "source_second_moment": Array(
            ("source_category",), "float64", "E[f_j^2] where it was fitted", "logit2"
        ),
        "original_accuracy": Array(("split",), "float64", "accuracy, nothing replaced", "1"),
        "original_positive_accuracy": Array(
            ("split", *_T), "float64", "the same over the category's own images", "1"
        ),
        "n_samples": Array(("split",), "int64", "images"),
        "n_labelled": Array(("split",), "int64", "images that accuracies are over"),
        "n_positive": Array(("split", *_T), "int64", "the category's own images"),
    },
    PAIR
    | SIZE
    | PENALTY
    | {
        "split": Array(("split",), "str", "set of images"),
        "estimator": Array(("estimator",), "str", "who found the dependency"),
        "estimator_at_penalty": Array(
            ("estimator_at_penalty",), "str", "the same, of those that have a penalty"
        ),
        "epsilon": Array(("epsilon",), "float64", "Definition 1's eps, as a share", "1"),
    },
    OF_PAIR
    | {
        "dataset": "imagenet, glyphs, photos or logits",
        "positives": "per split: by labels, or by the target network's own top-1",
    },
)
CORRELATION = Layout(
    "results/dependencies/correlation/{source}--{target}.zarr",
    "Some targets with their correlations and solutions: Figure 3.",
    ("solve_correlation",),
    {
        "correlation": Array(_BOTH, "float64", "b_j = E[f_j g_i]", "logit2"),
        "coef": Array(_BOTH, "float64", "the solution w_j", "1"),
        "is_allowed": Array(_BOTH, "bool", "whether it may be a source"),
        "alpha": Array(_T, "float64", _ALPHA, "logit2"),
        "squared_error": Array(_T, "float64", _ERROR, "logit2"),
        "dual_gap": Array(_T, "float64", _GAP, "logit2"),
    },
    PAIR,
    {name: OF_PAIR[name] for name in ("source", "target")},
)
CHORD = Layout(
    "results/dependencies/chord.zarr",
    "Some targets as combinations of base categories alone: Figure 4.",
    ("solve_chord",),
    {
        "coef": Array(_BOTH, "float64", "coefficients; 0 is no source", "1"),
        "alpha": Array(_T, "float64", _ALPHA, "logit2"),
        "squared_error": Array(_T, "float64", _ERROR, "logit2"),
        "dual_gap": Array(_T, "float64", _GAP, "logit2"),
    },
    PAIR,
    {name: OF_PAIR[name] for name in ("source", "target")},
)
REDUNDANCY = Layout(
    "results/theory/redundancy/{model}.zarr",
    "err(0) of every category of a network, and the rank of its logits.",
    ("measure_redundancy",),
    {
        "err0": Array(("category",), "float64", "err(0): least E[(f_i - w.f)^2]", "logit2"),
        "err0_relative": Array(("category",), "float64", "err(0) / E[f_i^2]", "1"),
        "bound_relative": Array(
            ("category",), "float64", "Remark 3's bound of it, by the least eigenvalue", "1"
        ),
        "is_exact_zero": Array(
            ("category",), "bool", "whether the null space of the logits touches the category"
        ),
        "err0_at_least": Array(
            ("category",), "float64", "lower bound of err(0) of the logits as stored", "logit2"
        ),
        "second_moment": Array(("category",), "float64", "E[f_i^2]", "logit2"),
        "singular_value": Array(
            ("component",), "float64", "of logits with mean squares of 1, largest first", "1"
        ),
    },
    CATEGORY,
    {
        "model": "the network",
        "centering": OF_PAIR["centering"],
        "rank": "singular values above the tolerance",
        "tolerance": "largest singular value that rounding can make of a zero",
        "precision": "that the logits were computed in",
        **SAMPLES,
    },
)
_COUNTS = {
    "n_screened": "sources that Theorem 3 screens",
    "n_screened_wrong": "those of them that the solution has: none",
    "n_supposed": "sources that Conjecture 1 supposes to be zero",
    "n_supposed_wrong": "those of them that the solution has",
    "n_sources": "sources that the solution has",
}
SPARSITY = Layout(
    "results/theory/sparsity/{source}--{target}.zarr",
    "Theorem 3 and Conjecture 1, held against every CovLasso solution.",
    ("check_sparsity",),
    {
        **{name: Array(_SIZE, "int64", meaning) for name, meaning in _COUNTS.items()},
        **{
            f"{name}_at_penalty": Array(_PENALTY, "int64", meaning)
            for name, meaning in _COUNTS.items()
        },
        "n_knots": Array(_T, "int32", "knots of the path, all of them in keeping with Eq. 5"),
    },
    {name: array for name, array in PAIR.items() if name.startswith("target")} | SIZE | PENALTY,
    {name: OF_PAIR[name] for name in ("source", "target")}
    | {
        "n_allowed": "sources that a target may have",
        "uses_err0": "whether Theorem 3 was given err(0), which screens more",
    },
)
CONTROL_LOGITS = _logits(
    "results/logits/{model}@{control}/{split}.zarr",
    "Logits of a control network.",
    "make_control_logits",
    "extract_untrained",
)
CONTROLS = Layout(
    "results/controls/{source}--{target}.zarr",
    "Sources that nobody searched for: random ones, the nearest, and all of them.",
    ("evaluate_controls",),
    {
        "relative_error_positive": Array(
            ("target_category", "predictor"), "float64", "as in evaluations", "1"
        ),
        "positive_accuracy": Array(
            ("target_category", "predictor"), "float64", "as in evaluations", "1"
        ),
        "relative_error": Array(
            ("target_category", "predictor"), "float64", "as in evaluations", "1"
        ),
        "accuracy": Array(("target_category", "predictor"), "float64", "as in evaluations", "1"),
        "original_positive_accuracy": Array(_T, "float64", "as in evaluations", "1"),
    },
    {name: array for name, array in PAIR.items() if name.startswith("target")}
    | {
        "predictor": Array(("predictor",), "str", "random, nearest, own, with own or dense"),
        "predictor_size": Array(("predictor",), "int32", "sources of it"),
    },
    {name: OF_PAIR[name] for name in ("source", "target")} | SAMPLES,
)
_OF_SIZE = ("support_size",)
STABILITY = Layout(
    "results/stability/{source}--{target}.zarr",
    "How stable the best subsets are over random halves of the images.",
    ("measure_stability",),
    {
        "stability": Array(_SIZE, "float64", "chance-corrected; NaN: no support has a source", "1"),
        "stability_low": Array(_SIZE, "float64", "lower end of its 95 % interval", "1"),
        "stability_high": Array(_SIZE, "float64", "upper end of it", "1"),
        "n_near_equal": Array(
            _SIZE,
            "int64",
            "the support and its exchanges of one source with an error within 1 % of its own",
        ),
        "half_support": Array(
            (*_SIZE, "half", "slot"), "int32", "best subset of every half; -1 is none"
        ),
        "mean_stability": Array(_OF_SIZE, "float64", "mean over the targets", "1"),
        "mean_stability_low": Array(_OF_SIZE, "float64", "lower end of its 95 % interval", "1"),
        "mean_stability_high": Array(_OF_SIZE, "float64", "upper end of it", "1"),
    },
    {name: array for name, array in PAIR.items() if name.startswith("target")} | SIZE,
    {name: OF_PAIR[name] for name in ("source", "target")}
    | {"n_halves": "halves of the images that supports are held against each other of"},
)
ROBUSTNESS = Layout(
    "results/robustness/{model}/seed{seed}.zarr",
    "The arms of Table 3: the dependency that was cut off, top-1 and anomaly scores.",
    ("measure_robustness",),
    {
        "predicted": Array(("arm", "sample"), "int32", "top-1 category"),
        "anomaly_score": Array(
            ("arm", "sample"), "float64", "-max softmax; NaN: not known to be in distribution"
        ),
        "ood_anomaly_score": Array(("arm", "ood_sample"), "float64", "-max softmax"),
        "theta": Array(("arm", "penalty"), "float64", "coefficient of j in i's solution", "1"),
        "coef": Array(("arm", "penalty", "source_category"), "float64", "i's solution", "1"),
        "alpha_max": Array(("arm",), "float64", "penalty from which on none is left", "logit2"),
        "alpha": Array(("arm", "penalty"), "float64", _ALPHA, "logit2"),
        "support_size": Array(("arm", "penalty"), "int32", "sources of the solution"),
        "squared_error": Array(("arm", "penalty"), "float64", _ERROR, "logit2"),
        "dual_gap": Array(("arm", "penalty"), "float64", _GAP, "logit2"),
        "second_moment_target": Array(("arm",), "float64", "E[f_i^2]", "logit2"),
        "second_moment_source": Array(("arm",), "float64", "E[f_j^2]", "logit2"),
        "cross_moment": Array(("arm",), "float64", "E[f_i f_j]", "logit2"),
    },
    {
        "arm": Array(("arm",), "str", "baseline, control or a penalised arm"),
        "label": SAMPLE["label"],
        "path": SAMPLE["path"],
        "ood_path": Array(
            ("ood_sample",), "str", "which image out of distribution", is_optional=True
        ),
    }
    | PENALTY
    | _categories("source_category", are_named=False),
    {
        "model": "the network",
        "dataset": "imagenet, glyphs, photos or logits",
        "centering": OF_PAIR["centering"],
        "pair": "the categories i and j, and why they",
        "n_restricted": "categories that scores are over",
    },
)
WEIGHTS = Layout(
    "results/generalizability/{model}/{setting}/seed{seed}/{task}/weights.zarr",
    "New categories as combinations of base categories' logits, in every variant.",
    ("fit_new_categories",),
    {
        "weights": Array(
            ("variant", "new_category", "base_category"),
            "float64",
            "coefficient of a base category's logit",
            "1",
        ),
        "gap": Array(
            ("variant",),
            "float64",
            "certified bound on (loss - least loss) / loss: duality gap (l1), "
            "|gradient|^2 / (2 strength) by strong convexity (l2)",
            "1",
        ),
        "passes": Array(("variant",), "int64", "passes over the images"),
        "strength": Array(("variant",), "float64", "chosen strength of the penalty", "nat"),
        "candidate_strength": Array(
            ("variant", "candidate"), "float64", "strengths that it was chosen from", "nat"
        ),
        "held_out_accuracy": Array(
            ("variant", "candidate"),
            "float64",
            "accuracy on held-out training images; NaN: nothing to choose",
            "1",
        ),
    },
    {
        "variant": Array(("variant",), "str", "reading of the paper"),
        "images": Array(("variant",), "str", "images of the loss: new, all"),
        "penalty": Array(("variant",), "str", "l1, l2"),
        "new_category": Array(("new_category",), "int32", "position of a new category"),
        "base_category": Array(("base_category",), "int32", "position of a base category"),
    },
    {
        "n_images": "images that W was learned on",
        "n_images_of_new": "those of new categories",
        "rank": "numerical rank of the base logits",
    },
)
NEW_CATEGORIES = Layout(
    "results/generalizability/{model}/{setting}/seed{seed}/{task}/evaluation.zarr",
    "Accuracy with new categories learned from base categories' logits.",
    ("evaluate_new_categories",),
    {
        "accuracy": Array(
            ("classifier", "group", "argmax"),
            "float64",
            "share of images classified rightly; NaN: not asked",
            "1",
        ),
        "support_size_median": Array(
            ("classifier",), "float64", "median number of base categories of a new one"
        ),
        "strength": Array(("classifier",), "float64", "of the penalty", "nat"),
        "gap": Array(("classifier",), "float64", "as in the store of the weights", "1"),
        "passes": Array(("classifier",), "int64", "passes over the images"),
    },
    {
        "classifier": Array(("classifier",), "str", "baseline, or a variant"),
        "images": Array(("classifier",), "str", "images of the loss: new, all"),
        "penalty": Array(("classifier",), "str", "l1, l2, or none"),
        "group": Array(("group",), "str", "images that the accuracy is over"),
        "argmax": Array(("argmax",), "str", "over all categories, or within the group"),
    },
    {
        "n_images": "images that evaluate",
        "n_new": "new categories",
        "n_base": "base categories",
    },
)

LAYOUTS = {
    "bitmaps": BITMAPS,
    "glyphs": GLYPHS,
    "index": INDEX,
    "logits": LOGITS,
    "second_moment": SECOND_MOMENT,
    "covlasso": COVLASSO,
    "best_subset": BEST_SUBSET,
    "evaluation": EVALUATION,
    "correlation": CORRELATION,
    "chord": CHORD,
    "control_logits": CONTROL_LOGITS,
    "controls": CONTROLS,
    "stability": STABILITY,
    "redundancy": REDUNDANCY,
    "sparsity": SPARSITY,
    "balanced": BALANCED,
    "balanced_index": BALANCED_INDEX,
    "base_logits": BASE_LOGITS,
    "weights": WEIGHTS,
    "new_categories": NEW_CATEGORIES,
    "arm_logits": ARM_LOGITS,
    "robustness": ROBUSTNESS,
}


def layout_of(path: str, made_by: str) -> Layout | None:
    """The layout of a store at a path relative to a run's folder, made by a rule; None if unknown.

    Parameters
    ----------
    path : str
        Relative to the run's folder.
    made_by : str
        The store's attribute.

    Returns
    -------
    Layout or None
        The only one that fits both.
    """
    return next(
        (one for one in LAYOUTS.values() if one.matches(path) and made_by in one.made_by), None
    )
