"""The `>>>` examples of `tf_darts.api`, and of what it returns, run and print what the docstrings show."""

import ast
import doctest
import inspect

import pytest

from tests.report.test_pages import check_page
from tests.search import tiny
from tests.test_docstrings import functions, is_property
from tf_darts import api
from tf_darts.library import found, searched, selected, trained
from tf_darts.runtime import progress, strategy

PLAIN = {"workdir"}  # attributes that say all by their names

DOCUMENTED = [
    (name, function, module)
    for module in (searched, selected, trained, found, api)
    for name, function in functions(ast.parse(inspect.getsource(module)))
    if not (is_property(function) and function.name in PLAIN)
]


def example(name, node, module, names):
    """The examples of a docstring as a doctest, with the lines where they are."""
    text, first = ast.get_docstring(node, clean=False), node.body[0].lineno
    return doctest.DocTestParser().get_doctest(text, names, name, module.__file__, first - 1)


@pytest.mark.parametrize(("name", "function", "module"), DOCUMENTED, ids=[name for name, *_ in DOCUMENTED])
def test_every_function_has_an_example(name, function, module):
    assert example(name, function, module, {}).examples


def test_the_examples_run(tmp_path, monkeypatch, no_pictures):
    monkeypatch.setattr(strategy, "start", lambda runtime, guest=False: tiny.one_device())
    monkeypatch.setattr(progress, "_quiet", True)  # progress is printed among the results
    monkeypatch.chdir(tmp_path)
    names, said = {}, []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    # The docstring of the module comes first: the others go on from it.
    whole = "api", ast.parse(inspect.getsource(api)), api
    for name, node, module in [whole, *DOCUMENTED]:
        test = example(name, node, module, names)
        runner.run(test, out=said.append, clear_globs=False)
        names = test.globs  # the runner works on a copy of what it was given
    assert not runner.failures, "".join(said)
    for name in ("searched", "selected", "trained"):
        text = names[name]._repr_html_()
        check_page(text)
        assert text.count("<img") == 1 and "160 for training, of 8x8x1, in 10 classes" in text
        assert len(repr(names[name])) < 80
