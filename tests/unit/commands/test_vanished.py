"""Whether a test is gone, by the source of its module: only what is certain counts."""

from __future__ import annotations

from textwrap import dedent

import pytest

from pytest_greenops.commands.vanished import certainly_gone

SOURCE = """
    import unittest
    import pytest
    from unittest import TestCase

    def test_plain(): ...

    async def test_async(): ...

    @pytest.mark.parametrize("n", [1, 2])
    def test_sized(n): ...

    class TestModel:
        def test_step(self): ...

        class TestInner:
            def test_deep(self): ...

    class TestOld(unittest.TestCase):
        def test_run(self): ...

    class TestChild(TestModel, TestCase):
        def test_own(self): ...

    if True:
        try:
            def test_here(): ...
        except ImportError:
            def test_there(): ...
"""


@pytest.mark.parametrize(
    "name",
    [
        "test_plain",
        "test_async",
        "test_sized",
        "test_here",
        "test_there",
        "TestModel.test_step",
        "TestModel.TestInner.test_deep",
        "TestOld.test_run",
        "TestChild.test_own",
        "TestChild.test_step",
        "TestChild.TestInner.test_deep",
    ],
)
def test_what_is_defined_is_there(name: str) -> None:
    """Functions and classes count wherever a statement may define them, inherited ones too."""
    assert not certainly_gone(dedent(SOURCE), name)


@pytest.mark.parametrize(
    "name",
    [
        "test_other",
        "test_step",
        "test_siz",
        "test_sized_too",
        "TestGone.test_step",
        "TestModel.test_plain",
        "TestModel.test_own",
        "TestModel.TestInner.test_step",
        "TestModel.TestOther.test_deep",
        "TestOld.test_plain",
        "TestChild.test_run",
        "TestChild.TestInner.test_own",
    ],
)
def test_what_is_defined_elsewhere_is_gone(name: str) -> None:
    """A function counts in its own class alone, or in those that inherit from it."""
    assert certainly_gone(dedent(SOURCE), name)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("from shared import *", "test_x"),
        ("from shared import test_x", "test_x"),
        ("from shared import checks as test_x", "test_x"),
        ("import shared as TestX", "TestX.test_a"),
        ("test_x = make_test()", "test_x"),
        ("test_x: object = make_test()", "test_x"),
        ("test_w = test_x = make_test()", "test_x"),
        ("for test_x in tests(): ...", "test_x"),
        ("with making() as test_x: ...", "test_x"),
        ("if (test_x := make_test()): ...", "test_x"),
        ("match make():\n    case [test_x]: ...", "test_x"),
        ("def make():\n    global test_x\n    test_x = 1", "test_x"),
        ("for n in range(3):\n    globals()[f'test_{n}'] = make(n)", "test_2"),
        ("import sys\nsetattr(sys.modules[__name__], 'test_x', make())", "test_x"),
        ("import sys\nthis = sys.modules[__name__]", "test_x"),
        ("exec(TESTS)", "test_x"),
        ("TestX = type('TestX', (), {})", "TestX.test_a"),
        ("class TestX:\n    test_a = make_test()", "TestX.test_a"),
        ("class TestX:\n    from shared import test_a", "TestX.test_a"),
        ("class TestX: ...\nTestX.test_a = make_test()", "TestX.test_a"),
        ("class TestX: ...\nsetattr(TestX, name, make_test())", "TestX.test_a"),
        ("from shared import Base\nclass TestX(Base): ...", "TestX.test_a"),
        ("import shared\nclass TestX(shared.Base): ...", "TestX.test_a"),
        ("from shared import TestCase\nclass TestX(TestCase): ...", "TestX.test_a"),
        ("from shared import B\nclass A(B): ...\nclass TestX(A): ...", "TestX.test_a"),
        ("class TestX(make_base()): ...", "TestX.test_a"),
        ("class TestX(metaclass=Meta): ...", "TestX.test_a"),
        ("@with_tests\nclass TestX: ...", "TestX.test_a"),
        ("class TestX:\n    @expand(CASES)\n    def test_a(self): ...", "TestX.test_a_0_first"),
        ("@parameterized_class(CASES)\nclass TestX: ...", "TestX_0.test_a"),
        ("class A:\n    @expand(CASES)\n    class TestX: ...", "A.TestX_first.test_a"),
        ("from pytest_bdd import scenarios\nscenarios('parse.feature')", "test_x"),
        ("import pytest_bdd\nif HERE:\n    pytest_bdd.scenarios('parse.feature')", "test_x"),
        ("class TestX: ...\nadd_tests(TestX)", "TestX.test_a"),
        ("class TestX: ...\nfor n in range(3):\n    add_test(TestX, n)", "TestX.test_a"),
        ("class TestX: ...\n[add_test(TestX, n) for n in range(3)]", "TestX.test_a"),
        ("class TestX:\n    add_tests()", "TestX.test_a"),
        ("from shared import seed as print\nprint(0)", "test_x"),
        ("import sys\nsys._getframe().f_globals['test_x'] = make()", "test_x"),
        ("import sys\ndef add():\n    sys._getframe(1).f_locals.update(MORE)", "test_x"),
        ("make.__globals__['test_x'] = make()", "test_x"),
        ("def test_x(:", "test_x"),
        ("\0", "test_x"),
        ("", "check README.md"),
        ("", "pkg.mod.<locals>.f"),
    ],
)
def test_what_may_be_there_is_not_gone(source: str, name: str) -> None:
    """A name that is imported, assigned, made or inherited from elsewhere may be a test's."""
    assert not certainly_gone(source, name)


@pytest.mark.parametrize(
    "source",
    [
        "class TestX: ...",
        "class TestX(object): ...",
        "import unittest\nclass TestX(unittest.TestCase): ...",
        "from unittest import TestCase as Case\nclass TestX(Case): ...",
        "from unittest import IsolatedAsyncioTestCase\nclass TestX(IsolatedAsyncioTestCase): ...",
        "class A: ...\nclass TestX(A): ...",
        "import pytest\n@pytest.mark.slow\nclass TestX: ...",
        "class TestX:\n    @pytest.mark.slow\n    def test_a(self): ...",
        "class TestX(TestX): ...",
        "class TestX:\n    def make(self):\n        for m in self.model.modules(): ...",
    ],
)
def test_what_brings_no_test_is_no_doubt(source: str) -> None:
    """Plain bases, marks and code inside of functions make no test of another name."""
    assert certainly_gone(source, "TestX.test_a_b")


@pytest.mark.parametrize(
    "source",
    [
        "import sys\nsys.path.insert(0, str(HERE))",
        "import pytest\npytest.importorskip('torch')",
        "import torch as t\nt.manual_seed(0)",
        "import numpy as np\nnp.random.seed(0)",
        "from warnings import simplefilter\nsimplefilter('ignore')",
        "model = load()",
        "def make():\n    add(model)",
        "import unittest\nif __name__ == '__main__':\n    unittest.main()",
        "@pytest.mark.slow\nclass Test: ...",
        "'A text.'",
    ],
)
def test_what_makes_no_test_is_no_doubt(source: str) -> None:
    """Calls that are known to make none, whose value is kept, or that do not run on import."""
    assert certainly_gone(source, "TestX.test_a")


def test_what_a_script_does_else_counts() -> None:
    """The other branch is taken where the module is imported."""
    source = "if __name__ == '__main__':\n    main()\nelse:\n    add_tests()"
    assert not certainly_gone(source, "test_x")


def test_bytes_are_read_by_their_own_encoding() -> None:
    """Source is taken as it lies on disk, with the encoding that it declares."""
    source = "# -*- coding: latin-1 -*-\n# é\ndef test_x(): ...".encode("latin-1")
    assert certainly_gone(source, "test_y")
    assert not certainly_gone(source, "test_x")
