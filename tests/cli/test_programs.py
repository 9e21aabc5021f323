"""The programs on a small data set: the whole way, then each stage, each from what is there."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tf_darts.genotypes.published import PUBLISHED

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
from configs import quickstart

def get_config():
    config = quickstart.get_config()
    config.space = "custom"
    config.custom_space.stacking, config.custom_space.nodes = "nas_bench_201", 2
    config.custom_space.kept_edges = 0
    config.custom_space.candidates = ("none", "skip_connect", "nor_conv_1x1", "avg_pool_3x3")
    config.data.limit_train, config.data.limit_test = 32, 16
    config.search.channels, config.search.epochs, config.search.batch_size = 2, 1, 8
    config.search.evaluate_every = 0
    config.selection.interval = 0
    config.training.channels, config.training.epochs, config.training.batch_size = 2, 2, 16
    config.comparison.rivals = ("random_cell", "residual_network")
    return config
"""
METHODS, RIVALS = ("magnitude", "perturbation"), ("random_cell", "residual_network")


@pytest.fixture(scope="module")
def twice(call, tmp_path_factory):
    """A folder in which `run` has ended twice; for each time, what it said and the files after it."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "config.py").write_text(CONFIG)
    times = []
    for _ in range(2):
        ended = call("run", "--config=config.py", "--workdir=läufe/a b", cwd=folder)
        assert ended.status == 0, ended.err
        times.append((ended, files(folder / "läufe")))
    return folder, times


@pytest.fixture(scope="module")
def done(twice):
    """The folder, and what `run` said at first."""
    folder, times = twice
    return folder, times[0][0]


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def files(folder):
    """Contents by path, but for TensorBoard's events."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "tfevents" not in path.name
    }


def test_the_whole_way_leaves_everything(done):
    workdir = done[0] / "läufe" / "a b"
    assert [row.get("step") for row in rows(workdir / "search" / "metrics.jsonl")] == [1, 2, 2]
    assert len(rows(workdir / "selection" / "perturbation" / "decisions.jsonl")) == 3
    for method in ("magnitude", "perturbation"):
        genotype = json.loads((workdir / "selection" / method / "genotype.json").read_text())
        result = json.loads((workdir / "training" / method / "result.json").read_text())
        assert genotype["space"] == result["space"] == "custom"
        assert genotype["text"] == result["genotype"]
        assert 0 <= result["test_accuracy"] <= 1 and result["epochs"] == 2
    assert (workdir / "report" / "genotypes.png").read_bytes().startswith(b"\x89PNG")
    assert "</html>" in (workdir / "report" / "index.html").read_text()
    assert list((workdir / "search").glob("*tfevents*"))


def test_the_whole_way_says_what_came_of_it(done):
    ended = done[1]
    workdir = done[0] / "läufe" / "a b"
    for name in (*METHODS, *RIVALS):
        result = json.loads((workdir / "training" / name / "result.json").read_text())
        line = next(line for line in ended.out.splitlines() if line.split()[:1] == [name])
        assert f"{100 * result['test_accuracy']:.2f}" in line and f"{result['parameters']:,}" in line
        # 32 images in all. Search 16 + 16, three decisions of five probes of 16, two epochs of training.
        seen = {"magnitude": 32 + 64, "perturbation": 32 + 80 + 64, "random_cell": 64}
        assert f" {seen.get(name, 6 * 32)} " in line and result["epochs"] == (6 if name == RIVALS[1] else 2)
    *_, last = [line for line in ended.out.splitlines() if line.startswith("So ")]
    assert last.startswith(("So take ", "So chance decides between perturbation and "))
    assert "Next: bin/tensorboard --logdir=" in ended.out
    # On stderr is what was loaded, progress and nothing else, no log of TensorFlow's.
    said = [line for line in ended.err.splitlines() if line.startswith("data:")]
    assert len(said) == 1 and "data: digits: 10 classes, " in said[0] and " test images of 8x8x1" in said[0]
    assert {line.split(":")[0] for line in ended.err.splitlines()} == {
        "data", "search", "select", *(f"train {name}" for name in (*METHODS, *RIVALS))
    }  # fmt: skip


def test_again_it_repeats_no_work(twice):
    (first, before), (ended, after) = twice[1]
    changed = {str(path) for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert changed <= {"a b/report/genotypes.png"}
    table = first.out[first.out.index("selection method") :]
    assert table in ended.out
    assert ended.err == ""  # no progress of a stage


@pytest.mark.parametrize(
    ("program", "arguments", "following"),
    [
        ("search", ["--config=config.py"], "bin/select --workdir="),
        ("select", [], "bin/train --workdir="),
        ("select", ["--method=magnitude"], "bin/train --workdir="),
        ("train", ["--method=magnitude"], "bin/tensorboard --logdir="),
    ],
)
def test_each_stage_finds_what_is_there_and_names_the_next_command(done, call, program, arguments, following):
    folder, before = done[0], files(done[0] / "läufe")
    ended = call(program, "--workdir=läufe/a b", *arguments, cwd=folder)
    assert ended.status == 0 and ended.err == ""
    last = ended.out.splitlines()[-1]
    assert last.startswith(f"Next: {following}") and "'läufe/a b'" in last
    assert files(folder / "läufe") == before


def test_a_genotype_of_ones_own_is_trained_under_its_name(done, call):
    text = "|nor_conv_1x1~0|+|nor_conv_1x1~0|skip_connect~1|"
    ended = call("train", "--workdir=läufe/a b", f"--genotype={text}", "--name=mine", cwd=done[0])
    assert ended.status == 0, ended.err
    result = json.loads((done[0] / "läufe" / "a b" / "training" / "mine" / "result.json").read_text())
    assert result["genotype"] == text
    again = call("train", "--workdir=läufe/a b", "--genotype=" + text.replace("skip_connect", "nor_conv_1x1"),
                 "--name=mine", cwd=done[0])  # fmt: skip
    assert again.status == 2 and "training/mine was made with another config: genotype: " in again.err


@pytest.mark.slow
def test_of_several_selections_the_one_that_is_named_is_trained(done, call):
    chance = ["--config.selection.method=random", "--config.selection.name=by_chance"]
    arguments = [*chance, "--workdir", "läufe/a b"]  # fields of the recorded config, changed by flags
    ended = call("select", *arguments, cwd=done[0])
    assert ended.status == 0, ended.err
    assert ended.out.splitlines()[-1] == "Next: bin/train --workdir='läufe/a b' --selection=by_chance"
    ended = call("train", "--workdir=läufe/a b", "--selection=by_chance", cwd=done[0])
    assert ended.status == 0, ended.err
    texts = {
        path.parent.name: json.loads(path.read_text())["text"]
        for path in (done[0] / "läufe" / "a b" / "selection").glob("*/genotype.json")
    }
    result = json.loads((done[0] / "läufe" / "a b" / "training" / "by_chance" / "result.json").read_text())
    assert result["genotype"] == texts["by_chance"] and list(texts.values()).count(texts["by_chance"]) == 1
    before = files(done[0] / "läufe")
    ended = call("train", "--config=config.py", *arguments, cwd=done[0])  # the config says the name too
    assert ended.status == 0 and "training/by_chance" in ended.out and files(done[0] / "läufe") == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--selection=by_change"], "; there are selections "),
        (["--selection=by_chance", "--method=magnitude"], "--method and --selection: allowed: one of them"),
        (["--selection=../x"], "selection.name is '../x'; allowed: letters"),
    ],
)
def test_a_selection_that_is_none_is_named(done, call, arguments, message):
    ended = call("train", "--workdir=läufe/a b", *arguments, cwd=done[0])
    assert ended.status == 2 and message in ended.err and ended.err.count("\n") == 1


def test_another_config_for_the_same_work_directory_is_refused(done, call):
    before = files(done[0] / "läufe")
    arguments = ["--config=config.py", "--config.search.epochs=2", "--workdir=läufe/a b"]
    ended = call("run", *arguments, cwd=done[0])
    assert ended.status == 2 and "search.epochs: 1 -> 2" in ended.err
    other_runtime = call("search", "--config=config.py", "--config.runtime.steps_per_call=1",
                         "--workdir=läufe/a b", cwd=done[0])  # fmt: skip
    assert other_runtime.status == 0, other_runtime.err
    assert files(done[0] / "läufe") == before


@pytest.mark.slow
def test_a_selection_with_a_name_of_its_own_is_trained_by_the_same_config(call, tmp_path):
    """A row of the paper (which has such a name), made small by flags."""
    config = f"--config={ROOT / 'configs' / 'paper.py'}:nas_bench_201_cifar10_darts"
    small = ["data.source=digits", "data.limit_train=32", "data.limit_test=8", "search.channels=2"]
    small += ["search.cells=1", "search.epochs=1", "search.batch_size=8", "search.evaluate_every=0"]
    small += ["training.channels=2", "training.cells=1", "training.epochs=1", "training.batch_size=16"]
    for program in ("search", "select", "train"):
        arguments = [config, *(f"--config.{field}" for field in small), "--workdir=row"]
        ended = call(program, *arguments, cwd=tmp_path)
        assert ended.status == 0, ended.err
    selected = json.loads((tmp_path / "row" / "selection" / "darts" / "genotype.json").read_text())
    result = json.loads((tmp_path / "row" / "training" / "darts" / "result.json").read_text())
    assert result["genotype"] == selected["text"]


@pytest.mark.slow
def test_a_published_genotype_is_trained_from_a_stream(call, tmp_path):
    """A row for ImageNet on a folder of few small images, made small by flags."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 3), ("val", 1)):
        for name in ("ant", "bee"):
            (tmp_path / part / name).mkdir(parents=True)
            for i in range(count):
                pixels = draw.integers(0, 256, (24, 20, 3)).astype(np.uint8)
                Image.fromarray(pixels).save(tmp_path / part / name / f"{i}.JPEG")
    config = f"--config={ROOT / 'configs' / 'paper.py'}:darts_imagenet_darts_v2"
    small = ["data.source=folder", "data.test_split=val", "data.image_size=16", "data.test_resize=18"]
    small += ["training.channels=4", "training.cells=1", "training.epochs=1", "training.batch_size=6"]
    small += ["training.auxiliary_weight=0.0"]
    arguments = [config, "--workdir=row", f"--data_dir={tmp_path}", *(f"--config.{field}" for field in small)]
    ended = call("train", *arguments, "--genotype=darts_v2", "--name=darts_v2", cwd=tmp_path)
    assert ended.status == 0, ended.err
    result = json.loads((tmp_path / "row" / "training" / "darts_v2" / "result.json").read_text())
    assert result["genotype"] == PUBLISHED["darts_v2"].to_text() and result["test_images"] == 2
    ended = call("search", *arguments, "--config.search.batch_size=2", cwd=tmp_path)
    assert (
        ended.status == 2 and "data.stream is True; allowed: False where a supernet is searched" in ended.err
    )
    ended = call(
        "predict", "--workdir=row", "--name=darts_v2", f"--image={tmp_path / 'val' / 'ant'}", cwd=tmp_path
    )
    assert ended.status == 0 and ended.err == "" and ended.out.count("\n") == 1, ended
    assert "0.JPEG: " in ended.out and "ant " in ended.out and "bee " in ended.out
