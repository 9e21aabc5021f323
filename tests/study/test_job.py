"""What a job does before it selects, and what is checked before the first job."""

import types

import pytest

from tests.study.small import small
from tf_darts.errors import UserError
from tf_darts.study import job as job_lib
from tf_darts.study import settings
from tf_darts.study.output import Output

TWO = {"method": "perturbation", "one_shot": True, "supernets": 2}


@pytest.mark.parametrize(
    ("selections", "wanted"),
    [
        ({"two": {}, "one": {"supernets": 1}}, 2),
        ({"one": {"supernets": 1, "one_shot": False}}, 1),
        ({"random": {"method": "random"}}, 1),  # needs no more than one, whatever the base says
    ],
)
def test_as_many_supernets_are_searched_as_a_selection_looks_at(tmp_path, monkeypatch, selections, wanted):
    config, searched = small(), []
    config.base.selection.update(TWO)
    config.selections, config.baseline = selections, ""
    output, study = Output(tmp_path), settings.validate(config)
    monkeypatch.setattr(job_lib, "start", lambda config: (types.SimpleNamespace(config=config), None))
    monkeypatch.setattr(job_lib.stages, "search", lambda _, workdir, supernets: searched.append(supernets))
    monkeypatch.setattr(job_lib, "_select_and_train", lambda *_: None)
    assert job_lib.run(study.jobs[0], output) == [] and searched == [wanted]


def test_an_analysis_that_cannot_be_imported_is_an_error_before_any_work(tmp_path, registries):
    config, file = small(), tmp_path / "broken.py"
    file.write_text("import no_such_module_anywhere\n")
    config.base.extensions.analyses = {"broken": f"{file}:run"}
    config.analyses = ("broken",)
    with pytest.raises(UserError, match=f"^config: .*'broken' is code in .*{file}.*--trust={file}"):
        job_lib.check(settings.validate(config).jobs, 1)
    settings.allow_extensions(config.to_dict())
    with pytest.raises(UserError, match="^config: searches.darts: analysis: 'broken' cannot be loaded"):
        job_lib.check(settings.validate(config).jobs, 1)
