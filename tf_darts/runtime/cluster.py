"""Which process of several this is: the environment variable TF_CONFIG, checked; without TensorFlow.

    TF_CONFIG='{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'

Every process has the same cluster and its own task. The chief, which alone writes results, is the task of
type chief if there is one, else worker 0.
"""

import dataclasses
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from tf_darts.errors import UserError

TYPES = ("chief", "worker")
EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The processes of a run, and which one this is.

    Attributes:
      addresses: of all processes, as host:port, the chief's first.
      index: of this process among them.
    """

    addresses: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the results."""
        return self.index == 0


def of_environment(environment: Mapping[str, str] = os.environ) -> Cluster:
    """Read which processes TF_CONFIG lists, and which of them this is.

    Raises:
      UserError: it is missing, or not as above.
    """
    text = environment.get("TF_CONFIG", "")
    if not text:
        raise UserError(
            f"TF_CONFIG: missing, and runtime.strategy is 'multi_worker'; allowed: as TF_CONFIG='{EXAMPLE}',"
            " with the task of each process"
        )
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UserError(
            f"TF_CONFIG is {text!r}, which is not JSON: {error}; allowed: as '{EXAMPLE}'"
        ) from None
    cluster = found.get("cluster") if isinstance(found, dict) else None
    if not isinstance(cluster, dict) or not cluster or not set(cluster) <= set(TYPES):
        raise UserError(f"TF_CONFIG: cluster is {cluster!r}; allowed: lists of addresses for worker, chief")
    for name, addresses in cluster.items():
        if not isinstance(addresses, list) or not addresses or not all(map(_is_address, addresses)):
            raise UserError(f"TF_CONFIG: cluster.{name} is {addresses!r}; allowed: a list of host:port")
    if len(cluster.get("chief", [""])) > 1:
        raise UserError(f"TF_CONFIG: cluster.chief is {cluster['chief']!r}; allowed: one address")
    task: Any = found.get("task")
    kind: Any = task.get("type") if isinstance(task, dict) else None
    index: Any = task.get("index") if isinstance(task, dict) else None
    # The index may be a text, which TensorFlow takes too.
    if kind not in cluster or not str(index).isdecimal() or int(index) >= len(cluster[kind]):
        raise UserError(
            f"TF_CONFIG: task is {task!r}; allowed: a type of the cluster ({', '.join(cluster)}) and an index"
            " below the number of its addresses"
        )
    ordered = [(name, i) for name in TYPES for i in range(len(cluster.get(name, [])))]
    addresses = tuple(cluster[name][i] for name, i in ordered)
    if len(set(addresses)) < len(addresses):
        raise UserError(f"TF_CONFIG: cluster is {cluster!r}; allowed: every address once")
    return Cluster(addresses, ordered.index((kind, int(index))))


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[^\s/]+:\d{1,5}", value) is not None
