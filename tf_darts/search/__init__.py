"""Bilevel search of a supernet."""
