"""What TF_CONFIG says, and what is wrong with it."""

import json

import pytest

from tf_darts.errors import UserError
from tf_darts.runtime import cluster

TWO = ["a:1", "b:2"]


def of(found, task=None):
    text = found if isinstance(found, str) else json.dumps({"cluster": found, "task": task})
    return cluster.of_environment({"TF_CONFIG": text})


def test_worker_0_is_the_chief_where_there_is_none():
    assert [of({"worker": TWO}, {"type": "worker", "index": i}).is_chief for i in (0, 1)] == [True, False]


def test_a_chief_of_its_own_comes_first():
    found = {"worker": TWO, "chief": ["c:3"]}
    assert of(found, {"type": "chief", "index": "0"}) == cluster.Cluster(("c:3", "a:1", "b:2"), 0)
    assert of(found, {"type": "worker", "index": 0}) == cluster.Cluster(("c:3", "a:1", "b:2"), 1)


WORKER = {"type": "worker", "index": 0}


@pytest.mark.parametrize(
    ("found", "task", "message"),
    [
        ("", None, "TF_CONFIG: missing, and runtime.strategy is 'multi_worker'; allowed: as TF_CONFIG="),
        ("{", None, "TF_CONFIG is '{', which is not JSON"),
        ("[]", None, "cluster is None; allowed: lists of addresses for worker, chief"),
        ({"ps": TWO}, WORKER, "cluster is {'ps': .*allowed: lists of addresses for worker, chief"),
        ({"worker": []}, WORKER, r"cluster.worker is \[\]; allowed: a list of host:port"),
        ({"worker": ["a"]}, WORKER, r"cluster.worker is \['a'\]; allowed: a list of host:port"),
        ({"chief": TWO}, {"type": "chief", "index": 0}, "cluster.chief is .*; allowed: one address"),
        ({"worker": TWO}, None, "task is None; allowed: a type of the cluster"),
        ({"worker": TWO}, {"type": "worker", "index": 2}, "an index below the number of its addresses"),
        ({"worker": TWO}, {"type": "chief", "index": 0}, r"a type of the cluster \(worker\)"),
        ({"worker": ["a:1", "a:1"]}, WORKER, "allowed: every address once"),
    ],
)
def test_what_is_wrong_is_said(found, task, message):
    with pytest.raises(UserError, match=message):
        of(found, task)
