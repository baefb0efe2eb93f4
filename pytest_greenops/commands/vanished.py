"""Whether a module still has a test, told by reading its source: in doubt it has."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

#: Calls that may give a module or a class names which its source does not spell.
_CONJURERS = {"globals", "locals", "vars", "setattr", "exec", "eval", "__import__"}
#: Attributes through which names can be bound that the source does not spell.
_NAMESPACES = {"__dict__", "__globals__", "f_globals", "f_locals"}
#: Functions that many modules call as they are imported, and that make no test.
_HARMLESS = {
    "print",
    "faulthandler.enable",
    "gc.collect",
    "gc.disable",
    "logging.basicConfig",
    "logging.disable",
    "numpy.random.seed",
    "os.environ.pop",
    "os.environ.setdefault",
    "os.environ.update",
    "os.makedirs",
    "pytest.importorskip",
    "pytest.register_assert_rewrite",
    "pytest.skip",
    "random.seed",
    "sys.path.append",
    "sys.path.insert",
    "torch.manual_seed",
    "torch.set_default_dtype",
    "torch.set_num_threads",
    "torch.use_deterministic_algorithms",
    "warnings.filterwarnings",
    "warnings.simplefilter",
}
#: Bases that bring no test of their own.
_PLAIN_BASES = {"object", "unittest.TestCase", "unittest.IsolatedAsyncioTestCase"}
#: What is true only where a module is run by itself.
_AS_SCRIPT = "__name__ == '__main__'"

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_SCOPES = (*_FUNCTIONS, ast.ClassDef)


def certainly_gone(source: str | bytes, qualname: str) -> bool:
    """Whether no test of this name (`test_parse`, `TestModel.test_step`) can come of the source.

    Only what is sure counts. It is not where the source cannot be parsed, where a name is bound by
    something other than a `def` or a `class`, imported with `*` or made by `globals()`, `setattr`
    and the like; where the module or a class calls something for its effect, which may be to make
    tests; where a class has a base, a metaclass or a decorator that may bring tests; and of a name
    that no `def` could have, or that goes on where that of a decorated function or class ends.
    """
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return False
    names = qualname.split(".")
    if not all(name.isidentifier() for name in names) or _conjures(module):
        return False
    return not _Reader(module).may_have(module, names)


class _Reader:
    """Follows a qualified name from the module down."""

    def __init__(self, module: ast.Module) -> None:
        self._module = module
        self._imported = dict(_imports(module))
        self._assigned = {
            node.attr
            for node in ast.walk(module)
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        } | {
            name for node in ast.walk(module) if isinstance(node, ast.Global) for name in node.names
        }

    def may_have(
        self,
        scope: ast.Module | ast.ClassDef,
        names: list[str],
        seen: frozenset[ast.ClassDef] = frozenset(),
    ) -> bool:
        """Whether a scope, or what a class inherits from, may have a name and what is in it."""
        name, *rest = names
        statements = list(_statements(scope.body))
        if name in self._assigned or name in set(_bound(statements)):
            return True
        for node in statements:
            if isinstance(node, _FUNCTIONS) and node.name == name:
                return True
            if isinstance(node, _SCOPES) and _generates(node, name):
                return True
            if not isinstance(node, ast.ClassDef) or node.name != name:
                continue
            if not rest or self.may_have(node, rest):
                return True
        return isinstance(scope, ast.ClassDef) and self._inherits(scope, names, seen)

    def _inherits(
        self, node: ast.ClassDef, names: list[str], seen: frozenset[ast.ClassDef]
    ) -> bool:
        if node in seen:
            return False
        if node.keywords or any(not _is_mark(d) for d in node.decorator_list):
            return True
        return any(self._brings(base, names, seen | {node}) for base in node.bases)

    def _brings(self, base: ast.expr, names: list[str], seen: frozenset[ast.ClassDef]) -> bool:
        """Whether a base may have the name: one of this module is read, another is not known."""
        written = ast.unparse(base)
        known = [
            node
            for node in _statements(self._module.body)
            if isinstance(node, ast.ClassDef) and node.name == written
        ]
        if known and written not in self._imported:
            return any(self.may_have(node, names, seen) for node in known)
        return _origin(base, self._imported) not in _PLAIN_BASES


def _origin(node: ast.expr, imported: Mapping[str, str]) -> str:
    """A dotted name by what it was imported as: `np.random.seed` is `numpy.random.seed`."""
    root, dot, more = ast.unparse(node).partition(".")
    return imported.get(root, root) + dot + more


def _statements(body: Iterable[ast.stmt], on_import: bool = False) -> Iterator[ast.stmt]:
    """All statements of a scope, those within `if`, `try`, `with`, loops and `match` too.

    on_import  without those that only a script runs
    """
    for node in body:
        if on_import and isinstance(node, ast.If) and ast.unparse(node.test) == _AS_SCRIPT:
            yield from _statements(node.orelse, on_import)
            continue
        yield node
        if isinstance(node, _SCOPES):
            continue
        for _, value in ast.iter_fields(node):
            for part in value if isinstance(value, list) else []:
                if isinstance(part, ast.stmt):
                    yield from _statements([part], on_import)
                elif isinstance(part, (ast.ExceptHandler, ast.match_case)):
                    yield from _statements(part.body, on_import)


def _bound(statements: Iterable[ast.stmt]) -> Iterator[str]:
    """Names that statements bind, other than those of functions and classes."""
    for statement in statements:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            yield from (a.asname or a.name.partition(".")[0] for a in statement.names)
        elif not isinstance(statement, _SCOPES):
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id
                elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
                    yield node.name


def _imports(module: ast.Module) -> Iterator[tuple[str, str]]:
    """What each imported name stands for: `('TestCase', 'unittest.TestCase')`."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield alias.asname or top, alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            for alias in node.names:
                yield alias.asname or alias.name, f"{origin}.{alias.name}"


def _conjures(module: ast.Module) -> bool:
    """Whether names may appear in it that it does not spell."""
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in _CONJURERS:
                return True
        elif isinstance(node, ast.Attribute) and (
            node.attr in _NAMESPACES or ast.unparse(node) == "sys.modules"
        ):
            return True
    return _acts(module, dict(_imports(module)))


def _acts(scope: ast.Module | ast.ClassDef, imported: Mapping[str, str]) -> bool:
    """Whether a module or a class calls something for what it does: `scenarios("parse.feature")`.

    That may make tests, or add some to a class that it is given. What only a script does is none.
    """
    for node in _statements(scope.body, on_import=True):
        if isinstance(node, ast.ClassDef) and _acts(node, imported):
            return True
        if isinstance(node, ast.Expr) and _makes_a_call(node.value, imported):
            return True
    return False


def _makes_a_call(node: ast.expr, imported: Mapping[str, str]) -> bool:
    if isinstance(node, ast.Call):
        return _origin(node.func, imported) not in _HARMLESS
    return any(isinstance(part, ast.Call) for part in ast.walk(node))


def _generates(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, name: str) -> bool:
    """Whether what is decorated may have made a test of this name: `test_add` `test_add_0`."""
    decorated = any(not _is_mark(decorator) for decorator in node.decorator_list)
    return decorated and name.startswith(node.name)


def _is_mark(decorator: ast.expr) -> bool:
    return ast.unparse(decorator).startswith("pytest.mark.")
