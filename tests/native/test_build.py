"""Building and choosing the kernels: what is said where there are none, and what then computes."""

import dataclasses
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

import tf_darts
from tests.native import kernels
from tf_darts import spaces
from tf_darts.config import files
from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Choice, Genotype
from tf_darts.models.network import Network
from tf_darts.models.supernet import Supernet
from tf_darts.native import build, choice, library
from tf_darts.native.build import BuildError
from tf_darts.runtime.strategy import assumed_device_type


def cpuinfo(folder, *names):
    path = folder / "cpuinfo"
    path.write_text(f"processor : 0\nflags : fpu {' '.join(names)}\nbugs :\n")
    return path


def test_the_level_is_the_best_that_the_processor_has(tmp_path):
    avx2, avx512 = build.LEVELS["x86-64-v3"], build.LEVELS["x86-64-v4"]
    assert build.level(cpuinfo(tmp_path, *avx2, *avx512)) == "x86-64-v4"
    assert build.level(cpuinfo(tmp_path, *avx2, *avx512[1:])) == "x86-64-v3"
    with pytest.raises(BuildError, match="neither AVX-512 nor AVX2"):
        build.level(cpuinfo(tmp_path, "sse4_2"))
    with pytest.raises(BuildError, match="Linux"):
        build.level(tmp_path / "none")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, a package that carries nothing, and nothing loaded."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(build, "CARRIED", tmp_path / "built")
    library._loaded.cache_clear()
    choice._tell.cache_clear()
    yield tmp_path / "cache"
    library._loaded.cache_clear()
    choice._tell.cache_clear()


def compiler(folder, text):
    path = folder / "compiler"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


def test_what_was_compiled_is_taken_again(cache, tmp_path, monkeypatch, capfd):
    # Its last argument but for TensorFlow's own follows -o.
    monkeypatch.setenv("CXX", compiler(tmp_path, 'while [ "$1" != -o ]; do shift; done; echo x > "$2"'))
    first = build.built("x86-64-v3")
    assert first.read_text() == "x\n" and first.parent == cache / "tf_darts"
    assert "compiling, once" in capfd.readouterr().err
    monkeypatch.setenv("CXX", "/nowhere")
    assert build.built("x86-64-v3") == first
    assert list(first.parent.iterdir()) == [first]
    with pytest.raises(BuildError, match="no C\\+\\+ compiler"):
        build.built("x86-64-v4")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('echo "edge.cpp:1: error: no such thing" >&2; exit 1', "edge.cpp:1: error: no such thing"),
        ("exit 3", "it does not say why"),
    ],
)
def test_a_compiler_that_fails_is_quoted(cache, tmp_path, monkeypatch, text, said):
    monkeypatch.setenv("CXX", compiler(tmp_path, text))
    with pytest.raises(BuildError, match=said):
        build.built("x86-64-v3")
    assert not list((cache / "tf_darts").iterdir())


def test_a_compiler_that_takes_too_long_is_ended(cache, tmp_path, monkeypatch):
    def never(*arguments, timeout, **more):
        raise subprocess.TimeoutExpired(arguments[0], timeout)

    monkeypatch.setattr(build.subprocess, "run", never)
    monkeypatch.setenv("CXX", compiler(tmp_path, ""))
    with pytest.raises(BuildError, match="timed out"):
        build.built("x86-64-v3")


def test_a_cache_that_is_a_file_is_named(cache, tmp_path, monkeypatch):
    cache.write_text("")
    monkeypatch.setenv("CXX", compiler(tmp_path, ""))
    with pytest.raises(BuildError, match="cannot be written"):
        build.built("x86-64-v3")


def test_without_a_compiler_tensorflow_computes_and_it_is_said_once(cache, monkeypatch, capfd):
    monkeypatch.setenv("CXX", "/nowhere/g++")
    monkeypatch.setattr(build, "level", lambda: "x86-64-v3")
    with choice.wanted("auto"):
        assert [choice.choose(16, "float32", True) for _ in range(2)] == [choice.TENSORFLOW] * 2
    assert capfd.readouterr().err.count("no C++ compiler (/nowhere/g++) was found") == 1
    with (
        choice.wanted("native"),
        pytest.raises(UserError, match="runtime.kernels is 'native', and no C\\+\\+"),
    ):
        choice.choose(16, "float32", True)


@pytest.fixture
def loaded(cache, tmp_path, monkeypatch):
    """A package that carries kernels for one level, no compiler, and the files that are loaded."""
    paths = []
    monkeypatch.setattr(build, "level", lambda: "x86-64-v3")
    monkeypatch.setenv("CXX", "/nowhere")
    monkeypatch.setattr(library, "_load", lambda path: paths.append(path) or (path, None))
    build.CARRIED.mkdir()
    (build.CARRIED / build._name("x86-64-v3")).write_text("")
    return paths


def test_kernels_that_the_package_carries_need_no_compiler(loaded):
    assert library.operations() == build.CARRIED / build._name("x86-64-v3")
    assert len(loaded) == 1


def test_kernels_of_other_sources_or_another_level_are_not_taken(loaded, tmp_path, monkeypatch):
    assert build.carried("x86-64-v4") is None
    sources = tmp_path / "source"
    shutil.copytree(build.SOURCES, sources)
    (sources / "edge.h").write_text((sources / "edge.h").read_text() + "\n")
    monkeypatch.setattr(build, "SOURCES", sources)
    with pytest.raises(BuildError, match="no C\\+\\+ compiler"):
        library.operations()
    assert loaded == []


def test_carried_kernels_that_cannot_be_loaded_are_compiled(loaded, tmp_path, monkeypatch):
    def load(path):
        loaded.append(path)
        if path.parent == build.CARRIED:
            raise tf.errors.NotFoundError(None, None, "version `GLIBC_2.99' not found")
        return path, None

    monkeypatch.setattr(library, "_load", load)
    monkeypatch.setenv("CXX", compiler(tmp_path, 'while [ "$1" != -o ]; do shift; done; echo x > "$2"'))
    assert library.operations() == build.built("x86-64-v3") == loaded[1]


def test_what_is_carried_is_compiled_for_all_levels_anew(loaded, tmp_path, monkeypatch):
    old = build.CARRIED / "kernels-old.so"
    old.write_text("")
    monkeypatch.setenv("CXX", compiler(tmp_path, 'while [ "$1" != -o ]; do shift; done; echo x > "$2"'))
    made = build.carry()
    assert sorted(made) == sorted(build.CARRIED.iterdir()) and len(made) == len(build.LEVELS)
    assert [build.carried(level) for level in build.LEVELS] == made
    assert {path.stat().st_mode & 0o777 for path in (build.CARRIED, *made)} == {0o755}
    monkeypatch.setenv("CXX", "/nowhere")
    with pytest.raises(BuildError, match="no C\\+\\+ compiler"):
        build.carry()


@pytest.mark.slow
def test_a_package_that_carries_kernels_computes_with_them(tmp_path):
    kernels.or_skip()
    package = tmp_path / "tf_darts"
    shutil.copytree(
        Path(tf_darts.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__", "*.so")
    )
    carried = package / "native" / "built" / build._name(build.level())
    carried.parent.mkdir()
    shutil.copy(build.built(build.level()), carried)
    more = {"PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "CXX": "/nowhere"}

    def said():
        command = [sys.executable, "-m", "tf_darts.native"]
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | more, capture_output=True, text=True, check=True
        )
        return done.stderr

    assert "native kernels" not in said()
    carried.rename(carried.with_name("kernels-x86-64-v4-0000000000000000.so"))
    assert "native kernels: none (no C++ compiler (/nowhere)" in said()


def test_a_file_that_cannot_be_loaded_is_no_kernel(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", compiler(tmp_path, 'while [ "$1" != -o ]; do shift; done; echo x > "$2"'))
    monkeypatch.setattr(build, "level", lambda: "x86-64-v3")
    with pytest.raises(BuildError, match="cannot load them"):
        library.operations()


@pytest.mark.parametrize(
    ("channels", "activations", "convolves", "reason"),
    [
        (8, "float32", True, "8 channels, not a multiple of 16"),
        (16, "bfloat16", True, "they compute float32, not bfloat16"),
        (16, "float32", False, "no convolution that they know"),
    ],
)
def test_what_native_kernels_do_not_suit(channels, activations, convolves, reason):
    with choice.wanted("auto"):
        assert choice.choose(channels, activations, convolves) == choice.TENSORFLOW
    with choice.wanted("native"), pytest.raises(UserError, match=reason):
        choice.choose(channels, activations, convolves)
    with assumed_device_type("TPU"), choice.wanted("native"), pytest.raises(UserError, match="not for a TPU"):
        choice.choose(16, "float32", True)


def test_a_supernet_is_tensorflows_unless_asked_for():
    assert Supernet(spaces.get("s2"), 16, 1, 4).kernels == choice.TENSORFLOW
    space = spaces.get("nas_bench_201")
    space = dataclasses.replace(space, candidates={"normal": (("skip_connect", "avg_pool_3x3"),) * 6})
    with choice.wanted("native"), pytest.raises(UserError, match="no convolution that they know"):
        Supernet(space, 16, 1, 4)


def network(channels, wanted, operation="nor_conv_3x3"):
    space = spaces.get("nas_bench_201")
    edges = tuple(Choice(edge.target, edge.source, operation) for edge in space.edges)
    with choice.wanted(wanted):
        return Network(space, Genotype(space.name, {"normal": edges}), channels, 1, 4)


def test_a_network_has_native_kernels_where_it_can(cache, monkeypatch):
    assert network(16, "tensorflow").kernels == choice.TENSORFLOW
    # A wish for them is none for a network: what operations it has is known after the search.
    for channels, operation in ((8, "nor_conv_3x3"), (18, "nor_conv_3x3"), (16, "avg_pool_3x3")):
        assert network(channels, "native", operation).kernels == choice.TENSORFLOW
    with monkeypatch.context() as patch:
        patch.setattr(choice.library, "operations", lambda: None)
        assert network(20, "auto").kernels == choice.NATIVE
    monkeypatch.setenv("CXX", "/nowhere/g++")
    assert network(20, "auto").kernels == choice.TENSORFLOW


def test_the_quickstart_has_the_same_figures_with_or_without_a_compiler():
    # What README prints comes from TensorFlow's kernels.
    config = files.load("quickstart")
    assert config.search.channels < choice.CHANNELS and config.training.channels < choice.CHANNELS
