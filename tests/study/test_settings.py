"""Study configs: which jobs they make, and what is refused."""

import json
import runpy

import pytest

from tests.study.small import ROOT, small
from tf_darts import config as config_lib
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.registry import LATER_METHODS, METHODS, UNTRAINED_ALPHA
from tf_darts.study import settings


def changed(**fields):
    config = small()
    with config.ignore_type():
        config.update(fields)
    return config


def replaced(name, value):
    """Return the small study with a field replaced, not added to, and no baseline that it might take away."""
    return small().to_dict() | {"baseline": "", name: value}


def test_jobs_are_layered_configs_seed_by_seed():
    config = small()
    config.searches.fixed.selection = {"interval": 7}
    config.selections.random.interval = 3
    study = settings.validate(config)
    assert [job.name for job in study.jobs] == ["darts-seed0", "fixed-seed0", "darts-seed1", "fixed-seed1"]
    job = study.job("fixed-seed1")
    assert (job.config.seed, job.config.search.method, job.config.search.channels) == (1, "fixed_alpha", 2)
    assert job.selections["by_loss"].selection.interval == 7
    assert job.selections["random"].selection.interval == 3
    for name, one in job.selections.items():
        differences = config_lib.differences(job.config.to_dict(), one.to_dict())
        assert differences and all(line.startswith("selection.") for line in differences), name


def test_a_selection_has_a_folder_of_its_own_name():
    selections = settings.validate(small()).job("darts-seed0").selections
    named = {name: config.selection.name or config.selection.method for name, config in selections.items()}
    assert named == {name: name for name in ("magnitude", "by_loss", "random")}
    # bin/select --method=magnitude finds it: a name only where it is not the method's
    assert selections["magnitude"].selection.name == selections["random"].selection.name == ""


def test_what_config_refuses_is_left_out_with_a_note():
    study = settings.validate(small())
    assert set(study.job("fixed-seed0").selections) == {"by_loss", "random"}
    assert len(study.skipped) == 1
    assert study.skipped[0].startswith("skipped: selections.magnitude after searches.fixed: selection.method")


def test_only_for_says_for_which_searches():
    study = settings.validate(replaced("only_for", {"random": ("fixed",)}))
    assert "random" not in study.job("darts-seed0").selections
    assert "random" in study.job("fixed-seed0").selections


def test_the_baseline_is_the_first_of_the_selections():
    assert settings.validate(changed(baseline="random")).selections[0] == "random"
    assert settings.validate(changed(baseline="darts/by_loss")).selections[0] == "by_loss"


def test_a_study_survives_json_and_its_paths_are_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = small()
    config.base.report.table = "made.csv.gz"
    config.searches.darts.data = {"source": "npz", "path": "images.npz"}
    study = settings.validate(config)
    monkeypatch.chdir("/")
    again = settings.validate(json.loads(json.dumps(study.config)))
    assert again.config == study.config
    for job in again.jobs:
        assert job.config.report.table == str(tmp_path / "made.csv.gz")
    assert again.job("darts-seed0").config.data.path == str(tmp_path / "images.npz")


def test_extensions_of_a_search_are_found_from_anywhere(tmp_path, monkeypatch, registries):
    (tmp_path / "own.py").write_text("from tf_darts.search.methods.darts import Darts as Mine\n")
    monkeypatch.chdir(tmp_path)
    config = small()
    config.searches.own = {"extensions": {"methods": {"mine": "own.py:Mine"}}, "search": {"method": "mine"}}
    study = settings.validate(config)
    assert study.job("own-seed0").config.search.method == "mine"
    parts = study.config["searches"]
    assert parts["own"]["extensions"]["methods"] == {"mine": f"{tmp_path / 'own.py'}:Mine"}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("sead", (0,), "unknown field 'sead'; allowed: base, searches, "),
        ("base", 3, "base is 3; allowed: a dictionary"),
        ("base", {"search": {"epoks": 1}}, "base: unknown field 'search.epoks'; did you mean search.epochs?"),
        ("searches", {}, "searches is empty; allowed: at least one"),
        ("searches", {"a/b": {}}, "searches names 'a/b'; allowed: letters, digits, _ and -"),
        ("searches", {"a": 1}, "searches.a is 1; allowed: a dictionary of fields"),
        ("searches", {"a": {"seed": 1}}, "searches.a.seed is 1; allowed: field seeds alone"),
        ("searches", {"a": {"search": 1}}, "searches.a: search is 1; allowed: a group of fields"),
        (
            "searches",
            {"a": {"search": {"method": "dart"}}},
            "searches.a: search.method is 'dart'; allowed: one of darts, ",
        ),
        (
            "searches",
            {"a": {"search": {"epochs": 0}}},
            "searches.a: search.epochs is 0; allowed: an integer of at least 1",
        ),
        ("selections", {}, "selections is empty"),
        ("selections", {"s": {"name": "x"}}, "selections.s.name is 'x'; allowed: none, it is given"),
        (
            "selections",
            {"s": {"criterium": "loss"}},
            "selections.s after searches.darts: unknown field 'selection.criterium'",
        ),
        ("only_for", {"r": ("darts",)}, "only_for names 'r'; allowed: "),
        ("only_for", {"random": ("dart",)}, "only_for.random names 'dart'; allowed: darts, fixed"),
        ("only_for", {"random": ()}, r"only_for.random is \(\); allowed: a tuple of searches"),
        (
            "only_for",
            {"magnitude": ("fixed",)},
            "selections.magnitude after searches.fixed: selection.method is 'magnitude'",
        ),
        ("seeds", (), "seeds is empty"),
        ("seeds", (0, 0), r"seeds is \(0, 0\); allowed: each once"),
        ("seeds", (0, "1"), r"seeds is \(0, '1'\); allowed: a tuple of int"),
        ("seeds", 3, "seeds is 3; allowed: a tuple of int"),
        ("seeds", (-1,), r"seeds is \(-1,\); allowed: integers of at least 0"),
        ("trains", ("foo",), "trains names 'foo'; allowed: "),
        ("baseline", "foo", "baseline is 'foo'; allowed: one of "),
        ("baseline", "foo/random", "baseline is 'foo/random'; allowed: one of "),
        ("jobs", 0, "jobs is 0; allowed: an integer of at least 1"),
        ("jobs", True, "jobs is True; allowed: an integer of at least 1"),
    ],
)
def test_what_is_refused(field, value, message):
    with pytest.raises(UserError, match=message):
        settings.validate(replaced(field, value))


def test_the_study_of_ones_own_operation_has_two_spaces(registries):
    """Candidates by cell type, laid over those of the base, in every job's config."""
    config = runpy.run_path(str(ROOT / "examples" / "own_operation" / "study.py"))["get_config"]()
    study = settings.validate(json.loads(json.dumps(settings.validate(config).config)))
    assert [job.name for job in study.jobs[:2]] == ["with-seed0", "without-seed0"]
    operations = [set(spaces.of(job.config).operations) for job in study.jobs]
    assert operations[0] - operations[1] == {"squeeze_excite"} and operations[1] < operations[0]
    assert operations == operations[:2] * 3
    for job in study.jobs:
        for config in job.selections.values():
            assert spaces.of(config) == spaces.of(job.config)


def test_a_selection_that_no_search_allows_is_an_error():
    config = replaced("searches", {"fixed": {"search": {"method": "fixed_alpha"}}})
    with pytest.raises(UserError, match="selections.magnitude after searches.fixed: selection.method is"):
        settings.validate(config)


def test_a_search_without_a_selection_is_an_error():
    config = replaced("only_for", {name: ("darts",) for name in ("magnitude", "by_loss", "random")})
    with pytest.raises(UserError, match="searches.fixed: no selection is made from it"):
        settings.validate(config)


def test_flags_set_no_field_that_the_study_sets():
    names = settings.names()
    assert {"seeds", "jobs", "base.search.epochs", "base.space"} <= set(names)
    assert not {"base.seed", "base.selection.name", "base", "searches"} & set(names)
    assert settings.unknown("jbos").endswith("did you mean --config.jobs?")
    assert (
        settings.unknown("searches.darts")
        == "--config.searches.darts: not set by flags; change the config file"
    )


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("study_*.py")), ids=lambda path: path.stem)
def test_the_configs_are_valid_and_say_how_they_are_run(path):
    module = runpy.run_path(str(path))
    config = module["get_config"]()
    if config.base.data.source == "npz":
        config.base.data.path = "images.npz"
    settings.validate(config)
    first, *rest = module["__doc__"].splitlines()
    assert first.endswith(".") and len(first) > 20
    command = f"bin/study --config=configs/{path.name} --output=runs/"
    assert any(line.startswith(f"    {command}") for line in rest)


def test_the_digits_study_has_every_method_with_all_that_it_allows():
    study = settings.validate(runpy.run_path(str(ROOT / "configs" / "study_digits.py"))["get_config"]())
    assert set(study.searches) == {*METHODS, "sgas_pt"} - {*LATER_METHODS} and {
        job.seed for job in study.jobs
    } == {0, 1, 2}
    for job in study.jobs:
        usual = {"perturbation"} if job.search in UNTRAINED_ALPHA else {"magnitude", "perturbation"}
        assert set(job.selections) == usual == set(job.trains)


def test_the_nas_bench_201_study():
    config = runpy.run_path(str(ROOT / "configs" / "study_nas_bench_201.py"))["get_config"]()
    config.base.data.path = "images.npz"
    study = settings.validate(config)
    assert len(study.jobs) == 15 and len(study.selections) == 7 and study.baseline == "magnitude"
    selections = {name: one.selection for name, one in study.job("darts-seed4").selections.items()}
    assert selections["perturbation_magnitude"].criterion == "magnitude"
    assert selections["one_shot"].one_shot and selections["perturbation_loss"].criterion == "loss"
    ranking = selections["supernet_ranking"]
    assert (ranking.samples, ranking.probe_images) == (500, 2_000)
