"""Every setting of a study, and the check of a whole study: which jobs it has.

A job is one search with all its selections (and trainings): one work directory, worked on by one process.
Configs are layered: `base`, over it the part that the search's name stands for, over that the selection's.
"""

import copy
import dataclasses
import difflib
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

import ml_collections

from tf_darts import config as config_lib
from tf_darts import registry
from tf_darts.config import depends, limits
from tf_darts.config.address import refuse_address
from tf_darts.errors import UserError, show
from tf_darts.registry import ANALYSES
from tf_darts.workdir import stage_folders
from tf_darts.workdir.records import with_tuples

WITHOUT = ""  # as `baseline`: no differences are taken

# What each field means; `default()` has the values.
DOCS = {
    "base": "the config that all searches start from, as a file in configs/ gives it; its seed is replaced",
    "searches": "by name, the part of a config that a search lays over base: {} or {'search': {'epochs': 9}}",
    "selections": "by name, fields of the config's section selection that a selection lays over its search's",
    "only_for": "by name of a selection, the searches that it is made for; not named: all that allow it",
    "trainings": "by name, fields of the config's section training: what `trains` names is trained with each;"
    " {}: once, as the config says",
    "seeds": "seeds; every search is run with each",
    "trains": "names of the selections whose genotypes are trained from scratch",
    "analyses": "names of analyses of every searched supernet, as bin/analyze makes them",
    "baseline": "selection that others are compared with, in the same search, or SEARCH/SELECTION; '': none",
    "jobs": "searches that are run side by side on this machine, each on its share of the cores",
}
_NAMED = ("searches", "selections", "only_for", "trainings")  # fields with names of the user's own below them
_GIVEN = ("seed", "selection.name")  # fields of base that the study sets
_LISTS = ("seeds", "trains", "analyses")
_PATHS = (("data", "path"), ("report", "table"), ("report", "surrogate"))


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """One search with its selections.

    Attributes:
      search: name of the search.
      seed: its seed.
      config: the search's config, valid.
      selections: by name of the selection, its config, valid; the same but for section selection.
      trains: names of those whose genotype is trained from scratch.
      analyses: names of the analyses of its supernet.
      trained: by name of a selection of `trains`, by name of the training ("": the only one) its folder under
        training/ and its config, valid.
    """

    search: str
    seed: int
    config: ml_collections.ConfigDict
    selections: Mapping[str, ml_collections.ConfigDict]
    trains: tuple[str, ...]
    analyses: tuple[str, ...]
    trained: Mapping[str, Mapping[str, tuple[str, ml_collections.ConfigDict]]]

    @property
    def name(self) -> str:
        """The job's name, which is that of its work directory in the output folder."""
        return f"{self.search}-seed{self.seed}"


@dataclasses.dataclass(frozen=True, eq=False)
class Study:
    """A valid study.

    Attributes:
      config: the config as a plain dictionary, with absolute paths; what `validate` takes again.
      jobs: all jobs, seed by seed: the first seed of every search stands before the second of any.
      skipped: for each search and selection that do not go together, a line that says why.
    """

    config: Mapping[str, Any]
    jobs: tuple[Job, ...]
    skipped: tuple[str, ...]

    @property
    def baseline(self) -> str:
        return self.config["baseline"]

    @property
    def searches(self) -> tuple[str, ...]:
        """Names of the searches."""
        return tuple(self.config["searches"])

    @property
    def selections(self) -> tuple[str, ...]:
        """Names of the selections, the baseline's first."""
        first = self.baseline.rpartition("/")[2]
        return tuple(sorted(self.config["selections"], key=lambda name: name != first))  # stable

    def job(self, name: str) -> Job:
        """Return the job of this name.

        Raises:
          UserError: there is none.
        """
        known = {job.name: job for job in self.jobs}
        if name not in known:
            raise UserError(f"job {name!r} is not one of the study; allowed: {', '.join(known)}")
        return known[name]


def default() -> ml_collections.ConfigDict:
    """Return an empty study on the published DARTS settings, as a config that the caller may change."""
    config = ml_collections.ConfigDict({"base": config_lib.default().to_dict()})
    config.update({name: {} for name in _NAMED})
    config.seeds, config.trains, config.analyses = (0, 1, 2, 3, 4), (), ()
    config.baseline, config.jobs = "magnitude", 1
    return config


def names() -> list[str]:
    """Return all fields that a flag can set, as `--config.NAME`."""
    own = [name for name in DOCS if name not in (*_NAMED, "base")]
    return [*own, *(f"base.{name}" for name in config_lib.NAMES if name not in _GIVEN)]


def unknown(name: str) -> str:
    """Return the message about a field that no flag can set."""
    if name.partition(".")[0] in _NAMED:
        return f"--config.{name}: not set by flags; change the config file"
    near = difflib.get_close_matches(name, names(), n=1)
    hint = f"did you mean --config.{near[0]}?" if near else f"allowed: {', '.join(DOCS)}"
    return f"--config.{name}: no such field; {hint}"


def validate(config: Mapping[str, Any] | ml_collections.ConfigDict, source: str = "config") -> Study:
    """Check a whole study, with every job's config, before any work.

    Args:
      config: as a config file returns it, or as `Study.config` or its JSON has it.
      source: where it is from, for messages about code that it names.

    Raises:
      UserError: an unknown field, a wrong type, a value that is not allowed, or a config that fails
        `config.validate`; the message names the search and the selection.
    """
    given = config.to_dict() if isinstance(config, ml_collections.ConfigDict) else dict(config)
    for name in given:
        if name not in DOCS:
            raise UserError(f"config: unknown field {name!r}; allowed: {', '.join(DOCS)}")
    given = with_tuples(default().to_dict() | given)
    _check_fields(given)
    base = _valid(given["base"], "base", source).to_dict()
    for analysis in given["analyses"]:  # only now: the base may register some of its own
        _known("analyses", analysis, ANALYSES)
    searches = {name: _absolute(part) for name, part in given["searches"].items()}
    study = {**given, "base": _absolute(base), "searches": searches}
    searched, selected, skipped = _combinations(study, source)
    trained = {
        search: {name: _trainings(study, search, name, made) for name, made in configs.items()}
        for search, configs in selected.items()
    }
    jobs = [
        Job(
            search,
            seed,
            _with_seed(searched[search], seed),
            {name: _with_seed(config, seed) for name, config in selected[search].items()},
            tuple(name for name in selected[search] if name in study["trains"]),
            study["analyses"],
            {name: _seeded(of, seed) for name, of in trained[search].items()},
        )
        for seed in study["seeds"]
        for search in searches
    ]
    if study["jobs"] > 1 and any(job.config.runtime.strategy == "tpu" for job in jobs):
        raise UserError(
            f"config: jobs is {study['jobs']} and runtime.strategy is 'tpu'; allowed: 1, as one process"
            " at a time has a TPU"
        )
    return Study(study, tuple(jobs), tuple(skipped))


def allow_extensions(config: Mapping[str, Any]) -> None:
    """Let the code be loaded that a study's configs name, which the user has named or written."""
    searches = config.get("searches")
    for part in (config.get("base"), *(searches.values() if isinstance(searches, Mapping) else ())):
        if isinstance(part, Mapping):
            config_lib.allow_extensions(part.get("extensions"))


def _check_fields(given: dict[str, Any]) -> None:
    """Check the study's own fields, whatever the configs in them say."""
    for name in ("base", *_NAMED):
        if not isinstance(given[name], dict):
            raise UserError(f"config: {name} is {given[name]!r}; allowed: a dictionary")
    for name in _LISTS:
        values, kind = given[name], int if name == "seeds" else str
        if not isinstance(values, tuple) or not all(type(value) is kind for value in values):
            raise UserError(f"config: {name} is {values!r}; allowed: a tuple of {kind.__name__}")
        if len(set(values)) < len(values):
            raise UserError(f"config: {name} is {values!r}; allowed: each once")
    if not all(0 <= seed <= limits.SEED.most for seed in given["seeds"]):
        allowed = f"integers of at least 0 and at most {limits.SEED}"
        raise UserError(f"config: seeds is {show(given['seeds'])}; allowed: {allowed}")
    for name in ("searches", "selections", "seeds"):
        if not given[name]:
            raise UserError(f"config: {name} is empty; allowed: at least one")
    for name in ("searches", "selections", "trainings"):
        for key, part in given[name].items():
            if not re.fullmatch(r"[\w-]+", key):
                raise UserError(f"config: {name} names {key!r}; allowed: letters, digits, _ and -")
            if not isinstance(part, dict):
                raise UserError(f"config: {name}.{key} is {part!r}; allowed: a dictionary of fields")
    for search, part in given["searches"].items():
        if "seed" in part:
            raise UserError(f"config: searches.{search}.seed is {part['seed']!r}; allowed: field seeds alone")
    for selection, part in given["selections"].items():
        if "name" in part:
            name = part["name"]
            raise UserError(f"config: selections.{selection}.name is {name!r}; allowed: none, it is given")
    for selection, searches in given["only_for"].items():
        _known("only_for", selection, given["selections"])
        if not isinstance(searches, tuple) or not searches:
            raise UserError(f"config: only_for.{selection} is {searches!r}; allowed: a tuple of searches")
        for search in searches:
            _known(f"only_for.{selection}", search, given["searches"])
    if given["trainings"] and not given["trains"]:
        names = ", ".join(given["selections"])
        raise UserError(f"config: trains is () with trainings; allowed: some of {names}")
    for selection in given["trains"]:
        _known("trains", selection, given["selections"])
    if type(given["jobs"]) is not int or given["jobs"] < 1:
        raise UserError(f"config: jobs is {given['jobs']!r}; allowed: an integer of at least 1")
    _check_baseline(given)


def _check_baseline(given: dict[str, Any]) -> None:
    baseline = given["baseline"]
    if baseline == WITHOUT:
        return
    search, slash, selection = str(baseline).rpartition("/")
    if selection not in given["selections"] or (slash and search not in given["searches"]):
        raise UserError(
            f"config: baseline is {baseline!r}; allowed: one of {', '.join(given['selections'])},"
            " or SEARCH/SELECTION, or '' for no comparison"
        )


def _known(field: str, name: Any, among: Iterable[str]) -> None:
    if name not in among:
        raise UserError(f"config: {field} names {name!r}; allowed: {', '.join(among)}")


def _absolute(part: dict[str, Any]) -> dict[str, Any]:
    """Return a part of a config whose paths mean the same from anywhere."""
    part = {key: dict(item) if isinstance(item, dict) else item for key, item in part.items()}
    for section, field in _PATHS:
        fields = part.get(section)
        if isinstance(fields, dict) and isinstance(fields.get(field), str) and fields[field]:
            refuse_address(f"config: {section}.{field}", fields[field])
            fields[field] = os.path.abspath(os.path.expanduser(fields[field]))
    extensions = part.get("extensions")
    if isinstance(extensions, dict):  # what is wrong with it is found when the whole config is checked
        for field, entries in extensions.items():
            if isinstance(entries, dict):
                extensions[field] = {
                    name: registry.absolute(entry) if isinstance(entry, str) else entry
                    for name, entry in entries.items()
                }
    return part


def _layered(lower: Any, upper: Any) -> Any:
    """Return a dictionary with another laid over it, at every depth."""
    if not (isinstance(lower, dict) and isinstance(upper, dict)):
        return upper
    return lower | {key: _layered(lower.get(key), item) for key, item in upper.items()}


def _valid(config: dict[str, Any], place: str, source: str = "config") -> ml_collections.ConfigDict:
    try:
        return config_lib.validate(ml_collections.ConfigDict(config), source)
    except UserError as error:
        raise UserError(f"config: {place}: {str(error).removeprefix('config: ')}") from None


def _with_seed(config: ml_collections.ConfigDict, seed: int) -> ml_collections.ConfigDict:
    return _valid(config.to_dict() | {"seed": seed}, "seeds")


def _selection_config(
    config: ml_collections.ConfigDict, selection: str, fields: dict[str, Any], place: str
) -> ml_collections.ConfigDict:
    """Return a search's config with a selection's fields laid over it."""
    fields = config.selection.to_dict() | fields
    # Without a name of its own the folder is the method's, so that --method finds it.
    fields["name"] = "" if fields["method"] == selection else selection
    return _valid(config.to_dict() | {"selection": fields}, place)


# Folders under training/ and configs of trainings, by name of the training ("": the only one).
_Trainings = dict[str, tuple[str, ml_collections.ConfigDict]]


def _trainings(
    study: dict[str, Any], search: str, selection: str, config: ml_collections.ConfigDict
) -> _Trainings:
    """Return the trainings of what a selection selects, without a seed; none where it is not trained."""
    if selection not in study["trains"]:
        return {}
    found = {} if study["trainings"] else {"": (selection, config)}
    for name, fields in study["trainings"].items():
        training = config.training.to_dict() | fields
        place = f"trainings.{name} after searches.{search}"
        found[name] = f"{selection}.{name}", _valid(config.to_dict() | {"training": training}, place)
        stage_folders.check_name(f"config: trainings.{name}: folder", found[name][0])
    return found


def _seeded(trainings: _Trainings, seed: int) -> _Trainings:
    """Return the same with a seed of the study, which is valid."""
    found = {}
    for name, (folder, config) in trainings.items():
        found[name] = folder, copy.deepcopy(config)
        found[name][1].seed = seed
    return found


def _check_budget(search: ml_collections.ConfigDict, config: ml_collections.ConfigDict, place: str) -> None:
    """Check that a selection has the budget of a search that decided within one, or should have."""
    ours, theirs = depends.of_deciding_search(config), depends.of_deciding_search(search)
    changed = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
    if changed:
        raise UserError(
            f"config: {place}: another budget than the search's ({', '.join(sorted(changed))}), with"
            f" search.method {config.search.method!r}, which decides within it; allowed: the same"
        )


# Configs by name.
_Configs = dict[str, ml_collections.ConfigDict]


def _combinations(study: dict[str, Any], source: str) -> tuple[_Configs, dict[str, _Configs], list[str]]:
    """Return configs of searches, of each one's selections, and a line per pair that does not go together."""
    searched = {
        search: _valid(_layered(study["base"], part), f"searches.{search}", source)
        for search, part in study["searches"].items()
    }
    selected: dict[str, _Configs] = {search: {} for search in searched}
    skipped = []
    for selection, fields in study["selections"].items():
        named, refused = selection in study["only_for"], []
        wanted = study["only_for"].get(selection, tuple(searched))
        for search in wanted:
            place = f"selections.{selection} after searches.{search}"
            try:
                config = _selection_config(searched[search], selection, fields, place)
                _check_budget(searched[search], config, place)
            except UserError as error:
                if named:
                    raise
                refused.append(error)
            else:
                selected[search][selection] = config
        if len(refused) == len(wanted):
            raise refused[0]
        skipped += [f"skipped: {str(error).removeprefix('config: ')}" for error in refused]
    empty = [search for search, selections in selected.items() if not selections]
    if empty:
        raise UserError(f"config: searches.{empty[0]}: no selection is made from it; allowed: at least one")
    return searched, selected, skipped
