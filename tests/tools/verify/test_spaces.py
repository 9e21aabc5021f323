"""Files of every space, width, depth and number of classes."""

import pytest

from tests.tools.verify.made import (
    QUANTITIES_OF_A_SUPERNET,
    beyond,
    network_reference,
    save,
    supernet_reference,
)
from tf_darts import spaces
from tf_darts.genotypes import genotype as genotype_lib
from tf_darts.genotypes import published
from tf_darts.models import torch_weights
from tf_darts.models.network import Network
from tf_darts.tools import verify


@pytest.mark.parametrize(
    ("name", "channels", "cells", "classes", "channels_in", "probes"),
    [
        pytest.param("s1", 4, 5, 7, 3, [("normal", 3, 1), ("reduce", 6, 0)], marks=pytest.mark.slow),
        ("s3", 2, 1, 4, 1, [("reduce", 0, 0), ("reduce", 2, 2)]),
        pytest.param("s3", 2, 3, 10, 3, [], marks=pytest.mark.slow),
        pytest.param("s2", 2, 2, 10, 3, [("reduce", 13, 1)], marks=pytest.mark.slow),
        ("nas_bench_201", 2, 1, 5, 3, [("normal", 5, 0), ("normal", 5, 3)]),
    ],
)
def test_supernets(tmp_path, name, channels, cells, classes, channels_in, probes):
    space = spaces.get(name)
    arrays = supernet_reference(space, channels, cells, classes, channels_in, probes)
    comparisons = verify.verify(save(tmp_path, arrays), space)
    assert beyond(comparisons) == []
    wanted = QUANTITIES_OF_A_SUPERNET - (set() if probes else {"probe logits"})
    assert {c.quantity for c in comparisons} == wanted
    given = {k for k in arrays if not k.startswith(("state/", "alpha/", "x_", "y_"))}
    skipped = given - {c.key for c in comparisons}
    assert all(k.endswith("num_batches_tracked") for k in skipped)  # all that is passed over


@pytest.mark.slow
def test_a_supernet_with_none_and_full_depth(tmp_path):
    space = spaces.get("darts_with_none")
    arrays = supernet_reference(space, 2, 8, 10, probes=[("normal", 0, 0), ("reduce", 13, 7)])
    assert beyond(verify.verify(save(tmp_path, arrays), space)) == []


@pytest.mark.parametrize(
    ("name", "channels", "cells", "classes"),
    [("darts_pt_s5_0", 4, 5, 7), ("darts_pt_s1_1", 2, 3, 10), ("blank_pt_s3_1", 2, 1, 3)],
)
def test_networks_of_the_darts_like_spaces(tmp_path, name, channels, cells, classes):
    genotype = published.PUBLISHED[name]
    space = spaces.get(genotype.space)
    arrays = network_reference(space, genotype, channels, cells, classes)
    comparisons = verify.verify(save(tmp_path, arrays), space)
    assert beyond(comparisons) == []
    compared = {c.key for c in comparisons}
    assert all(key in compared for key in arrays if key.startswith(("weight_grad/", "after_forward/")))


def test_a_network_with_an_auxiliary_head(tmp_path):
    space, genotype = spaces.get("s2"), published.PUBLISHED["darts_pt_s2_1"]
    arrays = network_reference(space, genotype, 2, 3, 10, size=32, auxiliary=True)
    comparisons = verify.verify(save(tmp_path, arrays), space)
    assert beyond(comparisons) == []
    assert "train_aux_logits" in {c.key for c in comparisons}
    arrays["parameters"] += 128 * 8 * 4 + 2 * 128 + 4 * 128 * 768 + 2 * 768 + 768 * 10 + 10
    assert beyond(verify.verify(save(tmp_path, arrays), space)) == []  # all counted
    arrays["parameters"] = arrays["parameters"].reshape(1)
    assert beyond(verify.verify(save(tmp_path, arrays), space)) == []  # one number, however it is stored
    arrays["parameters"] += 1
    assert beyond(verify.verify(save(tmp_path, arrays), space)) == ["parameters"]


@pytest.mark.parametrize(
    "text",
    [
        "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|",
        "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|avg_pool_3x3~1|none~2|",
        "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|none~2|",
    ],
    ids=["usual", "cells without parameters", "output always zero"],
)
@pytest.mark.parametrize("cells", [1, 3])
def test_networks_of_nas_bench_201(tmp_path, text, cells):
    space = spaces.get("nas_bench_201")
    genotype = genotype_lib.from_text(text, space)
    arrays = network_reference(space, genotype, 3, cells, 10)
    assert any(".layers." in key for key in arrays) == ("nor_conv" in text)
    assert torch_weights.shape_of(
        {k.removeprefix("state/"): v for k, v in arrays.items() if k.startswith("state/")}, space
    ) == {"channels": 3, "cells": cells, "classes": 10, "channels_in": 3}
    assert beyond(verify.verify(save(tmp_path, arrays), space)) == []


@pytest.mark.parametrize("cells", range(1, 9))
def test_depth_width_and_classes_are_read_off_a_darts_state(cells):
    model = Network(spaces.get("s1"), published.PUBLISHED["darts_pt_s1_2"], 4, cells, 7, channels_in=1)
    shape = torch_weights.shape_of(torch_weights.export(model), model.space)
    assert shape == {"channels": 4, "cells": cells, "classes": 7, "channels_in": 1}
