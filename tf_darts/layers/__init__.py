"""Keras layers: operations, edges, cells, and the body and head of a network."""
