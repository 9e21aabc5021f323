"""A check of the steps for TPUs, without a TPU: lowered by TensorFlow's bridge, compiled by libtpu."""
