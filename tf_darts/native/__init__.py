"""Mixed edges as kernels of our own for CPUs, in C++: how they are built, chosen and called."""
