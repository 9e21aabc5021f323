"""Drawings: cells, heat maps, decisions, tables."""
