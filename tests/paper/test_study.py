"""Rows as a study."""

import pytest

from tf_darts import paper
from tf_darts.errors import UserError
from tf_darts.paper import study
from tf_darts.study import settings

S1 = ["s1_svhn_darts", "s1_svhn_darts_pt", "s1_svhn_darts_pt_fixed_alpha"]


def test_every_row_is_the_config_that_the_study_has_for_it():
    made = settings.validate(study.of_rows(S1))
    assert made.searches == ("darts", "fixed_alpha") and made.baseline == "darts/darts"
    assert len(made.jobs) == 2 * 4 and {job.seed for job in made.jobs} == {0, 1, 2, 3}
    rows = {paper.row(name).method: paper.row(name).config() for name in S1}
    found = {}
    for job in made.jobs:
        assert set(job.trains) == set(job.selections)
        found |= {name: config for name, config in job.selections.items() if job.seed == 2}
    assert found.keys() == rows.keys()
    for method, config in found.items():
        ours, row = config.to_dict(), rows[method].to_dict()
        row["selection"]["name"] = ours["selection"]["name"]  # a study gives names of its own
        assert ours == row


def test_rows_of_the_benchmark_are_looked_up_and_not_trained():
    made = settings.validate(study.of_rows(["nas_bench_201_cifar100_darts_pt"]))
    assert made.baseline == "" and not any(job.trains for job in made.jobs)


def test_a_search_in_another_space():
    made = settings.validate(study.of_rows(["darts_cifar10_darts_pt", "darts_cifar10_sgas_pt"]))
    assert {job.search: job.config.space for job in made.jobs} == {
        "darts": "darts",
        "sgas_pt": "darts_with_none",
    }


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["s1_svhn_darts", "s1_cifar10_darts"], "rows s1_svhn_darts and s1_cifar10_darts are of different"),
        (["darts_cifar10_shuffle"], "row darts_cifar10_shuffle has no search and selection of its own"),
        (["darts_imagenet_darts_pt"], "row darts_imagenet_darts_pt has no search and selection of its own"),
        (["s1_svhn_drats"], "did you mean s1_svhn_darts"),
    ],
)
def test_rows_that_are_no_study(names, message):
    with pytest.raises(UserError, match=message):
        study.of_rows(names)
