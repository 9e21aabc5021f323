"""`python -m` for Bazel: the `main` of every py_binary and py_test; the first argument is the module to run.

A file of tf_darts/cli cannot be the `main`: its folder would come first in `sys.path`, and its `select.py`
would hide the standard library's.
"""

import runpy
import sys

if __name__ == "__main__":
    del sys.path[0], sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
