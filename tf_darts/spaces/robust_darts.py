"""S1 to S4: the reduced spaces of RobustDARTS (Zela et al., ICLR 2020) on the DARTS cell."""

from tf_darts.spaces.darts import EDGES, darts_like
from tf_darts.spaces.space import Space, uniform

_SKIP, _SEP3, _DIL3, _DIL5 = "skip_connect", "sep_conv_3x3", "dil_conv_3x3", "dil_conv_5x5"
_MAX, _AVG = "max_pool_3x3", "avg_pool_3x3"

# S1: two operations an edge, the two best of a search in the DARTS space; the order matters for ties.
_S1_NORMAL = (
    (_SKIP, _DIL3),
    (_SKIP, _DIL5),
    (_SKIP, _DIL5),
    (_SKIP, _SEP3),
    (_SKIP, _DIL3),
    (_MAX, _SKIP),
    (_SKIP, _SEP3),
    (_SKIP, _SEP3),
    (_SKIP, _DIL3),
    (_SKIP, _SEP3),
    (_MAX, _SKIP),
    (_SKIP, _DIL3),
    (_DIL3, _DIL5),
    (_DIL3, _DIL5),
)
_S1_REDUCE = (
    (_MAX, _AVG),
    (_MAX, _DIL3),
    (_MAX, _AVG),
    (_MAX, _AVG),
    (_SKIP, _DIL5),
    (_MAX, _AVG),
    (_MAX, _SEP3),
    (_SKIP, _DIL3),
    (_SKIP, _DIL5),
    (_MAX, _AVG),
    (_MAX, _AVG),
    (_SKIP, _DIL5),
    (_SKIP, _DIL5),
    (_SKIP, _DIL5),
)


def _same(name: str, *operations: str) -> Space:
    return darts_like(name, uniform(EDGES, operations), uniform(EDGES, operations))


S1 = darts_like("s1", _S1_NORMAL, _S1_REDUCE)
S2 = _same("s2", _SKIP, _SEP3)
S3 = _same("s3", "none", _SKIP, _SEP3)
S4 = _same("s4", "noise", _SEP3)
