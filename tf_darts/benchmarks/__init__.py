"""Published tables of what architectures reach: the true accuracies that a selection can be judged by.

(`tf_darts/benchmark/`, without the s, measures times and memory.)
"""
