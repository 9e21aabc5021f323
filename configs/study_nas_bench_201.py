"""NAS-Bench-201 on CIFAR-10, reduced: three searches, seven selections from each supernet, five seeds.

    bin/study --config=configs/study_nas_bench_201.py --output=runs/study --data_dir=CIFAR10.npz

Cost: 8.8 hours of one CPU core for searches and selections. Two jobs run at a time.
Result: after DARTS the cells of perturbation have a true accuracy of 91.56 % on average, those of magnitude
69.38 %. With alpha that is never trained perturbation has 93.52 %, after SDARTS-RS 93.86 %
(docs/results.md).

The paper's question: does the supernet fail, or its selection? The searches and selections:

- `fixed_alpha` never trains alpha.
- `perturbation_magnitude` is the paper's DARTS+PT-Mag: fine-tuned between decisions as perturbation is, but
  decided by magnitude.
- `one_shot` decides all edges from the searched supernet.
- `random` looks at no supernet.
- `supernet_ranking` takes the best of 500 random genotypes by the supernet's accuracy.
"""

from tf_darts.config import files
from tf_darts.study import settings


def get_config():
    config = settings.default()
    config.base = files.load("nas_bench_201_reduced")
    config.searches = {
        "darts": {"search": {"method": "darts"}},
        "fixed_alpha": {"search": {"method": "fixed_alpha"}},
        "sdarts_rs": {"search": {"method": "sdarts_rs"}},
    }
    config.selections = {
        "magnitude": {"method": "magnitude"},
        "perturbation": {"method": "perturbation"},
        "perturbation_loss": {"method": "perturbation", "criterion": "loss"},
        "perturbation_magnitude": {"method": "perturbation", "criterion": "magnitude"},
        "one_shot": {"method": "perturbation", "one_shot": True},
        "random": {"method": "random"},
        "supernet_ranking": {"method": "supernet_ranking", "samples": 500, "probe_images": 2_000},
    }
    config.analyses = ("perturbation",)  # alpha and removal beside the true strength of operations
    config.seeds = (0, 1, 2, 3, 4)
    config.jobs = 2
    return config
