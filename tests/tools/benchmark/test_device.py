"""The device that both sides are measured on, and the type that activations have there."""

import types

import pytest
import tensorflow as tf

from tests.tools.benchmark import small
from tf_darts.errors import UserError
from tf_darts.runtime import host
from tf_darts.tools.benchmark import cases, device, machine, rounds, run, settings


@pytest.fixture
def gpu(monkeypatch):
    """Make TensorFlow say that there is a GPU."""
    monkeypatch.setattr(tf.config, "list_physical_devices", {"GPU": ["first"]}.get)
    told = {"get_device_details": lambda gpu: {"device_name": f"the {gpu}"}}
    told["get_memory_info"] = lambda name: {"peak": {"GPU:0": 7}[name], "current": 3}
    for name, answer in told.items():
        monkeypatch.setattr(tf.config.experimental, name, answer)


def test_without_a_gpu_it_is_the_cpu_and_the_process_has_the_memory():
    assert device.about()["device"] == machine.CPU and "import_memory" not in device.about()
    assert 0 < device.peak_memory() <= host.peak_memory()


def test_a_gpu_has_its_name_and_its_memory(gpu):
    about = device.about()
    assert (about["device"], about["import_memory"], device.peak_memory()) == ("the first", 0, 7)


def test_two_sides_on_two_devices_are_not_compared():
    sides = {"ours": machine.CPU, "peer": "a GPU"}
    workers = {name: types.SimpleNamespace(started={"device": where}) for name, where in sides.items()}
    with pytest.raises(UserError, match="the two sides have different devices .*'peer': 'a GPU'.*; allowed"):
        rounds.search(workers, cases.get("darts"), small.chosen())


def test_the_type_of_activations_is_the_programs():
    chosen = small.chosen(precision="mixed_bfloat16")
    assert cases.program_config(cases.get("darts"), chosen).runtime.precision == "mixed_bfloat16"
    config = settings.default()
    config.precision = "float16"
    with pytest.raises(UserError, match="precision is 'float16'; allowed: .*mixed_bfloat16"):
        settings.validate(config)


def test_the_peers_activations_have_it_too():
    torch = small.torch()
    from tf_darts.tools.benchmark import peer_tasks

    x = torch.ones(2, 2)
    for name, expected in (("float32", torch.float32), ("mixed_bfloat16", torch.bfloat16)):
        with peer_tasks.precision(name):
            assert (x @ x).dtype == expected


@pytest.mark.parametrize(
    ("here", "start"),
    [
        ({"device": "NVIDIA H200"}, "NVIDIA H200, mixed_bfloat16; memory is the GPU's. EPYC, 2 cores"),
        ({"device": machine.CPU}, "EPYC, 2 cores"),
        ({}, "EPYC, 2 cores"),  # a result of a version that had no GPU
    ],
)
def test_the_tables_say_what_they_are_of(here, start):
    here = {"processor": "EPYC", "cores": 2, "memory": 2**34, "system": "Linux", **here}
    unit = {"depends": {"machine": here, "settings": {"precision": "mixed_bfloat16"}}, "others_cores": 0.0}
    limit = {"multiply_adds_per_second": 1e9, "bytes_per_second": 1e9}
    assert run._preface([{**unit, "result": {"sides": {}}}], limit).startswith(start)
