"""bin/cloud_tpu and bin/on_tpu_vm, with stand-ins for gcloud and for the VM's Python (stand_ins/)."""

import contextlib
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
STAND_INS = pathlib.Path(__file__).parent / "stand_ins"
STEPS = 24
COMMAND = ("search", "--config=configs/quickstart.py", "--config.data.name=it's")


class Cloud:
    """A checkout, and beside it the stand-ins' TPU and bucket."""

    def __init__(self, folder: pathlib.Path):
        self.folder, self.root = folder / "cloud", folder / "checkout"
        self.vm, self.copies = self.folder / "vm", self.folder / "bucket/keep"
        self.folder.mkdir()
        (self.root / "bin").mkdir(parents=True)
        for name in ("cloud_tpu", "on_tpu_vm", "environment.sh"):
            shutil.copy(ROOT / "bin" / name, self.root / "bin" / name)
        for name in ("requirements.txt", "requirements-tpu.txt"):
            shutil.copy(ROOT / name, self.root)
        shutil.copytree(STAND_INS, folder / "path")
        for name in ("python3.13", "python3.12"):
            self.program(name, "exit 1")
        self.environment = os.environ | {
            "PATH": f"{folder / 'path'}:{os.environ['PATH']}",
            "CLOUD": str(self.folder),
            "REAL_PYTHON": sys.executable,
            "STEPS": str(STEPS),
            "SYNC_SECONDS": "0.3",
            "POLL_SECONDS": "0.1",
            "NAME": "keep",
            "ZONE": "z",
            "BUCKET": "gs://b",
        }

    def program(self, name: str, text: str) -> None:
        """Put a program on the path."""
        path = self.folder.parent / "path" / name
        path.write_text(f"#!/usr/bin/env bash\n{text}\n")
        path.chmod(0o755)

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [self.root / "bin/cloud_tpu", *arguments],
            env=self.environment | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        (self.folder / "keep").write_text(str(process.pid))
        return process

    def call(self, *arguments: str, **settings: str) -> tuple[int, str]:
        process = self.start(*arguments, **settings)
        said, _ = process.communicate(timeout=120)
        return process.returncode, said

    @property
    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def until(self, pattern: str) -> None:
        """Wait for a call that matches."""
        end = time.monotonic() + 60
        while not any(re.search(pattern, line) for line in self.calls):
            assert time.monotonic() < end, self.calls
            time.sleep(0.05)

    def place(self) -> pathlib.Path:
        return self.vm / "tf_darts_work/gs___b_keep"

    def check_all_is_there(self) -> None:
        """Fetch, and check that every step was done, in order, and is there once."""
        status, said = self.call("fetch")
        assert status == 0, said
        fetched = self.root / "runs/keep"
        assert (fetched / "result.json").exists() and not (fetched / "lock.json").exists()
        assert (fetched / "rows.jsonl").read_text().split() == [str(i + 1) for i in range(STEPS)]
        assert (fetched / "b").read_text() == f"{STEPS}\n"
        newest = self.copies / f"copy_{int((self.copies / 'newest').read_text()) % 2}"
        assert sorted(path.name for path in newest.glob("ckpt-*")) == [f"ckpt-{STEPS - 1}", f"ckpt-{STEPS}"]
        assert not (self.folder / "torn").exists()


def vm_processes(cloud: Cloud) -> list[int]:
    found = []
    for place in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"HOME={cloud.vm}".encode() in (place / "environ").read_bytes().split(b"\0"):
                found.append(int(place.name))
    return found


@pytest.fixture
def cloud(tmp_path):
    made = Cloud(tmp_path)
    yield made
    for process in vm_processes(made):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def keep(cloud: Cloud, *strikes: str) -> None:
    """Run `keep` to its end, as someone does who gives the command again when it was killed."""
    (cloud.folder / "strikes").write_text("".join(f"{strike}\n" for strike in strikes))
    for _ in range(len(strikes) + 1):
        status, said = cloud.call("keep", *COMMAND, SPOT="1")
        if status != -signal.SIGKILL:
            break
    calls = "\n".join(cloud.calls)
    assert status == 0, f"{said}\n{calls}"
    assert not (cloud.folder / "strikes").read_text(), f"not every strike fell:\n{calls}"
    cloud.check_all_is_there()


@pytest.mark.parametrize(
    ("kind", "settings", "image"),
    [
        ("v2-8", {}, "tpu-ubuntu2204-base"),
        ("v4-8", {"SPOT": "1"}, "tpu-ubuntu2204-base"),
        ("v5litepod-4", {}, "v2-alpha-tpuv5-lite"),
        ("v5p-8", {}, "v2-alpha-tpuv5"),
        ("v6e-8", {}, "v2-alpha-tpuv6e"),
        ("v4-32", {}, "tpu-vm-tf-2.20.0-pod-pjrt"),
        ("v6e-16", {"VERSION": "mine"}, "mine"),
        ("v9-8", {"VERSION": "mine"}, "mine"),
    ],
)
def test_a_tpu_is_asked_for_in_the_queue(cloud, kind, settings, image):
    (cloud.folder / "strikes").write_text("after|keep|queued-resources create\n")
    status, said = cloud.call("create", TYPE=kind, **settings)
    assert status == -signal.SIGKILL and ("for several hosts the image is" in said) == (kind == "v4-32")
    spot = " --spot" if "SPOT" in settings else ""
    assert cloud.calls[2] == (
        "gcloud compute tpus queued-resources create keep --node-id=keep --zone=z"
        f" --accelerator-type={kind} --runtime-version={image} --async{spot}"
    )


def test_a_request_that_always_fails_is_not_made_for_ever(cloud):
    (cloud.folder / "full").touch()
    status, said = cloud.call("keep", *COMMAND)
    assert status == 2 and "cannot get the TPU keep: see gcloud's messages above" in said
    assert sum("queued-resources create" in line for line in cloud.calls) == 5


@pytest.mark.parametrize(
    ("kind", "tpu"), [("v4-8", "local"), pytest.param("v6e-16", "keep", marks=pytest.mark.slow)]
)
def test_a_tpu_is_made_used_and_deleted(cloud, kind, tpu):
    assert cloud.call("create", TYPE=kind)[0] == 0 and (cloud.folder / "node").read_text() == "READY\n"
    assert cloud.call("install", TYPE=kind)[0] == 0
    assert cloud.call("run", *COMMAND, TYPE=kind, STEPS="1")[0] == 0
    (program,) = [line for line in cloud.calls if line.startswith("program")]
    rest = " ".join(COMMAND[1:])
    assert program == f"program tf_darts.cli.search --tpu={tpu} --workdir={cloud.place()}/workdir {rest}"
    assert cloud.call("delete")[0] == 0 and not (cloud.folder / "queue").exists()


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (["create"], {"ZONE": ""}, "ZONE: missing"),
        (["create"], {"BUCKET": "b"}, "BUCKET is 'b'; allowed: a bucket"),
        (["create"], {"TYPE": "v4"}, "TYPE is 'v4'; allowed"),
        (["create"], {"TYPE": "tpu7x-8"}, "TYPE is 'tpu7x-8'; allowed: v2, v3, v4"),
        (["keep", *COMMAND], {"DATA": "tfds"}, "DATA is 'tfds'; allowed"),
        (["make"], {}, "'make': allowed: create, install"),
        (["run"], {}, "run: give a program and its arguments"),
        (["run", "predict"], {}, "run: 'predict'; allowed: one of search"),
        (["run", "run", "--workdir=gs://b/x"], {}, "--workdir=gs://b/x: allowed: none; the program works in"),
        (["keep", "study", "--output", "x"], {}, "--output: allowed: none; the program works in"),
        (["keep", "run", "--data_dir=gs://b/x"], {}, "--data_dir=gs://b/x: allowed: DATA=gs://b/x"),
    ],
)
def test_bad_settings_are_said(cloud, arguments, settings, message):
    status, said = cloud.call(*arguments, **settings)
    assert status == 2 and message in said and said.count("\n") == 1 and not cloud.calls


def test_a_python_is_made_where_the_image_has_none_that_is_new_enough(cloud):
    (cloud.folder.parent / "path/python3.11").rename(cloud.folder / "made")
    cloud.program("python3.11", "exit 1")
    cloud.program(
        "python3",
        'case "$*" in "-m pip "* | "-m uv python install 3.11") ;;'
        ' "-m uv python find 3.11") echo "$CLOUD/made" ;; *) exit 1 ;; esac\n'
        'echo "python3 $*" >>"$CLOUD/calls"',
    )
    assert cloud.call("create")[0] == 0
    assert cloud.call("install")[0] == 0
    assert [line for line in cloud.calls if line.startswith("python3 -m uv python install")]
    assert (cloud.vm / "tf_darts/.venv/bin/python").exists()
    count = len(cloud.calls)
    assert cloud.call("install")[0] == 0  # the one that is there is kept
    assert not [line for line in cloud.calls[count:] if line.startswith(("python3", "pip"))]


def test_where_no_python_can_be_made_one_line_says_what_to_do(cloud):
    for name in ("python3.11", "python3"):
        cloud.program(name, "exit 1")
    status, said = cloud.call("keep", *COMMAND)
    assert status == 2
    assert said.count("sudo apt-get install python3.11 python3.11-venv), or set VERSION") == 1


def test_a_program_outlives_its_session(cloud):
    (cloud.folder / "strikes").write_text("before|hangup|on_tpu_vm follow\n")
    cloud.call("create")
    cloud.call("install")
    process = cloud.start("run", *COMMAND)
    cloud.until("^program")
    for place in ("tf_darts_job/pid", "tf_darts_work/gs___b_keep/child"):
        os.kill(int((cloud.vm / place).read_text()), signal.SIGHUP)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and f"counts to {STEPS} from 0" in said
    assert sum(line.startswith("program") for line in cloud.calls) == 1
    cloud.check_all_is_there()


@pytest.mark.slow
def test_nobody_watching_it_goes_on_and_can_be_watched_and_stopped(cloud):
    cloud.call("create")
    cloud.call("install")
    process = cloud.start("run", *COMMAND, STEPS="1000")
    cloud.until("^program")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    status, said = cloud.call("run", "train", "--name=x")
    assert status == 3 and "another program is at work" in said
    status, said = cloud.call("install")
    assert status == 1 and "a program is running there" in said
    watching = cloud.start("watch")
    assert cloud.call("stop")[0] == 0
    watching.communicate(timeout=60)
    assert watching.returncode == 143
    done = int((cloud.place() / "workdir/b").read_text())
    newest = int((cloud.copies / "newest").read_text())
    assert 0 < done == int((cloud.copies / f"copy_{newest % 2}/b").read_text())
    assert cloud.call("run", *COMMAND, STEPS=str(max(STEPS, done)))[0] == 0
    assert f"start {done}" in (cloud.folder / "steps").read_text().splitlines()


def test_a_program_that_fails_ends_with_its_status(cloud):
    status, said = cloud.call("keep", *COMMAND, "--fail")
    assert status == 9, said
    assert sum(line.startswith("program") for line in cloud.calls) == 1


@pytest.mark.slow
def test_a_study_has_its_output_there(cloud):
    assert cloud.call("keep", "study", "--config=configs/study_digits.py")[0] == 0
    assert any(f"tf_darts.cli.study --tpu=local --output={cloud.place()}/workdir" in x for x in cloud.calls)
    cloud.check_all_is_there()


@pytest.mark.slow
def test_data_are_copied_to_every_vm(cloud):
    folder = cloud.folder / "bucket/tfds/cifar10"
    folder.mkdir(parents=True)
    (folder / "images").write_text("x")
    (cloud.folder / "strikes").write_text("after|vm|storage cp - .*newest\n")
    assert cloud.call("keep", *COMMAND, DATA="gs://b/tfds")[0] == 0
    programs = [line for line in cloud.calls if line.startswith("program")]
    place = cloud.vm / "tf_darts_data/tfds"
    assert len(programs) == 2 and all(line.endswith(f"--data_dir={place}") for line in programs)
    assert (place / "cifar10/images").read_text() == "x"
    cloud.check_all_is_there()


def test_copies_are_of_one_moment(cloud):
    """A program changes fifty files one after the other: no copy has a newer one after an older one."""
    program = (
        "import os, sys, time\n"
        "end, i = time.monotonic() + 3, 0\n"
        "while time.monotonic() < end:\n"
        "    i += 1\n"
        "    for k in range(50):\n"
        "        open('new', 'w').write(f'{i:08}'); os.replace('new', f'file-{k:02}')\n"
    )
    cloud.program(
        "python3.11",
        STAND_INS.joinpath("python3.11")
        .read_text()
        .replace("echo '{}' >lock.json", f'exec "$REAL_PYTHON" -c "{program}"'),
    )
    look = cloud.folder / "look"
    look.write_text(
        f"#!{sys.executable}\nimport os, pathlib, sys\n"
        "values = [int(p.read_text()) for p in sorted(pathlib.Path(sys.argv[1]).glob('file-*'))]\n"
        "name = 'torn' if values != sorted(values, reverse=True) or values[0] - values[-1] > 1 else 'whole'\n"
        "with open(os.environ['CLOUD'] + '/' + name, 'a') as file: print(values, file=file)\n"
    )
    look.chmod(0o755)
    assert cloud.call("keep", *COMMAND)[0] == 0
    assert not (cloud.folder / "torn").exists()
    assert len((cloud.folder / "whole").read_text().splitlines()) >= 2


@pytest.mark.slow
def test_a_bucket_that_cannot_be_reached_is_not_taken_for_an_empty_one(cloud):
    """Else a new VM would begin anew, and copy that over what was reached."""
    keep(
        cloud, "after|vm|storage cp - .*newest", "before|fail|storage cat", "before|fail|storage cp --if-gen"
    )
    starts = [x for x in (cloud.folder / "steps").read_text().splitlines() if x.startswith("start")]
    assert starts[0] == "start 0" and "start 0" not in starts[1:]


@pytest.mark.slow
def test_files_of_another_job_in_the_folder_are_not_written_over(cloud):
    cloud.call("create")
    cloud.call("install")
    process = cloud.start("run", *COMMAND, STEPS="1000", SYNC_SECONDS="3")
    cloud.until("storage cp - gs://b/keep/newest")
    time.sleep(1)
    (cloud.copies / "newest").write_text("1000\n")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 3 and "another job writes to gs://b/keep" in said
    assert (cloud.copies / "newest").read_text() == "1000\n"


@pytest.mark.slow
def test_a_copier_that_is_killed_leaves_nothing_at_work(cloud):
    process = cloud.start("keep", *COMMAND)
    cloud.until("storage rsync")
    os.kill(int((cloud.vm / "tf_darts_job/pid").read_text()), signal.SIGKILL)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    cloud.check_all_is_there()


# Every call that a run makes, by a pattern: what may break there.
LOCAL = (
    "queued-resources describe",
    "queued-resources create",
    "tpu-vm describe",
    "tpu-vm scp",
    "on_tpu_vm setup",
    "on_tpu_vm start",
    "on_tpu_vm follow",
    "on_tpu_vm state",
)
ON_VM = (
    "storage cat",
    "storage cp --if-generation-match",
    "storage rsync .*copy_1",
    "storage cp - .*newest",
    "storage rsync .*copy_0",
)
STRIKES = [
    *(f"{when}|keep|{call}" for call in LOCAL for when in ("before", "after")),
    *(f"{when}|vm|{call}" for call in LOCAL[3:] for when in ("before", "after")),
    *(f"{when}|{what}|{call}" for call in ON_VM for when in ("before", "after") for what in ("vm", "notice")),
    *(f"mid|{what}|storage rsync .*copy_{k}" for k in (0, 1) for what in ("vm", "notice")),
    *(f"before|fail|{call}" for call in (*LOCAL, *ON_VM)),
]
QUICK = ("mid|vm|storage rsync .*copy_0",)


@pytest.mark.parametrize(
    "strike", [pytest.param(x, marks=() if x in QUICK else pytest.mark.slow) for x in STRIKES]
)
def test_killed_at_any_stage_nothing_is_lost(cloud, strike):
    keep(cloud, strike)
    rows = [line.split() for line in (cloud.folder / "steps").read_text().splitlines()]
    for (before, kept), (after, begun) in itertools.pairwise(rows):
        if (before, after) == ("kept", "start"):
            assert begun == kept  # what the newest copy had when the VM was lost


@pytest.mark.slow
@pytest.mark.parametrize(
    "strike",
    [
        "mid|vm|storage rsync --recursive gs:",
        "before|keep|queued-resources delete",
        "after|keep|queued-resources delete",
        "before|fail|queued-resources delete",
    ],
)
def test_killed_while_another_vm_is_made_and_reads_the_copy(cloud, strike):
    keep(cloud, "after|vm|storage cp - .*newest", strike)
    starts = [x for x in (cloud.folder / "steps").read_text().splitlines() if x.startswith("start")]
    assert starts[-1] != "start 0"


@pytest.mark.slow
def test_a_search_goes_on_from_a_copy_bit_for_bit(cloud):
    """The real program, without its TPU: the VM is lost in the middle of a copy, and no bit of the search."""
    small = {"search.channels": 2, "search.epochs": 60, "data.limit_train": 64, "data.limit_test": 16}
    config = [f"--config={ROOT / 'configs/quickstart.py'}", "--config.runtime.tensorboard=False"]
    config += [f"--config.{name}={value}" for name, value in small.items()]
    stand_in = STAND_INS.joinpath("python3.11").read_text()
    real = (
        f'"-m tf_darts.cli."*) export PYTHONPATH={ROOT} TF_CPP_MIN_LOG_LEVEL=3\n'
        'for a in "$@"; do if [[ $a != --tpu=* ]]; then set -- "$@" "$a"; fi; shift; done\n'
        'exec "$REAL_PYTHON" "$@" ;;'
    )
    cloud.program("python3.11", stand_in.replace('case "$*" in', f'case "$*" in\n{real}', 1))
    # Of the second copy to copy_1: the first may be of a work directory that has only begun.
    strikes = ("after|nothing|storage rsync .*copy_1", "mid|vm|storage rsync .*copy_1")
    (cloud.folder / "strikes").write_text("".join(f"{strike}\n" for strike in strikes))
    process = cloud.start("keep", "search", *config, SYNC_SECONDS="1.5")
    said, _ = process.communicate(timeout=900)
    assert process.returncode == 0 and not (cloud.folder / "strikes").read_text(), said
    assert cloud.call("fetch")[0] == 0
    whole = cloud.folder / "whole"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tf_darts.cli.search", f"--workdir={whole}", *config]
    subprocess.run(command, env=environment, capture_output=True, check=True, timeout=600)
    found = cloud.root / "runs/keep/search"
    assert json.loads((found / "seconds.json").read_text())["starts"] == 2
    for name in ("metrics.jsonl", "result.json"):
        assert (found / name).read_bytes() == (whole / "search" / name).read_bytes()


# Of bash 4 and newer, and of GNU's programs: macOS has neither.
NOT_ON_MACOS = (
    r"mapfile|readarray|declare -A|local -[An]|wait -n|coproc|&>>|\|&",
    r"\$\{\w+(,,|\^\^|@[A-Z])",
    r"mktemp (-\w+ )*--|mktemp [^-)]*$|sed -i|date -d|tail --pid|readarray|stat -c|grep -P",
    r'(?<!\+)"\$\{\w+\[@\]\}"',
)


def test_the_script_runs_with_the_bash_and_the_programs_of_macos():
    lines = (ROOT / "bin/cloud_tpu").read_text().splitlines()
    local = [line for line in lines if not line.lstrip().startswith("#")]
    assert not [line for line in local for pattern in NOT_ON_MACOS if re.search(pattern, line)]
    assert re.search(NOT_ON_MACOS[3], '"${spot[@]}"') and re.search(NOT_ON_MACOS[2], "mktemp --suffix=.gz")
