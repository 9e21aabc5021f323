"""What is accepted as a genotype has one meaning: it comes back from the text and the JSON made of it."""

import json

import numpy as np
import pytest

from tf_darts import spaces
from tf_darts.errors import UserError
from tf_darts.genotypes import genotype as g
from tf_darts.genotypes.derive import read_genotype
from tf_darts.genotypes.genotype import Choice, Genotype
from tf_darts.genotypes.published import PUBLISHED
from tf_darts.selection.sampling import random_mixing_weights
from tf_darts.workdir import genotype_file

DARTS, NB201 = spaces.get("darts"), spaces.get("nas_bench_201")
TEXT = PUBLISHED["darts_v2"].to_text()
TEXT_201 = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|skip_connect~2|"
KEPT = spaces.custom.make(  # stacked as NAS-Bench-201, and nodes choose their edges
    {
        "stacking": "nas_bench_201",
        "nodes": 4,
        "candidates": ("skip_connect", "nor_conv_3x3"),
        "kept_edges": 2,
        "output_nodes": (),
        "batch_norm_after": (),
        "none_in_genotype": False,
        "extra_selection_epoch": False,
    }
)
SPACES = [*spaces.SPACES.values(), KEPT]
JUNK = [
    None,
    True,
    False,
    0,
    1,
    2,
    3,
    -1,
    10**20,
    0.0,
    1.0,
    "",
    "none",
    "skip_connect",
    "darts",
    [],
    {},
    [1],
    {"a": 1},
]
SNIPPETS = [
    "",
    " ",
    "\n",
    "0",
    "1",
    "~",
    "|",
    "+",
    ",",
    "(",
    ")",
    "'",
    '"',
    "[",
    "]",
    "None",
    "0x1",
    "1_0",
    "# a",
    "x = ",
]


def mutated(data, draw):
    """JSON with a change somewhere: a value, an order, an entry doubled or gone, a key renamed."""
    places = []

    def walk(value):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    walk(data)
    for _ in range(int(draw.integers(1, 3))):
        parent, key = places[draw.integers(len(places))]
        kind, inside = draw.integers(6), isinstance(parent, list) or key in parent
        if isinstance(parent, list) and key < len(parent) and kind < 5:
            if kind < 3:
                draw.shuffle(parent)
            elif kind == 3:
                parent.insert(int(draw.integers(len(parent) + 1)), parent[key])
            else:
                del parent[key]
        elif isinstance(parent, dict) and inside and kind < 2:
            parent[str(draw.choice(["target", "source", "normal", "reduce", "x"]))] = parent.pop(key)
        elif isinstance(parent, dict) and inside and isinstance(parent[key], int) and kind < 4:
            parent[key] += int(draw.integers(-2, 3))
        elif not isinstance(parent, list) or key < len(parent):
            parent[key] = JUNK[draw.integers(len(JUNK))]
    return data


def one_meaning(value, space):
    """Whether it is accepted: and then it comes back from all that is written of it."""
    try:
        genotype = genotype_file.read(value, space)
    except UserError as error:
        assert "\n" not in str(error) and len(str(error)) <= 1000
        return False
    assert genotype_file.read(genotype.to_text(space), space) == genotype
    assert genotype_file.read(genotype.to_json(space), space) == genotype
    assert genotype_file.read(value, space) == genotype
    return True


def check(seed):
    draw = np.random.default_rng(seed)
    space = SPACES[draw.integers(len(SPACES))]
    genotype = read_genotype(space, random_mixing_weights(space, draw))
    data = mutated(json.loads(genotype.to_json(space)), draw)
    if draw.random() < 0.7:  # a text that follows the change, where it can
        try:
            cells = {t: tuple(Choice(**row) for row in rows) for t, rows in data["cells"].items()}
            data["text"] = Genotype(space.name, cells).to_text(space)
        except (UserError, TypeError, KeyError, AttributeError):
            pass
    text = genotype.to_text(space)
    at = int(draw.integers(len(text)))
    snippet = SNIPPETS[draw.integers(len(SNIPPETS))]
    return one_meaning(json.dumps(data), space) + one_meaning(
        text[:at] + snippet + text[at + int(draw.integers(3)) :], space
    )


def test_mutated_genotypes():
    assert sum(check(seed) for seed in range(300)) > 20  # some are accepted


@pytest.mark.slow
def test_mutated_genotypes_many():
    assert sum(check(seed) for seed in range(300, 6000)) > 400


def test_edges_of_a_node_in_another_order():
    """Where nodes keep all edges they are read by source; where edges are chosen their order stays."""
    data = json.loads(genotype_file.read(TEXT_201, NB201).to_json())
    data["cells"]["normal"][3:] = reversed(data["cells"]["normal"][3:])
    genotype = genotype_file.read(json.dumps(data), NB201)
    assert (
        genotype == genotype_file.read(TEXT_201, NB201)
        and genotype_file.read(genotype.to_text(), NB201) == genotype
    )
    weights = {"normal": np.zeros((len(KEPT.edges), 2))}
    weights["normal"][:, 1] = np.arange(len(KEPT.edges))  # the last edge into each node is the strongest
    genotype = read_genotype(KEPT, weights)
    assert [c.source for c in genotype.cells["normal"]] == [0, 1, 0, 2, 1, 3, 2]
    assert (
        genotype_file.read(genotype.to_text(KEPT), KEPT)
        == genotype
        == genotype_file.read(genotype.to_json(KEPT), KEPT)
    )


def test_a_file_of_version_1_0_with_the_text_by_source_is_read():
    weights = {"normal": np.zeros((len(KEPT.edges), 2))}
    weights["normal"][:, 1] = np.arange(len(KEPT.edges))
    genotype = read_genotype(KEPT, weights)
    data = json.loads(genotype.to_json(KEPT))
    data["text"] = "+".join(
        f"|{'|'.join(sorted(n[1:-1].split('|'), key=lambda e: e[-1]))}|" for n in data["text"].split("+")
    )
    assert data["text"] != genotype.to_text(KEPT)
    assert genotype_file.read(json.dumps(data), KEPT) == genotype


def nested(genotype):
    """A text as pt.darts has it: a list for each node, with a list for each edge."""
    parts = []
    for cell, choices in genotype.cells.items():
        pairs = [[choice.operation, choice.source] for choice in choices]
        parts += [f"{cell}={[pairs[k : k + 2] for k in range(0, 8, 2)]}", f"{cell}_concat=range(2, 6)"]
    return f"Genotype({', '.join(parts)})"


BODY = TEXT.removeprefix("Genotype(").removesuffix(")")
AS_DICT = "{'" + BODY.replace("=", "': ").replace("], ", "], '").replace("6), ", "6), '") + "}"


@pytest.mark.parametrize(
    "text",
    [
        f"DARTS_V2 = {TEXT}",
        f"2018-06-27 13:25:46,379 genotype = {TEXT}",
        f"06/27 01:25:46 PM | genotype = {TEXT}".replace(" | ", " "),
        f"# found on CIFAR-10\n{TEXT}",
        f"genotype: {TEXT}  # 97.3 %",
        f"genotypes.{TEXT}",
        TEXT.replace("range(2, 6)", "list(range(2, 6))"),
        TEXT.replace("', 0)", "', 0, 0.13)").replace("', 1)", "', 1, 0.2)"),
        TEXT.replace("', 1)", "', np.int64(1))").replace("'skip_connect'", "np.str_('skip_connect')"),
        "Genotype("
        + BODY.replace("normal=", "")
        .replace("normal_concat=", "")
        .replace("reduce=", "")
        .replace("reduce_concat=", "")
        + ")",
        nested(PUBLISHED["darts_v2"]),
        AS_DICT,
        AS_DICT.replace("'", '"'),
    ],
)
def test_darts_texts_of_others_are_read(text, tmp_path):
    assert genotype_file.read(text, DARTS) == PUBLISHED["darts_v2"]
    (tmp_path / "genotype.txt").write_text(text)
    assert genotype_file.read(str(tmp_path / "genotype.txt"), DARTS) == PUBLISHED["darts_v2"]


@pytest.mark.parametrize(
    "text",
    [
        f"Structure(4 nodes with {TEXT_201})",
        f"'{TEXT_201}'",
        f'"{TEXT_201}"',
        f"{TEXT_201},",
        f"genotype : {TEXT_201}",
        f"arch = {TEXT_201}\n",
        TEXT_201.replace("|+|", " | +\n| "),
    ],
)
def test_nas_bench_201_texts_of_others_are_read(text, tmp_path):
    assert genotype_file.read(text, NB201) == g.from_text(TEXT_201, NB201)
    (tmp_path / "genotype.txt").write_text(text)
    assert genotype_file.read(str(tmp_path / "genotype.txt"), NB201) == g.from_text(TEXT_201, NB201)


@pytest.mark.parametrize(
    ("text", "space", "message"),
    [
        (
            TEXT_201,
            DARTS,
            "text has to be Genotype(...), and this looks like |operation~source|... of NAS-Be",
        ),
        (
            TEXT,
            NB201,
            "text has to list 3 nodes joined by '+', not 1, and this looks like Genotype(...), the form",
        ),
        (AS_DICT, NB201, "text has to list 3 nodes joined by '+', not 1, and this looks like Genotype(...)"),
        (f"A = {TEXT}\nB = {TEXT}", DARTS, "the text holds 2 genotypes; allowed: one, Genotype(...)"),
        (TEXT_201.strip("|"), NB201, "text, node 1 has to be |operation~source|..., not 'nor_conv_3x3~0|'"),
        (TEXT_201.replace("|", "\uff5c"), NB201, "text, node 1 has to be |operation~source|..., not "),
        (f"Structure(5 nodes with {TEXT_201})", NB201, "text is of 5 nodes; space 'nas_bench_201' has 4"),
        ("(4, 0, 3, 1, 4, 3)", NB201, "'(4, 0, 3, 1, 4, 3)' looks like the indices of operations as NASLib"),
        ("[4, 0, 3, 1, 4, 3]", NB201, "'[4, 0, 3, 1, 4, 3]' looks like the indices of operations as NASLib"),
        (
            "64:64:64:64:64",
            NB201,
            "'64:64:64:64:64' looks like numbers of channels as NATS-Bench's size space",
        ),
        ("((('nor_conv_3x3', 0),), (('none', 0),))", NB201, '"((('),
        (
            "235",
            NB201,
            "'235' looks like the number of an architecture in a table, or NAS-Bench-201's; allowed:",
        ),
        (
            TEXT.replace("', 0)", "', 0, 2)"),
            DARTS,
            "text, normal pair 0 has to be (operation, source), not (",
        ),
        (
            TEXT.replace(TEXT[TEXT.index("reduce=") + 7 : TEXT.index(", reduce_concat")], "None"),
            DARTS,
            "text, reduce",
        ),
        (f"print({TEXT})", DARTS, "text has to be Genotype(...)"),
    ],
)
def test_other_texts_are_told_apart(text, space, message):
    with pytest.raises(UserError) as caught:
        genotype_file.read(text, space)
    assert str(caught.value).startswith(f"genotype: {message}") and "\n" not in str(caught.value)
    assert "No such file" not in str(caught.value)


def test_a_file_of_such_a_name_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    genotype_file.save("Genotype (1).json", PUBLISHED["darts_v2"])
    assert genotype_file.read("Genotype (1).json") == PUBLISHED["darts_v2"]
    with pytest.raises(UserError, match="No such file"):
        genotype_file.read("genotype.json", DARTS)


def test_long_texts_take_no_time():
    """What is tried on a text is linear in its length."""
    for part in (" ", "a", "a.", "|", "| ", "= ", "~1 ", "Genotype", "(", "'", "+", "1:", "1,", "\n", "# \n"):
        text = (part * 2**16)[: 2**16 - 10]
        for space in (DARTS, NB201):
            for whole in (text, f"{text}Genotype(", f"|{text}|", f"{{'a': [{text}"):
                one_meaning(whole[: 2**16], space)
