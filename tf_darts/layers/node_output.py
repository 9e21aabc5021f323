"""A node's output, and what its outgoing edges share."""

import functools
from collections.abc import Callable, Hashable

import tensorflow as tf


class NodeOutput:
    """The output of a node, and what operations compute from it first, each computed once.

    Every edge that leaves a node begins with the same few things: its ReLU, its poolings, every second
    pixel. An operation asks for them with `then`; whichever asks first has them computed, in the order of
    the calls `node.then(tf.nn.relu).then(primitives.subsample)`.

    Make a new one for every forward pass: what is kept belongs to the pass's graph and gradient tape.

    Args:
      parts: tensors [B, H, W, C'] whose channels, one after the other, are the output's: one, or what a cell
        concatenates.
    """

    def __init__(self, *parts: tf.Tensor):
        self.parts = parts
        self._derived: dict[tuple, NodeOutput] = {}

    @functools.cached_property
    def x(self) -> tf.Tensor:
        """Return the node's output, [B, H, W, C], of its parts concatenated once."""
        return self.parts[0] if len(self.parts) == 1 else tf.concat(self.parts, -1)

    def then(self, function: Callable[..., tf.Tensor], *arguments: Hashable) -> "NodeOutput":
        """Return function(x, *arguments), computed at the first call with this function and arguments."""
        key = (function, arguments)
        if key not in self._derived:
            self._derived[key] = NodeOutput(function(self.x, *arguments))
        return self._derived[key]
