"""NAS-Bench-301's surrogate as plain arrays: a small ensemble trained on made labels, converted and read."""

import importlib
import itertools
import json
import sys
import types

import numpy as np
import pytest
from absl import flags as absl_flags
from sklearn.tree import DecisionTreeRegressor

from tf_darts import trust
from tf_darts.errors import UserError
from tf_darts.genotypes.genotype import Choice, Genotype
from tf_darts.genotypes.published import PUBLISHED
from tf_darts.nas_bench import nas_bench_301
from tf_darts.nas_bench.convert_nas_bench_301 import convert, encoding_of, trees_of
from tf_darts.nas_bench.nas_bench_301 import NasBench301, random_genotype
from tf_darts.spaces.darts import DARTS, OPERATIONS

MEMBERS, ROUNDS, BASE = 2, 12, 0.5


class Encoder:
    """Encodes as ConfigSpace does: columns in an order of their own, some constant, -1 where nothing is."""

    def __init__(self, seed=0):
        names = [f"edge_{t}_{e}" for t in DARTS.cell_types for e in range(14)]
        names += [f"inputs_node_{t}_{n}" for t in DARTS.cell_types for n in (3, 4, 5)]
        names += ["learning_rate", "layers", "epochs"]
        self.names = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]

    def __call__(self, genotype):
        config = {"learning_rate": 0.31, "layers": 7.0, "epochs": 0.9}
        starts = {2: 0, 3: 2, 4: 5, 5: 9}
        for t, choices in genotype.cells.items():
            for node in (2, 3, 4, 5):
                inputs = {c.source: c.operation for c in choices if c.target == node}
                for source, operation in inputs.items():
                    config[f"edge_{t}_{starts[node] + source}"] = OPERATIONS.index(operation)
                pairs = list(itertools.combinations(range(node), 2))
                if node > 2:
                    config[f"inputs_node_{t}_{node}"] = pairs.index(tuple(sorted(inputs)))
        return np.array([config.get(name, -1.0) for name in self.names])


class Boosted:
    """Trees fitted to what the trees before leave over, written as XGBoost writes a model."""

    def __init__(self, vectors, labels, seed):
        self.trees, left = [], labels - BASE
        for _ in range(ROUNDS):
            tree = DecisionTreeRegressor(max_depth=4, max_features=0.7, random_state=seed)
            self.trees.append(tree.fit(vectors, left))
            left = left - 0.3 * tree.predict(vectors)

    def predict(self, vector):
        return BASE + sum(0.3 * tree.predict(vector[None])[0] for tree in self.trees)

    def save_model(self, name):
        written = []
        for number, tree in enumerate(self.trees):
            t = tree.tree_
            leaf = t.children_left < 0
            # XGBoost goes left below the threshold, scikit-learn at it too.
            above = np.nextafter(t.threshold.astype(np.float32), np.float32(np.inf))
            conditions = np.where(leaf, 0.3 * t.value[:, 0, 0], above).astype(np.float32)
            rows = {
                "left_children": t.children_left.tolist(),
                "right_children": t.children_right.tolist(),
                "split_indices": np.maximum(t.feature, 0).tolist(),
                "split_conditions": conditions.tolist(),
            }
            if number == 0:  # nodes may be numbered in any order, and some may not be reached
                rows = scrambled(rows)
            written.append(rows)
        learner = {
            "learner_model_param": {"base_score": "[5E-1]"},
            "gradient_booster": {"name": "gbtree", "model": {"trees": written}},
        }
        with open(name, "w") as file:
            json.dump({"learner": learner}, file)


def scrambled(rows):
    """The same tree with all nodes but the root in reverse order, and one that nothing leads to."""
    count = len(rows["left_children"])
    place = {0: 0, -1: -1} | {node: count - node for node in range(1, count)}
    found = {name: [None] * count for name in rows}
    for node in range(count):
        for name, values in rows.items():
            value = values[node]
            found[name][place[node]] = place[value] if name.endswith("children") else value
    for name, values in found.items():
        values.append(-1 if name.endswith("children") else 0)
    return found


def label(genotype):
    """A made accuracy: convolutions are good, a chain of skip connections is not."""
    names = [c.operation for c in genotype.cells["normal"]]
    return 92 + 0.4 * sum("conv" in n for n in names) - 0.6 * max(names.count("skip_connect") - 2, 0)


@pytest.fixture(scope="module")
def ensemble():
    encode, draw = Encoder(), np.random.default_rng(1)
    genotypes = [random_genotype(draw) for _ in range(400)]
    vectors, labels = np.stack([encode(g) for g in genotypes]), np.array([label(g) for g in genotypes])
    boosters = [Boosted(vectors, labels, seed) for seed in range(MEMBERS)]
    return encode, boosters, lambda genotype: [b.predict(encode(genotype)) for b in boosters]


@pytest.fixture(scope="module")
def surrogate(ensemble):
    encode, boosters, predict = ensemble
    return convert(boosters, encode, predict)


def test_it_says_what_the_members_say(ensemble, surrogate):
    draw = np.random.default_rng(9)
    for genotype in [random_genotype(draw) for _ in range(50)] + list(PUBLISHED.values())[:4]:
        if genotype.space != "darts":
            continue
        expected, found = ensemble[2](genotype), surrogate.predict(genotype)
        assert found.accuracy == pytest.approx(np.mean(expected), abs=1e-4)
        assert found.deviation == pytest.approx(np.std(expected), abs=1e-4)
        assert f" {found.accuracy:.2f} % on CIFAR-10; its members differ by {found.deviation:.2f}." in str(
            found
        )


def test_it_knows_good_cells_from_bad_ones(surrogate):
    def cell(operation):
        return tuple(Choice(node, source, operation) for node in (2, 3, 4, 5) for source in (0, 1))

    good, bad = (Genotype("darts", {t: cell(o) for t in DARTS.cell_types})
                 for o in ("sep_conv_3x3", "skip_connect"))  # fmt: skip
    assert surrogate.predict(good).accuracy > surrogate.predict(bad).accuracy + 1
    swapped = Genotype("darts", {t: tuple(sorted(c, key=lambda x: (x.target, -x.source)))
                                 for t, c in good.cells.items()})  # fmt: skip
    assert surrogate.predict(swapped) == surrogate.predict(good)  # inputs in any order
    with pytest.raises(UserError, match="it is of space 's2'"):
        surrogate.predict(Genotype("s2", good.cells))


def test_a_file_holds_plain_arrays_and_says_the_same(surrogate, tmp_path):
    path = str(tmp_path / "nb301.npz")
    np.savez(path, **surrogate.arrays())
    read, genotype = NasBench301.load(path), random_genotype(np.random.default_rng(3))
    assert read.predict(genotype) == surrogate.predict(genotype)


def changed(surrogate, **arrays):
    return surrogate.arrays() | arrays


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("roots"), "without roots"),
        (lambda a: a.update(schema_version=np.int64(2)), "schema_version is 2"),
        (lambda a: a.update(edge_columns=a["edge_columns"][:, :3]), r"edge_columns has shape \(2, 3\)"),
        (lambda a: a.update(features=a["features"].astype(float)), "features is of float64"),
        (lambda a: a.update(features=a["features"] + 10**6), "features is out of range"),
        (lambda a: a.update(left=np.where(a["left"] > 0, 0, -1)), "left leads nowhere"),
        (lambda a: a.update(values=a["values"][1:]), "values for"),
        (lambda a: a.update(values=np.full_like(a["values"], np.nan)), "values is not a number"),
        (lambda a: a.update(members=a["members"] - 1), "members is out of range"),
        (lambda a: a.update(members=a["members"][1:]), "not every tree has a member"),
        (lambda a: a.update(base=a["base"][None]), "base is no list"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(surrogate, change, message):
    arrays = dict(surrogate.arrays())
    change(arrays)
    with pytest.raises(UserError, match=f"^file: 'x.npz' holds no surrogate of NAS-Bench-301: .*{message}"):
        nas_bench_301.of_arrays(arrays, "x.npz")


def test_what_is_encoded_otherwise_is_refused(ensemble):
    encode, boosters, predict = ensemble

    def constant(genotype):  # the operation of an edge is nowhere
        vector = encode(genotype)
        vector[encode.names.index("edge_normal_4")] = 0
        return vector

    with pytest.raises(UserError, match="the operation of normal edge 3<-2 is not one entry"):
        encoding_of(constant)

    def together(genotype):  # an entry that two choices decide
        vector = encode(genotype)
        places = [encode.names.index(name) for name in ("edge_normal_5", "edge_reduce_5", "epochs")]
        vector[places[2]] = float(vector[places[0]] > 2 and vector[places[1]] > 2)
        return vector

    with pytest.raises(UserError, match="has entries that no single choice decides"):
        convert(boosters, together, predict)
    with pytest.raises(UserError, match="a member says .* points more or less than its trees"):
        convert(boosters, encode, lambda genotype: [p + 0.01 for p in predict(genotype)])


def test_other_models_are_refused(tmp_path):
    class Dart:
        def save_model(self, name):
            with open(name, "w") as file:
                json.dump({"learner": {"gradient_booster": {"name": "dart"}}}, file)

    with pytest.raises(UserError, match="^NAS-Bench-301: member 0 is a dart, no gbtree$"):
        trees_of([Dart()])
    with pytest.raises(UserError, match="there are no trees"):
        trees_of([])


# The program.


@pytest.fixture(scope="module")
def cli():
    """The program's module. Its flags have the names of another's, which a test may have imported."""
    for name in ("source", "output"):
        if name in absl_flags.FLAGS:
            delattr(absl_flags.FLAGS, name)
    return importlib.import_module("tf_darts.cli.convert_nas_bench_301")


@pytest.fixture
def run(cli, monkeypatch, capsys):
    def call(**flags):
        for name in ("source", "output"):
            monkeypatch.setattr(cli, f"_{name.upper()}", types.SimpleNamespace(value=flags.get(name)))
        cli.program()
        return capsys.readouterr().out

    return call


def test_the_program_converts_what_the_package_loads(cli, ensemble, run, monkeypatch, tmp_path):
    encode, boosters, _ = ensemble

    class Member:
        def __init__(self, model):
            self.model = model
            self.config_loader = self

        def query_config_dict(self, config):
            return types.SimpleNamespace(get_array=lambda: self._vector(config))

        @staticmethod
        def _vector(config):
            vector = encode(config["genotype"])
            return np.where(vector == -1, np.nan, vector)  # ConfigSpace writes what is missing as nan

        def query(self, config):
            return np.array([self.model.predict(encode(config["genotype"]))])

    class Ensemble:
        model = types.SimpleNamespace(ensemble_members=[Member(b) for b in boosters])

        def convert_representation(self, named, kind):
            assert kind == "genotype" and list(named.normal_concat) == [2, 3, 4, 5]
            cells = {}
            for t in DARTS.cell_types:
                pairs = [(2 + i // 2, source, o) for i, (o, source) in enumerate(getattr(named, t))]
                cells[t] = tuple(Choice(*p) for p in pairs)
            return {"genotype": Genotype("darts", cells)}

    package = types.ModuleType("nasbench301")
    package.api = types.SimpleNamespace(load_ensemble=lambda path: Ensemble(), fixed_hyperparameters={"a": 1})
    named = type("Named", (), {})

    def genotype(normal, normal_concat, reduce, reduce_concat):
        made = named()
        made.normal, made.normal_concat = normal, normal_concat
        made.reduce, made.reduce_concat = reduce, reduce_concat
        return made

    package.representations = types.SimpleNamespace(Genotype=genotype)
    for name, module in (("nasbench301", package), ("xgboost", types.ModuleType("xgboost"))):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(cli.importlib.util, "find_spec", lambda name: name)
    output = str(tmp_path / "nb301.npz")
    with pytest.raises(UserError, match=r"holds pickles: .*--trust="):
        run(source=str(tmp_path), output=output)
    monkeypatch.setattr(trust, "allows_path", lambda path: True)
    out = run(source=str(tmp_path), output=output)
    assert f"2 members with 24 trees are in {output}." in out
    assert NasBench301.load(output).predict(PUBLISHED["darts_v2"]).accuracy > 90
    with pytest.raises(UserError, match="is there already"):
        run(source=str(tmp_path), output=output)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({}, "^--source: missing"),
        ({"source": "/nowhere"}, "^--source: '/nowhere': no such folder"),
        ({"source": "."}, "^--output: ''; allowed: a new file"),
        ({"source": ".", "output": "/nowhere/x.npz"}, "a folder that exists and can be written"),
    ],
)
def test_the_program_refuses_what_is_no_use(run, flags, message):
    with pytest.raises(UserError, match=message):
        run(**flags)


def test_without_the_packages_it_says_which_is_missing(run, monkeypatch, tmp_path):
    monkeypatch.setattr(trust, "allows_path", lambda path: True)
    with pytest.raises(UserError, match="the package nasbench301 is missing"):
        run(source=str(tmp_path), output=str(tmp_path / "x.npz"))
