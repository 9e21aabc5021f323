"""Whether steps would run on a TPU: lowered by TensorFlow's bridge and compiled by libtpu, without one."""
