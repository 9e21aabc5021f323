"""Architecture parameters, supernet and network, and what they cost."""
