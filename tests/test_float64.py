"""runtime.precision=float64: nothing that a step computes is float32, and a stopped run ends as another."""

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny, two_cells
from tf_darts.config import depends
from tf_darts.errors import UserError
from tf_darts.layers import body
from tf_darts.registry import METHODS
from tf_darts.runtime import process, strategy
from tf_darts.runtime.progress import Progress
from tf_darts.search import early_stopping, loop, supernet_file
from tf_darts.selection import finetune
from tf_darts.selection import select as selection_lib
from tf_darts.selection.probe import Prober
from tf_darts.training import loop as training_loop
from tf_darts.training import setup as training_setup
from tf_darts.training import trained_network
from tf_darts.workdir import data_record
from tf_darts.workdir.checkpoints import Checkpoints
from tf_darts.workdir.stage_folders import search_stage, training_stage

F64 = {"runtime__precision": "float64"}
pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture(autouse=True)
def float32_again():
    yield
    process.set_floats("float32")


def in_float32(steps) -> set[str]:
    """Return the operations of compiled steps that give or take float32, but for draws."""
    number = tf.TensorSpec([], tf.int32)
    graph = steps._run.get_concrete_function(number, number).graph.as_graph_def()
    found = set()
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        found |= {f"{node.op} {node.name}" for node in nodes if _is_float32(node)} - _draws(nodes)
    return found


def _is_float32(node) -> bool:
    return any(tf.float32.as_datatype_enum in (a.type, *a.list.type) for a in node.attr.values())


def _draws(nodes) -> set[str]:
    """Return the operations of draws: bits made a float32 in [1, 2), which less 1 is cast to float64."""
    known: set[str] = set()
    for node in nodes:
        before = [name.partition(":")[0] for name in node.input]
        if node.op == "Bitcast" or (node.op in ("Sub", "Cast") and before[0] in known):
            known |= {node.name, *before[1:]}
    return {f"{node.op} {node.name}" for node in nodes if node.name in known}


def test_float32_is_found():
    made = tiny.setup(tiny.config())
    assert len(in_float32(tiny.search_steps(made)[0])) > 100


@pytest.mark.parametrize(
    "method",
    ["darts", *(pytest.param(m, marks=pytest.mark.slow) for m in sorted(METHODS.built_in - {"darts"}))],
)
def test_nothing_of_a_search_is_float32(method):
    fields = {"search__method": method, "runtime__skipped_steps": 1, "data__flip": True} | F64
    if method == "sgas":
        fields["search__epochs"] = 15  # so that there are some to decide in
    if method == "pc_darts":
        fields["pc_darts__partial_channels"] = 2
    if method == "drnas_progressive":
        fields |= {"search__channels": 4, "progressive__operations": (2, 1)}
    made = tiny.setup(tiny.config(**fields))
    steps, _ = tiny.search_steps(made)
    assert in_float32(steps) == set()
    assert {v.dtype for v in steps(0, 1).values()} == {np.dtype(np.float64)}
    assert all(v.dtype == np.float64 for v in tiny.state(made) if v.dtype.kind == "f")


@pytest.mark.slow
def test_nothing_of_a_selection_is_float32():
    harder = {"noise_radius": 0.1, "drop_path": 0.2, "label_smoothing": 0.1, "cutout_length": 2}
    made = two_cells.setup(**F64, **{f"selection__{name}": value for name, value in harder.items()})
    assert in_float32(finetune.steps(made).full_steps) == set()
    prober = Prober(made, made.valid)
    assert in_float32(prober.steps("normal", 3).full_steps) == set()
    (seen,) = prober.seen("normal", [(2, 1)], 0, None, lambda batches: None)
    assert {v.dtype for v in (*seen.correct, *seen.losses)} == {np.dtype(np.float64)}


@pytest.mark.slow
def test_the_hessian_is_linear_to_the_last_digits_and_near_that_of_float32():
    products = {}
    for precision in ("float32", "float64"):
        made = two_cells.setup(runtime__precision=precision)
        vector = np.random.default_rng(0).normal(size=early_stopping.alpha_entries(made))
        product = early_stopping.hessian_times(made)
        products[precision] = product(vector)
        exact = {"float32": 1e-5, "float64": 1e-12}[precision]
        np.testing.assert_allclose(product(3.0 * vector), 3.0 * products[precision], rtol=0, atol=exact)
    np.testing.assert_allclose(products["float32"], products["float64"], rtol=0, atol=1e-5)


def trained(folder, **fields):
    settings = tiny.config(**F64, **fields)
    data = tiny.data(settings)
    made = training_setup.make(settings, tiny.SPACE, tiny.GENOTYPE, data, tiny.one_device())
    stage = training_stage(folder, settings, "test", tiny.GENOTYPE.to_text(tiny.SPACE))
    training_loop.run(made, stage.open(data.record), "test")
    return made, stage.path


@pytest.mark.slow
def test_nothing_of_a_training_is_float32():
    fields = {"training__drop_path": 0.2, "training__label_smoothing": 0.1, "training__warmup_epochs": 1}
    settings = tiny.config(**F64, **fields, training__cutout_length=2)
    made = training_setup.make(settings, tiny.SPACE, tiny.GENOTYPE, tiny.data(settings), tiny.one_device())
    assert in_float32(training_loop.training_steps(made).full_steps) == set()


@pytest.mark.parametrize(("own", "size"), [((10, 13), (12, 16)), ((5, 6), (5, 8)), ((1, 3), (4, 12))])
def test_images_are_enlarged_in_float64(own, size):
    images = np.random.default_rng(0).normal(size=(2, *own, 3))
    wanted = images
    for axis, (here, there) in enumerate(zip(own, size, strict=True), 1):
        places = (np.arange(there) + 0.5) * here / there - 0.5

        def interpolated(line, places=places):
            return np.interp(places, np.arange(len(line)), line)

        wanted = np.apply_along_axis(interpolated, axis, wanted)
    made = body.enlarge(tf.constant(images), size, "resize")
    assert made.dtype == tf.float64
    np.testing.assert_allclose(made, wanted, rtol=0, atol=1e-12)
    single = tf.constant(images, tf.float32)
    np.testing.assert_allclose(body.enlarge(single, size, "resize"), wanted, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(body.enlarge(single, size, "resize"), tf.image.resize(single, size))


def test_it_starts_where_float32_does():
    made = {}
    for precision in ("float32", "float64"):
        made[precision] = tiny.setup(tiny.config(runtime__precision=precision))
        steps, _ = tiny.search_steps(made[precision])
        made[precision, "start"] = tiny.state(made[precision])
        made[precision, "rows"] = steps(0, 2)
    for ours, wide in zip(made["float32", "start"], made["float64", "start"], strict=True):
        np.testing.assert_allclose(ours, wide, rtol=1e-6)
    for name, ours in made["float32", "rows"].items():  # the same images and draws
        np.testing.assert_allclose(ours, made["float64", "rows"][name], rtol=1e-4)
    mean, pixel = made["float64"].train._transform, np.array([[[[3]]]], np.uint8)
    expected = (pixel / 255 - mean.mean) / mean.std
    np.testing.assert_allclose(mean.test(tf.constant(pixel)), expected, rtol=1e-15)


def test_a_stopped_search_continues_as_if_it_had_not_been(tmp_path, monkeypatch):
    def search(name):
        (tmp_path / name).mkdir(exist_ok=True)
        made = tiny.setup(tiny.config(**F64, search__epochs=2, runtime__checkpoint_minutes=0.0))
        loop.run(made, tmp_path / name)
        return made

    whole = search("whole")
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, Progress, "update", 2)  # after a checkpoint inside the first epoch
        with pytest.raises(tiny.StoppedError):
            search("stopped")
    made = search("stopped")
    tiny.assert_equal(tiny.state(made), tiny.state(whole))
    ours, theirs = ((tmp_path / name / "metrics.jsonl").read_text() for name in ("stopped", "whole"))
    assert ours == theirs
    # The file of a supernet has all its digits, and gives them back.
    supernet_file.write(tmp_path / "supernet.npz", made.bilevel)
    again = tiny.setup(tiny.config(**F64, seed=1))
    with np.load(tmp_path / "supernet.npz") as arrays:
        supernet_file.load(again.bilevel, dict(arrays))
    assert all(
        v.dtype == np.float64 for n, v in supernet_file.arrays_of(again.bilevel).items() if "step" not in n
    )
    for name in ("supernet", "alpha_optimizer"):
        ours, theirs = (getattr(m.bilevel, name) for m in (made, again))
        tiny.assert_equal(tiny.values(ours), tiny.values(theirs))


@pytest.mark.slow
def test_a_stopped_selection_continues_as_if_it_had_not_been(tmp_path, monkeypatch):
    (tmp_path / "search").mkdir()
    tiny.save_unsearched(tmp_path / "search", **F64)

    def select(name):
        (tmp_path / name).mkdir(exist_ok=True)
        made = tiny.setup(tiny.config(**F64))
        return made, selection_lib.run(made, tmp_path / "search", tmp_path / name)

    whole, genotype = select("whole")
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, Checkpoints, "save", 4)
        with pytest.raises(tiny.StoppedError):
            select("stopped")
    made, again = select("stopped")
    assert again == genotype
    tiny.assert_equal(tiny.state(made), tiny.state(whole))


@pytest.mark.slow
def test_a_stopped_training_continues_and_is_read_in_float32(tmp_path, monkeypatch):
    whole, _ = trained(tmp_path / "whole")
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, Checkpoints, "save", 2)
        with pytest.raises(tiny.StoppedError):
            trained(tmp_path / "stopped")
    made, folder = trained(tmp_path / "stopped")
    tiny.assert_equal(tiny.values(made.network, made.optimizer), tiny.values(whole.network, whole.optimizer))
    record = data_record.DataRecord.read(folder)
    found = trained_network.TrainedNetwork(
        "test", folder, tiny.config(**F64), tiny.SPACE, tiny.GENOTYPE, {}, record
    )
    network = found.network()
    assert {v.dtype for v in network.variables} == {"float32"}
    for ours, theirs in zip(network.variables, made.network.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy().astype(np.float32))


def test_another_precision_is_another_config(tmp_path):
    single, double = tiny.config(), tiny.config(**F64)
    assert depends.of_precision(single) == {} and depends.of_precision(double) != {}
    search_stage(tmp_path / "double", double).open()
    search_stage(tmp_path / "single", single).open()
    search_stage(tmp_path / "double", double).check()
    with pytest.raises(
        UserError, match="another config: runtime.precision: 'float64' -> 'float32'. Use anot"
    ):
        search_stage(tmp_path / "double", single).check()
    with pytest.raises(
        UserError, match="another config: runtime.precision: 'float32' -> 'float64'. Use anot"
    ):
        search_stage(tmp_path / "single", double).check()
    mixed = tiny.config(runtime__precision="mixed_bfloat16")
    search_stage(tmp_path / "single", mixed).check()  # its weights are float32 too


def test_it_is_for_cpus(monkeypatch):
    with pytest.raises(UserError, match="'float64' with runtime.strategy 'tpu'; allowed: float64 on a CPU"):
        tiny.config(**F64, runtime__strategy="tpu")
    monkeypatch.setattr(strategy, "device_type", lambda made=None: "GPU")
    with pytest.raises(UserError, match="is 'float64' on a GPU; allowed: float32, mixed_bfloat16, or a CPU"):
        strategy.start(tiny.config(**F64).runtime)
