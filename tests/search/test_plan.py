"""The epochs of a search: contiguous, of the sizes that the method says, passes without an image twice."""

import itertools
import types

from hypothesis import given
from hypothesis import strategies as st

from tests.search import tiny
from tf_darts.search import loop
from tf_darts.search.plan import plan
from tf_darts.workdir.checkpoints import load_from
from tf_darts.workdir.records import read_json


def method(sizes, whole_passes, warmup=0):
    """What a plan looks at: batches of these sizes, an epoch each."""
    search = types.SimpleNamespace(alpha_warmup_epochs=warmup)
    return types.SimpleNamespace(
        config=types.SimpleNamespace(search=search),
        epochs=len(sizes),
        batch_size=sizes.__getitem__,
        whole_passes=whole_passes,
    )


sizes = st.lists(st.integers(1, 40), min_size=1, max_size=6)


@given(sizes=sizes, images=st.integers(40, 200), replicas=st.integers(1, 3), whole_passes=st.booleans())
def test_epochs_follow_one_another(sizes, images, replicas, whole_passes):
    sizes = [size * replicas for size in sizes]  # batches are shared by the replicas
    images = max(images, *sizes)
    epochs = plan(method(sizes, whole_passes), images, replicas)
    assert [epoch.batch for epoch in epochs] == sizes
    assert epochs[0].first == 0 and all(a.end == b.first for a, b in itertools.pairwise(epochs))
    for epoch in epochs:
        seen = (epoch.steps - 1) * epoch.batch + epoch.last_batch
        if whole_passes:  # every image once, but for those that do not divide among the replicas
            assert images - replicas < seen <= images
            assert epoch.last_batch % replicas == 0 and 0 < epoch.last_batch <= epoch.batch
        else:  # as many images as there are, at least, in whole batches
            assert epoch.last_batch == epoch.batch and images <= seen < images + epoch.batch


@given(epochs=st.integers(1, 10), warmup=st.integers(0, 10))
def test_alpha_waits_for_its_warmup(epochs, warmup):
    planned = plan(method([8] * epochs, False, warmup), 20, 1)
    assert [epoch.trains_alpha for epoch in planned] == [number >= warmup for number in range(epochs)]


def test_alpha_is_left_alone_during_its_warmup(tmp_path):
    made = tiny.setup(tiny.config(search__epochs=2, search__alpha_warmup_epochs=1, search__evaluate_every=0))
    start = made.bilevel.architecture.alpha["normal"].numpy()
    loop.run(made, tmp_path)
    rows = tiny.rows(tmp_path / "metrics.jsonl")
    first, last = [row for row in rows if "finished_epoch" in row]
    edge = f"alpha/normal/{tiny.SPACE.edges[0]}/{tiny.OPERATIONS[0]}"
    assert first[edge] == float(start[0, 0]) and last[edge] != float(start[0, 0])
    steps = [row for row in rows if "epoch" in row]
    assert [("valid_loss" in row) for row in steps] == [row["epoch"] == 1 for row in steps]
    assert made.bilevel.alpha_optimizer.step.numpy() == sum(row["epoch"] == 1 for row in steps)


def test_a_search_that_ends_earlier_is_the_beginning_of_the_whole(tmp_path):
    made = {}
    for name, fields in (("whole", {}), ("beginning", {"search__stop_after": 2})):
        made[name] = tiny.setup(tiny.config(search__evaluate_every=0, **fields))
        (tmp_path / name).mkdir()
        loop.run(made[name], tmp_path / name)
    whole, beginning = (tiny.rows(tmp_path / name / "metrics.jsonl") for name in made)
    assert len(whole) > len(beginning) > 0 and whole[: len(beginning)] == beginning
    assert [row["finished_epoch"] for row in beginning if "finished_epoch" in row] == [0, 1]
    # Finished, with what a selection reads; not interrupted.
    result = read_json(tmp_path / "beginning" / "result.json")
    assert result["last_epoch"] == beginning[-1] and result["steps"] == beginning[-1]["step"]
    other = tiny.setup(tiny.config(seed=5))
    load_from(tmp_path / "beginning", **other.state())
    tiny.assert_equal(tiny.state(other), tiny.state(made["beginning"]))
