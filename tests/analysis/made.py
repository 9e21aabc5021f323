"""Searched supernets for tests of analyses, and the study of one."""

import functools

from tests.search import tiny
from tf_darts.analysis.study import Study
from tf_darts.runtime.checkpoints import Checkpoints
from tf_darts.search import loop as search_loop
from tf_darts.spaces import NAS_BENCH_201


def search(workdir, space=tiny.SPACE, **fields):
    """Searches the tiny space in `workdir`/search; gives the setup as the search left it."""
    (workdir / "search").mkdir(parents=True)
    made = tiny.setup(tiny.config(**fields), space)
    search_loop.run(made, workdir / "search")
    return made


def unsearched(workdir, **fields):
    """A NAS-Bench-201 supernet of random weights and alpha, saved as a search would; gives its setup."""
    fields = {"space": "nas_bench_201", "search__alpha_scale": 1.0, **fields}
    made = tiny.setup(tiny.config(**fields), NAS_BENCH_201)
    Checkpoints(workdir / "search", 0.0, ("step",), **made.state()).save(step=1)
    return made


def study(name, workdir, of=tiny.SPACE, table=None, **fields):
    """A study of it, with a supernet of its own, in the space `of`."""
    settings = tiny.config(**fields)
    start = functools.cache(lambda: tiny.setup(settings, of))
    return Study(name, workdir, settings, of, table, start)
