"""bin/tpu_check: what is wrong with its flags, its report, and (slow) a step through bridge and compiler."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tf_darts.tools.tpu_check import report, run
from tf_darts.tools.tpu_check.cases import CHIPS, CompiledCase, batch_of, cells_of, sizes

ROOT = Path(__file__).resolve().parents[3]
MODULE = "tf_darts.cli.tpu_check"


def call(python, *arguments, timeout=100):
    command = [str(python), "-m", MODULE, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--output: missing"),
        (["--output=x", "--space=s1"], "--space: 's1'; allowed: some of darts, nas_bench_201"),
        (["--output=x", "--chip=v9"], "--chip: 'v9'; allowed: some of v4, v5e, none"),
        (
            ["--output=x", "--size=fewest,2"],
            "--size: '2'; allowed: full, fewest, or a number of cells from 3 on",
        ),
        (["--output=x", "--batch=64,0"], "--batch: '0'; allowed: published, or a number of images from 1 on"),
        (["--output=x", "--size="], "--size: ''; allowed: full, fewest, or a number"),
        (["--output=x"], "tensorflow_tpu is not installed; it needs its own environment"),
    ],
)
def test_bad_input_is_one_line(arguments, message):
    done = call(sys.executable, *arguments)
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1


def test_sizes_are_numbers_of_cells():
    assert [cells_of(size, "darts") for size in ("full", "fewest", "8")] == [0, 3, 8]
    assert cells_of("fewest", "nas_bench_201") == cells_of("1", "nas_bench_201") == 1
    for wrong in ("0", "-1", "1.5", ""):
        with pytest.raises(ValueError, match="allowed: full, fewest, or a number of cells from 1 on"):
            cells_of(wrong, "nas_bench_201")


def test_batches_are_numbers_of_images_in_both_stages():
    assert [batch_of(batch) for batch in ("published", "1", "128")] == [0, 1, 128]
    for wrong in ("0", "-1", "1.5", "full", ""):
        with pytest.raises(ValueError, match="allowed: published, or a number of images from 1 on"):
            batch_of(wrong)
    fields = ("search.batch_size", "training.batch_size")
    published, eight = (sizes(CompiledCase("darts", "search", "float32", 0, 1, batch)) for batch in (0, 8))
    assert [eight[name] for name in fields] == [8, 8] and [published.get(name) for name in fields] == [
        None,
        96,
    ]


def cells_in(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_report_has_a_row_for_each_program_and_says_what_failed():
    case = CompiledCase("darts", "search", "float32", 5)
    assert CompiledCase("darts", "search", "float32", 5, 1, 8).name == f"{case.name}-batch_8"
    lowered = {"operations": 1234, "lowering_seconds": 61.4, "all_reduces": 0}
    done = {
        "libtpu": "0.0.1",
        "compile_seconds": 100.0,
        "compile_peak_bytes": 2.5e9,
        "code_bytes": 1.5e6,
        "argument_bytes": 157e6,
        "temporary_bytes": 3e9,
        "flops": CHIPS["v5e"].flops / 100,
        "bytes_accessed": CHIPS["v5e"].bandwidth / 50,
    }
    row = vars(case) | {"name": case.name} | lowered
    page = report.page(
        [
            row | {"chip": "v5e"} | done,
            row | {"chip": None, "batch": 8},
            row | {"chip": None, "batch": 32},
            row | {"chip": "v4", "error": "exit status 1: no"},
            row | {"chip": None, "error": "exit status 2: no"},
        ],
        {"jax": "1"},
        "2 cores",
    )
    assert "4 of 5 programs lowered, 1 of them compiled." in page
    assert "\n- **darts-search-float32-5_cells-1**, v4: exit status 1: no\n" in page
    assert "\n- **darts-search-float32-5_cells-1**, lowering: exit status 2: no\n\n|" in page
    assert "Versions: jax 1. Machine: 2 cores." in page
    old = report.cells(
        {name: value for name, value in (row | {"chip": "v5e"} | done).items() if name != "libtpu"}
    )
    assert old["libtpu"] == "unknown"
    compiled, only_lowered, _ = (cells_in(line) for line in page.splitlines() if "1,234" in line)
    assert compiled[3] == "5 cells" and compiled[6:9] == ["v5e", "0.0.1", "100"]
    assert compiled[-7:] == ["1.5", "157.0", "3000.0", "1970.0", "16.38", "10.00", "20.00"]
    assert only_lowered[3] == "5 cells, batch 8" and only_lowered[6:8] == ["lowered only", ""]
    assert len(only_lowered) == len(compiled)


def test_what_earlier_runs_left_is_found(tmp_path):
    cases = [
        CompiledCase("darts", "search", "float32"),
        CompiledCase("nas_bench_201", "probe", "mixed_bfloat16", 1, 4, 8),
    ]
    for i, case in enumerate(cases):
        (tmp_path / case.name).mkdir()
        (tmp_path / case.name / "lowered.json").write_text(f'{{"operations": {i}}}')
    for chip in ("v5e", "v4"):
        (tmp_path / cases[1].name / f"{chip}.json").write_text('{"flops": 5}')
    (tmp_path / CompiledCase("darts", "probe", "float32").name).mkdir()  # killed before it was lowered
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "lowered.json").write_text("{}")
    rows = [vars(case) | {"name": case.name, "operations": i} for i, case in enumerate(cases)]
    compiled = [rows[1] | {"chip": chip, "flops": 5} for chip in ("v4", "v5e")]
    assert run.found(tmp_path) == [rows[0] | {"chip": None}, *compiled]
    with pytest.raises(ValueError, match="no case is called"):
        CompiledCase.of_name("darts-search-float32-05_cells-1")


def test_records_without_their_program_are_kept_and_lowered_again_only_to_compile(tmp_path, monkeypatch):
    case, called = CompiledCase("darts", "probe", "float32"), []
    folder = tmp_path / case.name

    def process(command, **_):
        called.append(command[3].rpartition(".")[2])
        if called[-1] == "lower":
            (folder / "program.mlir").write_text("")
        name = "lowered" if called[-1] == "lower" else command[5]
        (folder / f"{name}.json").write_text('{"made": 2}')
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(run.subprocess, "run", process)
    folder.mkdir()
    for name in ("lowered", "v4"):
        (folder / f"{name}.json").write_text('{"made": 1}')
    quiet = [].append
    assert [row["made"] for row in run.results([case], ["v4"], tmp_path, quiet)] == [1] and not called
    assert [row["made"] for row in run.results([case], [], tmp_path, quiet)] == [1] and not called
    assert [row["chip"] for row in run.results([case], ["v4", "v5e"], tmp_path, quiet)] == ["v4", "v5e"]
    assert called == ["lower", "compile"]
    assert [(row["chip"], row["made"]) for row in run.found(tmp_path)] == [("v4", 1), ("v5e", 2)]
    run.results([case], ["v4", "v5e"], tmp_path, quiet)
    assert called == ["lower", "compile"]


def test_the_page_shows_the_records():
    shown = (ROOT / "docs" / "tpu_check.md").read_text()
    lines = report.page(run.found(ROOT / "results" / "tpu_check"), {}, "").splitlines()
    counted = next(line for line in lines if " programs lowered, " in line)
    rows = [line for line in lines if line.startswith("|")]
    assert counted in shown and len(rows) > 10
    assert [line for line in shown.splitlines() if line.startswith("|")] == rows


def test_what_failed_is_kept_and_shown_until_it_compiles(tmp_path, monkeypatch):
    case = CompiledCase("darts", "search", "float32")
    folder, status = tmp_path / case.name, {"lower": 1, "compile": 1}

    def process(command, stdout, **_):
        what = command[3].rpartition(".")[2]
        if status[what]:
            stdout.write(
                b"W1127 slow\nF1127 03:13 emitter.cc:7] Check failed: !minor\nE1127 raising signal 6\n\n"
            )
        else:
            for name in ("lowered.json", "program.mlir") if what == "lower" else ("v4.json",):
                (folder / name).write_text('{"made": 1}')
        return subprocess.CompletedProcess(command, status[what])

    monkeypatch.setattr(run.subprocess, "run", process)
    monkeypatch.setattr(run, "version", lambda package: "1.2")
    error = (
        "exit status 1: F1127 03:13 emitter.cc:7] Check failed: !minor"
        " (tensorflow_tpu 1.2, libtpu 1.2, jax 1.2)"
    )
    row, quiet = vars(case) | {"name": case.name}, [].append
    for mended, wanted in (
        (None, row | {"chip": None, "error": error}),
        ("lower", row | {"chip": "v4", "made": 1, "error": error}),
        ("compile", row | {"chip": "v4", "made": 1}),
    ):
        status[mended] = 0
        assert run.results([case], ["v4"], tmp_path, quiet) == [wanted] == run.found(tmp_path)
    assert not list(folder.glob("*.failed.json"))

    # Of a record whose program was not kept: that it is not lowered again says nothing of what was compiled.
    (folder / "program.mlir").unlink()
    status["lower"] = 1
    failed, done = row | {"chip": None, "error": error}, row | {"chip": "v4", "made": 1}
    assert run.results([case], ["v4", "v5e"], tmp_path, quiet) == [failed]
    assert run.found(tmp_path) == [failed, done]


@pytest.fixture
def python():
    """Return the Python of the environment of bin/tpu_check."""
    path = Path(os.environ.get("TPU_CHECK_PYTHON", ROOT / ".venv-tpu-check/bin/python"))
    if not path.exists():
        pytest.skip("no environment for it: run bin/tpu_check once, or set TPU_CHECK_PYTHON")
    return path


@pytest.mark.slow
def test_gradients_of_many_packed_depthwise_kernels_compile(python, tmp_path):
    # Packed as [42, 5, 5, 16, 1] they did not: libtpu ended in a failed check of its own.
    for arguments in (
        ("tests.tpu_check.packed_kernels", str(tmp_path)),
        ("tf_darts.tools.tpu_check.compile", str(tmp_path), "v4", "1"),
    ):
        done = subprocess.run(
            [str(python), "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=3600
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "v4.json").exists()


@pytest.mark.slow
def test_a_step_is_lowered_and_compiled_with_its_all_reduces(python, tmp_path):
    what = ("--space=nas_bench_201", "--program=training", "--precision=mixed_bfloat16", "--chip=v5e")
    done = call(python, f"--output={tmp_path}", *what, "--replicas=1,4", timeout=3600)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "tpu_check.md").read_text()
    assert "2 of 2 programs lowered, 2 of them compiled." in page
    assert "1 cell, 4 cores," in page and ", 0 all-reduces" not in page
