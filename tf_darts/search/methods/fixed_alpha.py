"""The supernet with an alpha that is never trained (paper, section 6.1: "fix alpha")."""

from tf_darts.search.methods.method import Method


class FixedAlpha(Method):
    """Alpha stays as it started; only the weights are trained."""

    alpha_metrics = ()
    alpha_scale = "fixed_alpha_scale"
