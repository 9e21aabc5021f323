"""Edges of supernets and networks as kernels of our own for CPUs, in C++: built, chosen and called."""
