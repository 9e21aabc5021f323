"""Published tables of what architectures reach: the true accuracies that a selection can be judged by."""
