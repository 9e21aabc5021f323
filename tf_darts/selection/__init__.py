"""From a searched supernet to a genotype."""

from typing import TYPE_CHECKING

from tf_darts.runtime import moved

if not TYPE_CHECKING:  # a type checker need not accept names of version 1.0
    __getattr__ = moved.names_of(__name__)
