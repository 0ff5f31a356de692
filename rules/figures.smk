# in:  results/dependencies/evaluation, results/dependencies, results/networks, results/images,
#      the curves of all trainings, results/tables/table3.csv
# out: results/figures/*.{png,svg,pdf}, results/figures/{star,graph,galleries}/


rule plot_star:
    """Draw the dependency that Table 1 shows for one pair as a star graph."""
    input:
        evaluation="results/dependencies/evaluation/{source}--{target}.zarr",
        cases="results/dependencies/cases.json",
        logits=f"results/logits/{{target}}/{TEST}.zarr",
    output:
        png=report(
            "results/figures/star/{source}--{target}.png",
            caption="../report/star.rst",
            category="Figures",
            subcategory="Figures 1 and 2",
            labels={"figure": "{source} to {target}"},
        ),
        svg="results/figures/star/{source}--{target}.svg",
    log:
        "logs/plot_star/{source}--{target}.log",
    benchmark:
        "logs/benchmarks/plot_star/{source}--{target}.tsv"
    priority: TABLE1_FIRST
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        test=TEST,
        estimator=config["figures"]["star"]["estimator"],
    script:
        "../scripts/plot_star.py"


rule plot_star_panel:
    """Draw the star graphs of all pairs in one figure (Figures 1 and 2)."""
    input:
        evaluations=[
            f"results/dependencies/evaluation/{source}--{target}.zarr"
            for source, target in PAIRS
        ],
        cases="results/dependencies/cases.json",
        logits=f"results/logits/{MODELS[0]}/{TEST}.zarr",
    output:
        png=report(
            "results/figures/figure1.png",
            caption="../report/figure1.rst",
            category="Figures",
            subcategory="Figures 1 and 2",
            labels={"figure": "all pairs"},
        ),
        svg="results/figures/figure1.svg",
    log:
        "logs/plot_star_panel.log",
    benchmark:
        "logs/benchmarks/plot_star_panel.tsv"
    priority: TABLE1_FIRST
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        test=TEST,
        estimator=config["figures"]["star"]["estimator"],
    script:
        "../scripts/plot_star_panel.py"


rule plot_galleries:
    """Draw the categories of a pair with the best and with the most peculiar dependencies."""
    input:
        evaluation="results/dependencies/evaluation/{source}--{target}.zarr",
        logits=f"results/logits/{{target}}/{TEST}.zarr",
    output:
        best_pages=report(
            expand(
                "results/figures/galleries/{{source}}--{{target}}_best{page}.png",
                page=GALLERY_PAGES,
            ),
            caption="../report/galleries.rst",
            category="Galleries",
            subcategory="{source} to {target}",
            labels={"gallery": "best"},
        ),
        peculiar_pages=report(
            expand(
                "results/figures/galleries/{{source}}--{{target}}_peculiar{page}.png",
                page=GALLERY_PAGES,
            ),
            caption="../report/galleries.rst",
            category="Galleries",
            subcategory="{source} to {target}",
            labels={"gallery": "peculiar"},
        ),
        best="results/figures/galleries/{source}--{target}_best.pdf",
        peculiar="results/figures/galleries/{source}--{target}_peculiar.pdf",
    log:
        "logs/plot_galleries/{source}--{target}.log",
    benchmark:
        "logs/benchmarks/plot_galleries/{source}--{target}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        fit=FIT,
        test=TEST,
        galleries=GALLERIES,
    script:
        "../scripts/plot_galleries.py"


rule plot_correlation:
    """Draw |b_j| against w_j with the bar lambda/2 (Figure 3)."""
    input:
        correlations=[
            f"results/dependencies/correlation/{source}--{target}.zarr"
            for source, target in PAIRS
        ],
    output:
        png=report(
            "results/figures/figure3.png",
            caption="../report/figure3.rst",
            category="Figures",
            subcategory="Figure 3",
            labels={"figure": "correlation and coefficient"},
        ),
        svg="results/figures/figure3.svg",
    log:
        "logs/plot_correlation.log",
    benchmark:
        "logs/benchmarks/plot_correlation.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    script:
        "../scripts/plot_correlation.py"


rule plot_chord:
    """Draw targets as combinations of base categories alone (Figure 4)."""
    input:
        chord="results/dependencies/chord.zarr",
    output:
        png=report(
            "results/figures/figure4.png",
            caption="../report/figure4.rst",
            category="Figures",
            subcategory="Figure 4",
            labels={"figure": "base and target categories"},
        ),
        svg="results/figures/figure4.svg",
    log:
        "logs/plot_chord.log",
    benchmark:
        "logs/benchmarks/plot_chord.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    script:
        "../scripts/plot_chord.py"


rule plot_error_by_support:
    """Draw the error against the support size over all categories."""
    input:
        evaluations=[
            f"results/dependencies/evaluation/{source}--{target}.zarr"
            for source, target in PAIRS
        ],
    output:
        png=report(
            "results/figures/error_by_support.png",
            caption="../report/error_by_support.rst",
            category="Figures",
            subcategory="All categories",
            labels={"figure": "error by support size"},
        ),
        svg="results/figures/error_by_support.svg",
    log:
        "logs/plot_error_by_support.log",
    benchmark:
        "logs/benchmarks/plot_error_by_support.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        fit=FIT,
        test=TEST,
    script:
        "../scripts/plot_error_by_support.py"


rule plot_share_within:
    """Draw how many categories few others explain, against the support size."""
    input:
        evaluations=[
            f"results/dependencies/evaluation/{source}--{target}.zarr"
            for source, target in PAIRS
        ],
    output:
        png=report(
            "results/figures/share_within.png",
            caption="../report/share_within.rst",
            category="Figures",
            subcategory="All categories",
            labels={
                "figure": "share of categories within 10, 20 and 30 %",
            },
        ),
        svg="results/figures/share_within.svg",
    log:
        "logs/plot_share_within.log",
    benchmark:
        "logs/benchmarks/plot_share_within.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        test=TEST,
    script:
        "../scripts/plot_share_within.py"


rule plot_curves:
    """Draw the curves of some trainings: the networks themselves, or those of Table 2 or 3."""
    input:
        curves=lambda wildcards: [
            path for paths in CURVES[wildcards.trainings].values() for path in paths
        ],
    output:
        png=report(
            "results/figures/{trainings}_curves.png",
            caption="../report/training_curves.rst",
            category="Figures",
            subcategory="Training curves",
            labels={"figure": "{trainings}"},
        ),
        svg="results/figures/{trainings}_curves.svg",
    log:
        "logs/plot_curves/{trainings}.log",
    benchmark:
        "logs/benchmarks/plot_curves/{trainings}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        titles=lambda wildcards: [
            title
            for title, paths in CURVES[wildcards.trainings].items()
            for _ in paths
        ],
    script:
        "../scripts/plot_curves.py"


rule plot_robustness:
    """Draw Table 3: the dependency, and the two categories, before and after fine-tuning."""
    input:
        table="results/tables/table3.csv",
    output:
        png=report(
            "results/figures/table3.png",
            caption="../report/figure_robustness.rst",
            category="Figures",
            subcategory="Table 3",
            labels={"figure": "theta and the pair's accuracy by arm"},
        ),
        svg="results/figures/table3.svg",
    log:
        "logs/plot_robustness.log",
    benchmark:
        "logs/benchmarks/plot_robustness.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    script:
        "../scripts/plot_robustness.py"


rule plot_contact_sheet:
    """Draw categories in every face, and images of the fixed sets."""
    input:
        bitmaps="results/images/bitmaps.zarr",
        test=f"results/images/{TEST}.zarr",
        ood=["results/images/ood.zarr"] if "ood" in SPLITS else [],
    output:
        png=report(
            "results/figures/contact_sheet.png",
            caption="../report/contact_sheet.rst",
            category="Figures",
            subcategory="Data set",
            labels={"figure": "contact sheet"},
        ),
        svg="results/figures/contact_sheet.svg",
    log:
        "logs/plot_contact_sheet.log",
    benchmark:
        "logs/benchmarks/plot_contact_sheet.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        n_categories=16,
        n_images=8,
        seed=config["seed"],
    script:
        "../scripts/plot_contact_sheet.py"


rule plot_accuracy_kept:
    """Draw what is kept of the accuracy against the support size, beside what needs no search or training."""
    input:
        evaluations=[
            f"results/dependencies/evaluation/{source}--{target}.zarr"
            for source, target in PAIRS
        ],
        controls=[
            f"results/controls/{source}--{target}.zarr"
            for source, target in CONTROLLED_PAIRS
        ],
        control_evaluations=[
            f"results/dependencies/evaluation/{source}--{target}.zarr"
            for source, target in CONTROL_PAIRS
            if not target.endswith("@planted")
        ],
    output:
        png=report(
            "results/figures/accuracy_kept.png",
            caption="../report/accuracy_kept.rst",
            category="Figures",
            subcategory="All categories",
            labels={"figure": "accuracy kept by support size"},
        ),
        svg="results/figures/accuracy_kept.svg",
        pdf="results/figures/accuracy_kept.pdf",
        column_png="results/figures/accuracy_kept_column.png",
        column_pdf="results/figures/accuracy_kept_column.pdf",
    log:
        "logs/plot_accuracy_kept.log",
    benchmark:
        "logs/benchmarks/plot_accuracy_kept.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        test=TEST,
    script:
        "../scripts/plot_accuracy_kept.py"


rule plot_accuracy_replaced:
    """Draw every category's accuracy with its logit replaced against the original one."""
    input:
        evaluations=[
            f"results/dependencies/evaluation/{source}--{target}.zarr"
            for source, target in PAIRS
        ],
    output:
        png=report(
            "results/figures/accuracy_replaced.png",
            caption="../report/accuracy_replaced.rst",
            category="Figures",
            subcategory="All categories",
            labels={"figure": "original and replaced accuracy"},
        ),
        svg="results/figures/accuracy_replaced.svg",
        pdf="results/figures/accuracy_replaced.pdf",
        column_png="results/figures/accuracy_replaced_column.png",
        column_pdf="results/figures/accuracy_replaced_column.pdf",
    log:
        "logs/plot_accuracy_replaced.log",
    benchmark:
        "logs/benchmarks/plot_accuracy_replaced.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        test=TEST,
        estimator=config["figures"]["star"]["estimator"],
        size=SHOWN_SIZE,
    script:
        "../scripts/plot_accuracy_replaced.py"


rule plot_stability:
    """Draw the stability of the best subsets over halves of the images against their error."""
    input:
        evaluations=[
            f"results/dependencies/evaluation/{source}--{target}.zarr"
            for source, target in STABILITY_PAIRS
        ],
        stability=[
            f"results/stability/{source}--{target}.zarr"
            for source, target in STABILITY_PAIRS
        ],
    output:
        png=report(
            "results/figures/stability.png",
            caption="../report/figure_stability.rst",
            category="Figures",
            subcategory="All categories",
            labels={"figure": "stability against error"},
        ),
        svg="results/figures/stability.svg",
        pdf="results/figures/stability.pdf",
        column_png="results/figures/stability_column.png",
        column_pdf="results/figures/stability_column.pdf",
    log:
        "logs/plot_stability.log",
    benchmark:
        "logs/benchmarks/plot_stability.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        test=TEST,
        size=SHOWN_SIZE,
    script:
        "../scripts/plot_stability.py"


rule plot_graph:
    """Draw who depends on whom in a network, by communities."""
    input:
        evaluation="results/dependencies/evaluation/{model}--{model}.zarr",
    output:
        png=report(
            "results/figures/graph/{model}.png",
            caption="../report/graph.rst",
            category="Figures",
            subcategory="Who depends on whom",
            labels={"figure": "{model}"},
        ),
        svg="results/figures/graph/{model}.svg",
        pdf="results/figures/graph/{model}.pdf",
        column_png="results/figures/graph/{model}_column.png",
        column_pdf="results/figures/graph/{model}_column.pdf",
    log:
        "logs/plot_graph/{model}.log",
    benchmark:
        "logs/benchmarks/plot_graph/{model}.tsv"
    conda:
        "../envs/cpu.yaml"
    threads: 1
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        estimator=config["figures"]["star"]["estimator"],
        size=SHOWN_SIZE,
        seed=config["seed"],
    script:
        "../scripts/plot_graph.py"
