"""The two pages: what they say agrees with the files, and they need nothing else."""

import dataclasses
import html
import html.parser
import json
import re
import shlex
import shutil

import numpy as np
import pytest
from scipy import stats

from tests.report import made
from tf_darts.errors import UserError
from tf_darts.plots import decisions
from tf_darts.plots.colours import SERIES, of_methods
from tf_darts.report import comparison_page, further, notebook, strength, workdir_contents, workdir_page
from tf_darts.runtime.progress import duration
from tf_darts.study.collect import TRAINED
from tf_darts.workdir.decisions import Measured
from tf_darts.workdir.records import read_json


class Checker(html.parser.HTMLParser):
    """Whether tags are closed in order, and identifiers are there once."""

    EMPTY = ("meta", "img", "br", "wbr", "link", "input")

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.texts = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag not in self.EMPTY:
            self.open.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_startendtag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def check_page(text):
    """Check that a page is well formed and self-contained; return its texts."""
    checker = Checker(text)
    assert len(checker.ids) == len(set(checker.ids))
    for target in re.findall(r'(?:xlink:href="|href="|url\()#([^")]*)', text):
        assert target in checker.ids
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    assert not re.search(r'(src|href|url\(|@import)\s*=?\s*["\']?\s*(https?:)?//', without_names)
    return checker.texts


def test_the_page_of_a_work_directory_has_every_panel(page):
    texts = check_page(page)
    for heading in (
        "Summary",
        "The cells that were selected",
        "Decisions: magnitude",
        "Decisions: perturbation",
        "What each operation was worth",
        "Alpha against what an operation is worth",
        "Mixing weights over the search",
        "What the trained networks get wrong",
        "Time and memory",
        "Config and versions",
        "What now",
    ):
        assert heading in texts
    assert page.count('class="figure"') == 2 + 6 + 6 + 6 + 2  # cells, bars, scatter, curves, weights
    assert page.count('src="data:image/png;base64,') == 4


def test_it_says_what_the_files_say(found, page):
    texts = html.unescape(page)
    for name, genotype in found.genotypes.items():
        assert genotype.to_text(found.space) in texts and genotype.to_json(found.space).rstrip() in texts
        result = read_json(found.workdir / "training" / name / "result.json")
        assert f"{100 * result['test_accuracy']:.2f} %" in texts and "12,345" in texts
    assert "1:02" in texts and "1.50 GB" in texts and "2.21.0" in texts
    assert "perturbation: 1 of 6 decisions were narrow" in texts
    assert json.dumps(found.config.to_dict(), indent=2) in texts


def test_further_supernets_are_named_and_their_time_counts(found, page, tmp_path):
    shutil.copytree(found.workdir, tmp_path / "run")
    for name in ("search_2", "search_3"):  # of which the selection looked at the first
        shutil.copytree(found.workdir / "search", tmp_path / "run" / name)
    config = {"schema_version": 1, "config": {"selection": {"supernets": 2}}}
    (tmp_path / "run/selection/perturbation/config.json").write_text(json.dumps(config))
    text = workdir_page.make(workdir_contents.read(tmp_path / "run"))
    says = "Every removal was scored in 2 supernets together, those of search and search_2; alpha is that"
    assert check_page(text).count("search_3") == 1 and text.count(says) == 1 and says not in page
    spent = sum(stage.seconds or 0.0 for stage in found.stages)
    for of, took in ((page, spent), (text, spent + 2 * found.search.seconds)):
        assert f"<b>{duration(took)}</b><span>time in all" in of


def test_epochs_of_all_stages_of_a_search_count(tmp_path):
    folder = tmp_path / "run"
    made.workdir(folder, mistakes=False, search__method="drnas_progressive", search__channels=4)
    metrics = folder / "search" / "metrics.jsonl"
    of_edges = {f"alpha/normal/{edge}/edge": 0.5 for edge in made.SPACE.edges}
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    (folder / "search" / "stage_1").mkdir()
    for path in (metrics, folder / "search" / "stage_1" / "metrics.jsonl"):
        made.write_lines(path, [row | of_edges if "finished_epoch" in row else row for row in rows])
    text = workdir_page.make(workdir_contents.read(folder))
    assert "The search took 8 epochs." in text and "<b>drnas_<wbr>progressive</b>" in text
    (folder / "search" / "result.json").unlink()
    metrics.unlink()
    assert "The search is at epoch 4 of 8." in workdir_page.make(workdir_contents.read(folder))


def test_text_of_the_files_cannot_become_markup(found, page):
    assert "<script>" in found.workdir.name
    assert page.count("<script>") == 1 and "<img src=x" not in page and "&lt;img src=x" in page


@pytest.mark.parametrize("left", ["search", "selection"])
def test_an_unfinished_work_directory_has_a_page_too(found, page, tmp_path, left):
    shutil.copytree(found.workdir, tmp_path / "run")
    stages = ("search", "selection", "training")
    for stage in stages[stages.index(left) + 1 :]:
        shutil.rmtree(tmp_path / "run" / stage)
    if left == "search":  # killed while it wrote a row
        (tmp_path / "run/search/result.json").unlink()
        lines = tmp_path / "run/search/metrics.jsonl"
        lines.write_text("".join(lines.read_text().splitlines(True)[:6]) + '{"step": 9, "ep')
    text = workdir_page.make(workdir_contents.read(tmp_path / "run"))
    check_page(text)
    assert ("is at epoch 1 of 4" in text) == (left == "search")
    assert "is at epoch" not in page


def test_drops_have_paired_intervals(found):
    rows = found.selections["perturbation"].decisions
    read = decisions.shown_all(found.space, rows)
    for row, decision in zip(rows, read, strict=True):
        for probe, effect in zip(row.probes, decision.effects, strict=True):
            differences = np.zeros(made.IMAGES)
            differences[: probe.lost] = 1
            differences[probe.lost : probe.lost + probe.gained] = -1
            assert effect.drop == pytest.approx(differences.mean())
            half = stats.norm.ppf(0.975) * differences.std() / np.sqrt(made.IMAGES)
            assert (effect.low, effect.high) == pytest.approx((effect.drop - half, effect.drop + half))
    assert [d.narrow for d in read] == [True] + [False] * 5


def test_what_the_loss_decided_is_shown_in_nats(found):
    rows = [dataclasses.replace(row, criterion="loss") for row in found.selections["perturbation"].decisions]
    for row, decision in zip(rows, decisions.shown_all(found.space, rows), strict=True):
        assert decision.by_loss
        assert [e.loss for e in decision.effects] == [p.loss - row.whole.loss for p in row.probes]
        figure = decisions.draw(found.space, decision)
        assert figure.axes[0].get_xlabel() == "loss gained without it, nats"
        assert [bar.get_width() for bar in figure.axes[0].patches] == [e.loss for e in decision.effects]


def test_without_the_whole_supernet_drops_are_from_the_best_probe(found):
    rows = []
    for row in found.selections["perturbation"].decisions:
        probes = [dataclasses.replace(probe, lost=None, gained=None) for probe in row.probes]
        rows.append(dataclasses.replace(row, whole=None, lead=None, probes=tuple(probes)))
    for row, decision in zip(rows, decisions.shown_all(found.space, rows), strict=True):
        best = max(probe.accuracy for probe in row.probes)
        assert [e.drop for e in decision.effects] == [best - probe.accuracy for probe in row.probes]
        assert decision.supernet is None and decision.lead > 0 and decision.lead_error > 0
        for probe, effect in zip(row.probes, decision.effects, strict=True):
            wilson = stats.binomtest(probe.correct, made.IMAGES).proportion_ci(method="wilson")
            assert (effect.low, effect.high) == pytest.approx((best - wilson.high, best - wilson.low))


def test_agreement_of_alpha_with_what_operations_are_worth(found):
    rows = strength.rows_of(
        found.space, decisions.shown_all(found.space, found.selections["perturbation"].decisions)
    )
    assert len(rows) == 30
    perfect = [row | {strength.MEASURE: row[strength.AGAINST]} for row in rows]
    agreement = strength.compare(perfect)
    assert agreement.mean == pytest.approx(1.0) and agreement.same_best == agreement.edges == 6
    upside_down = strength.compare([row | {strength.MEASURE: -row[strength.AGAINST]} for row in rows])
    assert upside_down.mean == pytest.approx(-1.0) and upside_down.same_best == 0
    by_hand = [
        stats.spearmanr([r[strength.MEASURE] for r in rows if r["edge"] == e],
                        [r[strength.AGAINST] for r in rows if r["edge"] == e]).statistic
        for e in range(6)
    ]  # fmt: skip
    assert strength.compare(rows).mean == pytest.approx(np.mean(by_hand))


def test_what_the_loss_decided_is_compared_with_alpha_in_nats(found):
    rows = [dataclasses.replace(row, criterion="loss") for row in found.selections["perturbation"].decisions]
    compared = strength.rows_of(found.space, decisions.shown_all(found.space, rows))
    probes = [probe.loss - row.whole.loss for row in rows for probe in row.probes]
    assert [row[strength.AGAINST] for row in compared] == probes
    figures = strength.draw(found.space, compared, strength.compare(compared), decisions.WORTH[True])
    heights = [y for figure in figures for line in figure.axes[0].lines[:5] for y in line.get_ydata()]
    assert len(figures) == 6 and set(np.round(heights, 9)) <= set(np.round(probes, 9))


def test_what_another_criterion_says_is_shown_under_its_name(found):
    rows = []
    for row in found.selections["perturbation"].decisions:
        importance = {probe.operation: 0.25 * i for i, probe in enumerate(row.probes)}
        measured = Measured(importance=importance, images=8, passes=24)
        about = {"criterion": "first_order", "probes": (), "whole": None, "lead": None}
        last = list(importance)[-1]
        rows.append(dataclasses.replace(row, measured=measured, chosen=last, **about))
    shown = decisions.shown_all(found.space, rows)
    part = workdir_page._decided(found, "perturbation", shown, moved=True)
    assert part["about_bars"].startswith("What first_order says of each candidate")
    assert part["agreement"].startswith("Alpha and first_order put")
    assert "Upwards: importance by first_order." in part["axes"] and len(part["bars"]) == 6
    assert part["lines"] == [] and part["narrow"] == 0  # nothing is known of chance in the images
    lead = list(part["table"].headings).index("lead")
    assert {row[lead] for row in part["table"].rows} == {"+0.25"}
    stage = dataclasses.replace(found.selections["perturbation"], decisions=rows)
    _, table = notebook._decisions(found.space, stage)
    assert {row[list(table.headings).index("lead")] for row in table.rows} == {"+0.25"}


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """The page of a search that never trained alpha."""
    folder = tmp_path_factory.mktemp("untrained") / "run"
    made.workdir(folder, search__method="fixed_alpha")
    return workdir_page.make(workdir_contents.read(folder))


def test_what_is_constant_without_trained_alpha_is_left_out_and_said(untrained, page):
    texts = check_page(untrained)
    for heading in (
        *("Mixing weights over the search", "The supernet's cell at the end of the search"),
        *("Alpha against what an operation is worth", "mixing weight"),
    ):
        assert heading in page and heading not in untrained
    said = "Alpha did not change in this search, so the charts and maps that would show it are left out."
    assert texts.count(said) == 1 and said not in page
    assert untrained.count('class="figure"') == 2 + 6 + 4  # cells, bars, curves without entropy and skips


def test_what_now_has_commands_for_what_is_there(found, tmp_path):
    def programs(record):
        return [command.split()[0] for _, command in further.steps(record)]

    made_all = ["bin/export", "bin/run", "bin/report", "bin/tensorboard"]
    assert programs(found) == made_all
    assert programs(dataclasses.replace(found, trainings={})) == ["bin/train", *made_all[1:]]
    bare = dataclasses.replace(found, trainings={}, genotypes={}, selections={})
    assert programs(bare) == ["bin/select", "bin/tensorboard"]
    (export, *_) = (command for _, command in further.steps(found))
    assert shlex.split(export)[1:] == [f"--workdir={found.workdir}", "--name=perturbation"]


def test_a_method_has_one_colour_everywhere(comparison, page):
    colours = of_methods(["magnitude", "perturbation"])
    assert of_methods(["a", "perturbation", "b"])["perturbation"] == colours["perturbation"]
    assert len(set(of_methods(f"method {i}" for i in range(12)).values())) == 12
    assert not {*of_methods(["new", "magnitude"]).values()} - {*SERIES}
    for text, name, start in (
        (comparison, "perturbation", "perturbation, seed"),
        (page, "magnitude", "magnitude, t"),
    ):
        parts = re.findall(rf"<title>{start}[^<]*</title>(.*?)</g>", text, re.S)
        assert len(parts) >= 2
        for part in parts:
            assert f"var(--c-{colours[name][1:]})" in part


def test_intervals_end_where_accuracies_do(several, tmp_path):
    high = [
        dataclasses.replace(r, trainings={
            n: dataclasses.replace(s, result=s.result | {"test_accuracy": 0.99 - 0.2 * r.config.seed})
            for n, s in r.trainings.items()
        }) for r in several
    ]  # fmt: skip
    texts = check_page(comparison_page.make(high, None, tmp_path / "page.html"))
    low, upper = stats.t.interval(0.95, 2, 79.0, stats.sem([99.0, 79.0, 59.0]))
    assert upper > 100 and f"{low:.2f} to 100.00" in texts and f"{low:.2f} to {upper:.2f}" not in texts


def test_the_comparison_leads_to_its_runs(several, comparison):
    folders = {each.workdir.name for each in several}
    assert {*re.findall(r'<a href="([^"#/]+)">', comparison)} == folders  # none has a page of its own
    assert comparison.count(f'href="{several[0].workdir.name}"') == 1 + len(several[0].genotypes)


def test_methods_are_named_by_what_differs(several):
    assert comparison_page.labels_of(several) == ["darts"] * 3 + ["gdas"] * 3
    changed = several[0].config.copy_and_resolve_references()
    changed.search.epochs = 9
    other = dataclasses.replace(several[0], config=changed)
    assert comparison_page.labels_of([several[1], other]) == ["darts, epochs=4", "darts, epochs=9"]


def test_the_comparison_has_means_intervals_and_paired_differences(several, comparison):
    texts = check_page(comparison)
    table = {texts[i]: texts[i + 1 : i + 9] for i, t in enumerate(texts) if t.startswith(("darts/", "gdas/"))
             and texts[i + 1] == "3"}  # fmt: skip
    assert list(table) == ["darts/magnitude", "darts/perturbation", "gdas/magnitude", "gdas/perturbation"]
    assert table["darts/magnitude"][:2] == ["3", "72.00"] and table["darts/magnitude"][5] == "baseline"
    low, high = stats.t.interval(0.95, 2, 81.0, stats.sem([80.0, 81.0, 82.0]))
    assert table["darts/perturbation"][:3] == ["3", "81.00", f"{low:.2f} to {high:.2f}"]
    assert table["darts/perturbation"][5] == "+9.00" and table["gdas/magnitude"][5] == "+4.00"
    low, high = stats.t.interval(0.95, 2, 9.0, stats.sem([10.0, 9.0, 8.0]))
    assert table["darts/perturbation"][6] == f"{low:+.2f} to {high:+.2f}"
    for each in several:
        assert each.workdir.name in texts
        for genotype in each.genotypes.values():
            assert genotype.to_text(each.space) in texts


def test_seeds_that_only_one_has_are_not_paired(several):
    rows = [row for r in (several[0], several[1], several[5]) for row in
            comparison_page.rows_of(r, r.config.search.method)]  # fmt: skip
    groups = comparison_page.groups_of(rows, lambda search: ("darts", "magnitude"))
    found = {(g.search, g.selection): g for g in groups if g.measure == TRAINED}
    assert found["darts", "perturbation"].differences == pytest.approx({0: 10.0, 1: 9.0})
    assert found["gdas", "magnitude"].differences == {} and found["gdas", "magnitude"].difference is None


def test_what_cannot_be_compared_is_refused(several, tmp_path):
    with pytest.raises(UserError, match=r"--baseline: 'x/y'; allowed: darts/magnitude, "):
        comparison_page.make(several, "x/y", tmp_path / "page.html")
    with pytest.raises(UserError, match="both hold darts/magnitude, seed 0"):
        comparison_page.make([several[0], several[0]], None, tmp_path / "page.html")


def test_only_searched_work_directories_have_nothing_to_compare(several, tmp_path):
    bare = [dataclasses.replace(r, genotypes={}, selections={}, trainings={}) for r in several[:2]]
    with pytest.raises(UserError, match="nothing is selected"):
        comparison_page.make(bare, None, tmp_path / "page.html")
