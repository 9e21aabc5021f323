"""NAS-Bench-201's table: what is known of the published one, and what is refused."""

import gzip
import itertools

import numpy as np
import pytest
from scipy.stats import rankdata

from tests.nas_bench.made import COLUMNS, OPERATIONS, TEXTS, table_text
from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.genotypes.published import PUBLISHED
from tf_darts.models import network
from tf_darts.models.cost import multiply_adds
from tf_darts.nas_bench import pack, packaged, table_file
from tf_darts.nas_bench.nas_bench_201 import (
    DATA_SETS,
    RESNET,
    SPLITS,
    Distribution,
    NasBench201,
    accuracy_column,
)

SPACE = spaces.get("nas_bench_201")


def same(operation):
    return "|@~0|+|@~0|@~1|+|@~0|@~1|@~2|".replace("@", operation)


def edges(text):
    """Operations by edge `target<-source`, read off a text without our parser."""
    return {
        f"{node}<-{entry.split('~')[1]}": entry.split("~")[0]
        for node, part in enumerate(text.split("+"), 1)
        for entry in part.strip("|").split("|")
    }


@pytest.fixture(scope="module")
def published(shared):
    return NasBench201.load(shared / "data" / "nas_bench_201" / "nb201.csv.gz")


@pytest.fixture(scope="module")
def text():
    return table_text()


@pytest.fixture(scope="module")
def made(text):
    return NasBench201.parse(text)


# The figures that come with the package.


def test_the_packages_figures_are_those_of_the_published_table(published):
    """Accuracies are the same but for the last decimal, where the table's were computed from others."""
    packed = NasBench201.of_package()
    assert packed.texts == published.texts and set(packed.columns) == {"index", *table_file.REQUIRED}
    for name, column in packed.columns.items():
        given = published.column(name)
        if "flops" in name:  # the table gives them with four digits after the point
            assert np.abs(column - given).max() < 1.5e-4
        elif "in16" in name:
            assert np.abs(column - given).max() < 1.5e-6
        else:
            assert np.array_equal(column, given) and np.array_equal(packed.ranks(name), published.ranks(name))


def test_the_packages_figures_are_what_the_papers_say():
    packed = NasBench201.of_package()
    resnet, skips = (packed.lookup(genotype_lib.from_text(t, SPACE)) for t in (RESNET, same("skip_connect")))
    scores = resnet.scores["CIFAR-10"]["test"], skips.scores["CIFAR-10"]["test"]
    assert [round(score.accuracy, 2) for score in scores] == [93.91, 54.30] and scores[0].rank == 68
    assert skips.index == 1835 and packed.random_search("c10_test200").mean == pytest.approx(87.06, abs=0.005)
    assert packed.source == "tf_darts" and packed.operations.shape == (15_625, 6)


def test_the_packages_costs_are_those_of_our_networks():
    packed = NasBench201.of_package()
    for index, data_set in ((6111, "CIFAR-100"), (7, "ImageNet16-120")):
        entry, (classes, side) = packed.lookup(packed.genotype(index)), pack.DATA[data_set]
        model = network.Network(SPACE, packed.genotype(index), channels=16, cells=5, classes=classes)
        assert sum(v.shape.num_elements() for v in model.trainable_variables) == entry.parameters[data_set]
        assert multiply_adds(model, (side, side)) == entry.multiply_adds[data_set]


def test_the_packages_file_is_small_and_cited():
    assert packaged.PATH.stat().st_size < 300_000
    text = packaged.PATH.with_name("README.md").read_text()
    assert "ICLR 2020" in text and "MIT licence" in text


def test_what_is_packed_is_read(monkeypatch, tmp_path):
    columns, rng = {}, np.random.default_rng(0)
    for name, images in packaged.IMAGES.items():  # of two runs, as of three
        columns[name] = np.round(rng.integers(2 * images + 1, size=len(TEXTS)) / (2 * images) * 100, 6)
    costs = np.arange(36).reshape(2, 3, 6)
    (tmp_path / "made.npz").write_bytes(packaged.pack(TEXTS, columns, costs))
    monkeypatch.setattr(packaged, "PATH", tmp_path / "made.npz")
    texts, read = packaged.read()
    assert texts == TEXTS and all(np.array_equal(read[name], column) for name, column in columns.items())
    kinds = [OPERATIONS.index(operation) for operation in edges(TEXTS[3]).values()]
    for place, name in enumerate(("c10_params_M", "c100_params_M", "in16_params_M", "c10_flops_M")):
        assert round(1e6 * read[name][3]) == 6 * place + sum(6 * place + 1 + kind for kind in kinds)
    columns["c100_val200"][5] = 50.004
    with pytest.raises(UserError, match=r"c100_val200 is 50.004 in row 5; allowed: a mean over two or three"):
        packaged.pack(TEXTS, columns, costs)


# The published table.


def test_the_best_architectures(published):
    best = {
        ("CIFAR-10", "validation"): 91.61,
        ("CIFAR-10", "test"): 94.37,
        ("CIFAR-100", "validation"): 73.49,
        ("CIFAR-100", "test"): 73.51,
        ("ImageNet16-120", "validation"): 46.73,
        ("ImageNet16-120", "test"): 47.31,
    }
    assert set(best) == set(itertools.product(DATA_SETS, SPLITS))
    for (data_set, split), accuracy in best.items():
        index = int(published.column(accuracy_column(data_set, split)).argmax())
        score = published.lookup(published.genotype(index)).scores[data_set][split]
        assert round(score.accuracy, 2) == accuracy and score.rank == 1 and score.regret == 0


def test_two_share_the_best_test_accuracy_on_cifar10(published):
    entry = published.lookup(published.genotype(6111))
    assert entry.index == 6111 and entry.text == published.texts[6111]
    assert entry.scores["CIFAR-10"]["test"].accuracy == pytest.approx(94.37, abs=0.005)
    ranks = published.ranks("c10_test200")
    assert ranks[6111] == 1 and np.sum(ranks == 1) == 2 and np.sum(ranks == 2) == 0 and np.sum(ranks == 3) > 0


def test_skip_connections_alone(published):
    entry = published.lookup(genotype_lib.from_text(same("skip_connect"), SPACE))
    assert entry.index == 1835
    score = entry.scores["CIFAR-10"]["test"]
    assert round(score.accuracy, 2) == 54.30
    assert score.regret == pytest.approx(94.37 - 54.30, abs=0.01)
    assert score.rank == 1 + np.sum(published.column("c10_test200") > score.accuracy)


def test_parameters_and_multiply_adds_follow_from_the_operations(published):
    convolutions = np.stack([np.sum(published.operations == OPERATIONS.index(f"nor_conv_{k}"), axis=1)
                             for k in ("1x1", "3x3")])  # fmt: skip
    parameters = {"CIFAR-10": 73_306, "CIFAR-100": 79_156, "ImageNet16-120": 80_456}
    for data_set, prefix in table_file.PREFIXES.items():
        expected = parameters[data_set] + np.array([28_000, 243_040]) @ convolutions
        assert np.array_equal(np.round(1e6 * published.column(f"{prefix}_params_M")), expected)
    expected = 7_783_050 + np.array([3_932_160, 35_389_440]) @ convolutions
    assert np.allclose(1e6 * published.column("c10_flops_M"), expected, atol=100)
    entry = published.lookup(published.genotype(0))
    assert entry.parameters["CIFAR-10"] == 129_306 and entry.multiply_adds["CIFAR-10"] == 15_647_370


def test_our_network_is_the_one_of_the_benchmark(published):
    genotype = published.genotype(6111)
    entry = published.lookup(genotype)
    model = network.Network(SPACE, genotype, channels=16, cells=5, classes=10)
    assert sum(v.shape.num_elements() for v in model.trainable_variables) == entry.parameters["CIFAR-10"]
    assert multiply_adds(model, (32, 32)) == pytest.approx(entry.multiply_adds["CIFAR-10"], abs=100)


def test_a_text_gives_the_genotype_and_the_genotype_the_text(published):
    assert len(published) == len(set(published.texts)) == 15_625
    for index, text in enumerate(published.texts):
        genotype = published.genotype(index)
        assert genotype.to_text() == text and published.index(genotype) == index


def test_random_genotypes_on_cifar10(published):
    values = published.column("c10_test200")
    found = published.random_search("c10_test200")
    assert found.mean == pytest.approx(np.mean(values)) and found.std == pytest.approx(np.std(values))
    # Best of ten by validation accuracy, judged by test accuracy, against a hundred thousand such searches.
    draws = np.random.default_rng(0).integers(len(values), size=(100_000, 10))
    chosen = draws[np.arange(len(draws)), np.argmax(published.column("c10_val200")[draws], axis=1)]
    found = published.random_search("c10_test200", budget=10, by="c10_val200")
    assert found.mean == pytest.approx(np.mean(values[chosen]), abs=5 * found.std / len(draws) ** 0.5)
    assert found.std == pytest.approx(np.std(values[chosen]), rel=0.02)


# What holds for any table.


def test_operations_are_those_of_the_texts_edge_by_edge(made):
    for text, row in zip(made.texts, made.operations, strict=True):
        found = {str(edge): OPERATIONS[operation] for edge, operation in zip(SPACE.edges, row, strict=True)}
        assert found == edges(text)
    assert SPACE.candidates["normal"][0] == OPERATIONS


def test_operation_strength_is_the_mean_of_the_architectures_with_the_operation(made):
    strength = made.operation_strength("c100_test200")
    assert strength.shape == (6, 5) and strength.dtype == np.float64
    values = made.column("c100_test200")
    for e, edge in enumerate(("1<-0", "2<-0", "2<-1", "3<-0", "3<-1", "3<-2")):
        for o, operation in enumerate(
            ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
        ):
            having = [edges(text)[edge] == operation for text in made.texts]
            assert strength[e, o] == pytest.approx(np.mean(values[having]), rel=1e-12)
    assert len(np.unique(strength)) == 30  # so that no two could be exchanged unnoticed


@pytest.mark.parametrize("column", ["c10_val200", "in16_test200"])
def test_ranks(made, column):
    values = made.column(column)
    assert len(np.unique(values)) < len(values)  # there are equals
    assert np.array_equal(made.ranks(column), rankdata(-values, method="min"))


def test_a_lookup_has_the_figures_of_its_row(made, text):
    header, *lines = (line.split(",") for line in text.splitlines())
    for index in (0, 4242, 15_624):
        row = dict(zip(header, lines[index], strict=True))
        entry = made.lookup(genotype_lib.from_text(row["arch"], SPACE))
        assert (entry.index, entry.text) == (index, row["arch"])
        for data_set, prefix in (("CIFAR-10", "c10"), ("CIFAR-100", "c100"), ("ImageNet16-120", "in16")):
            scores = entry.scores[data_set]
            for split, suffix in (("validation", "val200"), ("test", "test200")):
                column = f"{prefix}_{suffix}"
                assert scores[split].accuracy == float(row[column])
                best = max(float(other[header.index(column)]) for other in lines)
                assert scores[split].regret == pytest.approx(best - float(row[column]))
                assert scores[split].rank == made.ranks(column)[index]
            assert entry.parameters[data_set] == round(1e6 * float(row[f"{prefix}_params_M"]))
            assert entry.multiply_adds[data_set] == round(1e6 * float(row[f"{prefix}_flops_M"]))


def test_the_order_of_edges_in_a_genotype_does_not_matter(made):
    genotype = made.genotype(5)
    turned = sorted(genotype.cells["normal"], key=lambda choice: (choice.target, -choice.source))
    other = genotype_lib.Genotype("nas_bench_201", {"normal": tuple(turned)})
    assert other != genotype and made.index(other) == 5


def test_random_search_is_exact_where_all_draws_can_be_listed():
    by, values = np.array([2.0, 5.0, 5.0, 1.0]), np.array([10.0, 20.0, 40.0, 70.0])
    table = NasBench201(("a", "b", "c", "d"), {"by": by, "value": values}, "made")
    for budget in (1, 2, 3, 5):
        # max() keeps the first of equals.
        found = [values[max(d, key=by.__getitem__)] for d in itertools.product(range(4), repeat=budget)]
        result = table.random_search("value", budget, by="by")
        assert result.mean == pytest.approx(np.mean(found), rel=1e-12)
        assert result.std == pytest.approx(np.std(found), rel=1e-12)
    best = table.random_search("value", budget=10_000)
    assert best == Distribution(pytest.approx(70.0), pytest.approx(0.0, abs=1e-5))


def test_columns_cannot_be_changed(made):
    with pytest.raises(ValueError, match="read-only"):
        made.column("c10_val200")[0] = 100.0


def test_a_column_that_needs_not_be_there_may_have_gaps(made):
    assert np.array_equal(np.isnan(made.column("extra")), np.arange(15_625) % 2 == 1)
    assert made.ranks("extra").tolist() == [1, 7814] * 7812 + [1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda table: table.column("c10_val90"), "no column 'c10_val90'; allowed: c100_flops_M, "),
        (lambda table: table.operation_strength("extra"), "'extra' has gaps"),
        (lambda table: table.random_search("c10_val200", by="extra"), "'extra' has gaps"),
        (lambda table: table.random_search("c10_val200", budget=0), "budget is 0; allowed: an integer of at"),
        (lambda table: table.lookup(PUBLISHED["darts_pt_s5_0"]), "of space 'darts', not of 'nas_bench_201'"),
    ],
)
def test_questions_that_have_no_answer(made, call, message):
    with pytest.raises(UserError, match=message):
        call(made)


def changed(text, line, column, value):
    """The table with one value changed; lines as the messages count them."""
    lines = text.splitlines()
    row = lines[line - 1].split(",")
    row[COLUMNS.index(column)] = value
    lines[line - 1] = ",".join(row)
    return "\n".join(lines)


def without(text, column):
    place = COLUMNS.index(column)
    rows = [line.split(",") for line in text.splitlines()]
    return "\n".join(",".join(row[:place] + row[place + 1 :]) for row in rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "", "table is empty"),
        (lambda text: 'a,"b', "table is not CSV: "),
        (lambda text: without(text, "arch"), "table lacks the column 'arch'; needed: index, arch, c10_"),
        (lambda text: without(text, "in16_test200"), "table lacks the column 'in16_test200'"),
        (lambda text: changed(text, 1, "extra", "index"), "table names twice the column 'index'"),
        (lambda text: changed(text, 9, "extra", "1,2"), "line 9 has 16 values; allowed: 15, as line 1 names"),
        (lambda text: text[: text.rindex("15624,")], "table has 15624 architectures; allowed: 15625, each"),
        (lambda text: text + text.splitlines()[-1], "table has 15626 architectures"),
        (lambda text: changed(text, 3, "arch", same("conv")), "line 3, arch is '|conv~0|+.*allowed: .* op"),
        (
            lambda text: changed(text, 7, "arch", TEXTS[1]),
            "line 7, arch is '.*', which is also in line 3; allowed: each architecture once",
        ),
        (lambda text: changed(text, 7, "index", "6"), "line 7, index is '6'; allowed: 5, the number of"),
        (lambda text: changed(text, 7, "c10_val200", ""), "line 7, c10_val200 is ''; allowed: a number"),
        (lambda text: changed(text, 7, "c10_val200", "nan"), "line 7, c10_val200 is 'nan'; allowed: "),
        (lambda text: changed(text, 7, "c10_val200", "101"), "line 7, c10_val200 is '101'; allowed: .* 100"),
        (lambda text: changed(text, 7, "c10_params_M", "-1"), "line 7, c10_params_M is '-1'; allowed: "),
        (lambda text: changed(text, 7, "extra", "many"), "line 7, extra is 'many'; allowed: a number"),
    ],
)  # fmt: skip
def test_tables_that_are_not_whole(text, change, message):
    with pytest.raises(UserError, match=message.replace("|", r"\|").replace("+", r"\+")) as error:
        NasBench201.parse(change(text))
    assert "\n" not in str(error.value)


def test_files_that_are_none(tmp_path, text):
    path = tmp_path / "table.csv.gz"

    def message():
        with pytest.raises(UserError) as error:
            NasBench201.load(path)
        assert str(error.value).startswith(f"NAS-Bench-201 table '{path}'") and "\n" not in str(error.value)
        return str(error.value)

    assert message().endswith(": no such file")
    path.write_text(text)
    assert "is not gzip-compressed; allowed: a CSV file compressed with gzip" in message()
    packed = gzip.compress(text.encode())
    path.write_bytes(packed[: len(packed) // 2])
    assert "cannot be read: " in message()
    path.write_bytes(packed[:1000] + bytes(1000) + packed[2000:])
    assert "cannot be read: " in message()
    path.write_bytes(gzip.compress(b"\xff\xfe"))
    assert "is not UTF-8 text: byte 0" in message()
    path.write_bytes(gzip.compress(bytes((1 << 26) + 1)))
    assert "is larger than 67108864 bytes" in message()
    path.unlink()
    path.mkdir()
    assert "cannot be read: Is a directory" in message()


def test_what_is_written_is_read_again(tmp_path, text, made):
    path = tmp_path / "table.csv.gz"
    table_file.write(path, text)
    again = NasBench201.load(path)
    assert again.texts == made.texts and again.columns.keys() == made.columns.keys()
    for name, column in again.columns.items():
        assert np.array_equal(column, made.columns[name], equal_nan=True)
    before = path.read_bytes()
    table_file.write(path, text)
    assert path.read_bytes() == before
