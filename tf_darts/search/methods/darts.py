"""DARTS, first order (Liu et al., ICLR 2019): the method as `Method` has it."""

from tf_darts.search.methods.method import Method


class Darts(Method):
    """A step of alpha on the validation batch, then a step of the weights with the new alpha."""
