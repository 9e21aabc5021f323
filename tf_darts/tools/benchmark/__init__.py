"""The benchmark: what search and selection cost, beside a PyTorch peer and the machine's limit."""
