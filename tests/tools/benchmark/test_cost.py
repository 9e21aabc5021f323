"""Multiply-adds: counted by hand where that can be done, and by PyTorch's own counter."""

import pytest

from tests.tools.benchmark import small
from tf_darts import spaces
from tf_darts.genotypes.genotype import from_text
from tf_darts.genotypes.published import PUBLISHED
from tf_darts.layers import operations
from tf_darts.models import cost, torch_weights
from tf_darts.models.network import Network
from tf_darts.models.supernet import Supernet

SKIPS = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|"


def test_a_network_without_convolutions_in_its_cells():
    space = spaces.get("nas_bench_201")
    network = Network(space, from_text(SKIPS, space), 2, 1, 10)
    stem = 16 * 16 * 9 * 3 * 2
    blocks = 8 * 8 * (9 * 2 * 4 + 9 * 4 * 4 + 2 * 4) + 4 * 4 * (9 * 4 * 8 + 9 * 8 * 8 + 4 * 8)
    assert cost.multiply_adds(network, (16, 16)) == stem + blocks + 8 * 10


def test_a_supernet_of_one_cell():
    space = spaces.get("nas_bench_201")
    convolutions = 6 * (1 + 9)  # on each edge a 1x1 and a 3x3
    cells = convolutions * (8 * 8 * 2**2 + 4 * 4 * 4**2 + 2 * 2 * 8**2)
    blocks = 4 * 4 * (9 * 2 * 4 + 9 * 4 * 4 + 2 * 4) + 2 * 2 * (9 * 4 * 8 + 9 * 8 * 8 + 4 * 8)
    expected = 8 * 8 * 9 * 3 * 2 + cells + blocks + 8 * 10
    assert cost.multiply_adds(Supernet(space, 2, 1, 10), (8, 8)) == expected


@pytest.mark.parametrize(("stride", "positions"), [(1, 16), (2, 2 * 16)])
def test_a_long_kernel_halves_its_images_in_two_steps(stride, positions):
    # To 4x4: at stride 2 the 1 x 7 convolution leaves 8x4 of 8x8.
    operation = operations.make("conv_7x1_1x7", 3, stride, affine=True, seed=0)
    assert operation.multiply_adds(16) == 7 * 3**2 * (positions + 16)


def test_a_known_figure():
    """The published DARTS networks have somewhat over 500 million at full size."""
    genotype = PUBLISHED["darts_pt_s5_0"]
    network = Network(spaces.get("darts"), genotype, 36, 20, 10)
    assert 4e8 < cost.multiply_adds(network, (32, 32)) < 6e8


@pytest.mark.parametrize("name", small.SPACES)
def test_a_supernet_as_torch_counts_it(name):
    torch = small.torch()
    from torch.utils.flop_counter import FlopCounterMode

    from tf_darts.tools.benchmark import peer_pytorch

    case = small.case(name)
    space = case.search_space()
    peer = peer_pytorch.TorchModel(space, case.channels, case.cells, case.classes)
    weights = {t: torch.full((len(space.edges), space.num_operations), 0.5) for t in space.cell_types}
    with FlopCounterMode(display=False) as counter:
        peer(torch.zeros(1, 3, 16, 16), weights)
    assert cost.multiply_adds(small.supernet(name), (16, 16)) == counter.get_total_flops() / 2


@pytest.mark.parametrize("auxiliary", [False, True])
def test_a_network_as_torch_counts_it(auxiliary):
    torch = small.torch()
    from torch.utils.flop_counter import FlopCounterMode

    from tf_darts.tools.benchmark import peer_pytorch

    genotype = PUBLISHED["darts_pt_s5_1"]
    sizes = (spaces.get("darts"), 4, 3, 10)
    peer = peer_pytorch.TorchModel(*sizes, genotype, auxiliary)
    with FlopCounterMode(display=False) as counter:
        peer(torch.zeros(2, 3, 32, 32), {t: [0.0] * 8 for t in ("normal", "reduce")})
    ours = Network(sizes[0], genotype, *sizes[1:], auxiliary=auxiliary)
    assert 2 * cost.multiply_adds(ours, (32, 32), training=auxiliary) == counter.get_total_flops() / 2
    if auxiliary:
        without = Network(sizes[0], genotype, *sizes[1:])
        assert cost.multiply_adds(ours, (32, 32)) == cost.multiply_adds(without, (32, 32))
    assert torch_weights.export(ours).keys() >= {"stem.0.weight"}
