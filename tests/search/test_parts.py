"""Parts of a search: whole searches, resuming, and what may not stand together."""

import numpy as np
import pytest
import tensorflow as tf

from tests.search import tiny
from tf_darts.errors import UserError
from tf_darts.registry import METHOD_PARTS, METHODS, PART_SECTIONS, PARTS
from tf_darts.search import loop


def small(method="darts", **fields):
    """Two cells, as aligned cells need; attacks of two steps."""
    if method == "sdarts_adv" or "adversarial_perturbation" in fields.get("search__parts", ()):
        fields["sdarts__attack_steps"] = 2
    if method == "drnas_progressive" or "progressive" in fields.get("search__parts", ()):
        fields["progressive__operations"] = (2, 1)  # the space has two
    return tiny.config(search__method=method, search__cells=2, search__channels=4, **fields)


def after_steps(settings, count=2):
    made = tiny.setup(settings)
    steps, _ = tiny.search_steps(made)
    steps(0, count)
    return tiny.state(made)


# Those with variables of their own, and of the supernet; others differ from DARTS in what is drawn or added.
STATEFUL = {"oles", "darts_minus"}


@pytest.mark.parametrize(
    "method", [pytest.param(m, marks=[] if m in STATEFUL else pytest.mark.slow) for m in METHOD_PARTS]
)
def test_a_whole_search_and_the_same_interrupted(tmp_path, monkeypatch, method):
    folders = [tmp_path / name for name in ("whole", "stopped")]
    settings, states = small(method, search__epochs=2, runtime__checkpoint_minutes=0.0), []
    if method == "oles":  # something is frozen on the way
        settings.frozen_operations.checks, settings.frozen_operations.threshold = 2, 0.99
    for folder in folders:
        folder.mkdir()
    made = tiny.setup(settings)
    loop.run(made, folders[0])
    states.append(
        tiny.state(made) + [v.numpy() for m in made.method.part_states().values() for v in m.variables]
    )
    with monkeypatch.context() as patch:
        tiny.stop_at_call(patch, loop._Compiled, "__call__", 3)
        with pytest.raises(tiny.StoppedError):
            loop.run(tiny.setup(settings), folders[1])
    made = tiny.setup(settings)
    loop.run(made, folders[1])
    states.append(
        tiny.state(made) + [v.numpy() for m in made.method.part_states().values() for v in m.variables]
    )
    tiny.assert_equal(*states)
    if method == "oles":
        assert made.method.parts["frozen_operations"].state.frozen.numpy().any()
    rows = [tiny.rows(folder / "metrics.jsonl") for folder in folders]
    assert rows[0][-1]["alpha_entropy/normal"] == rows[1][-1]["alpha_entropy/normal"] > 0


def test_parts_stand_together():
    parts = ("sigmoid", "zero_one", "alpha_l2", "auxiliary_skip", "frozen_operations", "aligned_cells")
    state = after_steps(small(search__parts=parts))
    assert all(np.isfinite(v).all() for v in state)


def test_what_freezes_operations_compares_the_gradients_of_the_loss_alone():
    parts = ("frozen_operations", "aligned_cells")
    tiny.assert_equal(*(after_steps(small(search__parts=order)) for order in (parts, parts[::-1])))


@pytest.mark.parametrize(
    ("method", "parts", "reason"),
    [
        ("darts", ("gumbel", "sigmoid"), "each is a sampler, and a search has one"),
        ("darts", ("gumbel", "random_perturbation"), "it moves the probabilities of alpha"),
        ("darts", ("zero_one",), "without 'sigmoid'"),
        ("darts", ("dirichlet_kl",), "without 'dirichlet'"),
        ("darts", ("auxiliary_skip", "partial_channels"), "are a skip connection already"),
        ("darts", ("aligned_cells", "partial_channels"), "channels that pass them by have one too"),
        ("darts", ("adversarial_perturbation", "auxiliary_skip"), "those of the candidates alone"),
        ("darts", ("progressive", "partial_channels"), "partial channels of its own"),
        ("drnas_progressive", ("auxiliary_skip",), "are a skip connection already"),
        ("fixed_alpha", ("progressive",), "which no step trains"),
        ("oles", ("gumbel",), "would count as overfitting"),
        ("darts", ("frozen_operations", "reinmax"), "would count as overfitting"),
        ("pc_darts", ("auxiliary_skip",), "are a skip connection already"),
        ("fixed_alpha", ("beta_decay",), "no step of it trains alpha"),
        ("random_sharing", ("gumbel",), "which has a step of its own"),
        ("darts_second_order", ("beta_decay",), "which has a step of its own"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(method, parts, reason):
    settings = small(method, search__parts=parts)
    with pytest.raises(UserError, match="^config: search.parts") as error:
        METHODS.load(method)(settings, tiny.SPACE)
    assert reason in str(error.value) and "\n" not in str(error.value)


def test_one_normal_cell_has_nothing_to_be_aligned_with():
    with pytest.raises(UserError, match=r"search.cells is 1 with search.parts 'aligned_cells'.* not 1$"):
        tiny.method("lambda_darts")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"search__parts": ("beta",)}, r"^config: search.parts: 'beta' is not known; "),
        ({"search__parts": ("alpha_l2", "alpha_l2")}, "'alpha_l2' is there twice"),
        ({"search__method": "beta_darts", "search__parts": ("beta_decay",)}, "'beta_decay' is there twice"),
        (
            {"beta_decay__factor_end": 1.0},
            "only with search.method 'beta_darts', or search.parts 'beta_decay'",
        ),
        ({"search__parts": ("sigmoid",), "selection__noise_radius": 0.1}, "do not sum to 1"),
    ],
)
def test_a_config_says_what_is_wrong_with_its_parts(fields, message):
    with pytest.raises(UserError, match=message):
        tiny.config(**fields)


def test_every_section_of_a_part_is_one_of_its_methods():
    for section, users in PART_SECTIONS.items():
        assert set(users) <= set(PARTS)
        assert section in tiny.config()
    for method, parts in METHOD_PARTS.items():
        assert method in METHODS and set(parts) <= set(PARTS)


def test_a_search_without_parts_has_the_state_that_it_had():
    made = tiny.setup(tiny.config())
    assert not made.method.parts and set(made.state()) == {
        "supernet",
        "architecture",
        "weight_optimizer",
        "alpha_optimizer",
    }


def batches_of_a_step(**fields):
    """The images of both halves that the first step of a search gets."""
    made, images = tiny.setup(tiny.config(data__crop_padding=0, **fields)), []
    names = (*made.method.metrics, *made.method.alpha_metrics)

    def step(bilevel, train, valid, now):
        images.extend((train[0], valid[0]))
        return {name: tf.zeros([]) for name in names}

    made.method.step = step
    eagerly = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        tiny.search_steps(made)[0](0, 1)
    finally:
        tf.config.run_functions_eagerly(eagerly)
    return [x.numpy() for x in images[:2]]


def test_the_batches_of_both_halves_are_cut_out():
    for plain, cut in zip(batches_of_a_step(), batches_of_a_step(search__cutout_length=4), strict=True):
        assert (plain != cut).any((1, 2, 3)).all() and (cut == 0).sum() > (plain == 0).sum()
        np.testing.assert_array_equal(cut[cut != 0], plain[cut != 0])  # the rest is as it was
