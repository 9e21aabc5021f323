"""Keras layers: operations, edges, cells."""
