"""Which code and tables a result depends on: found from the imports of the module that makes it.

A module's text is read, never run: every ``import`` in it, also those inside functions, and every
``later("package.module:name")`` names another module of the suite, which is read in turn. Files
beside a module, or in ``tools/tables``, that its text names are taken as well. Drawing, reports and
command lines are left out, since they decide no number.
"""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

__all__ = ["NO_NUMBERS", "code_of_script", "dependencies_of", "fingerprint_of_code"]

ROOT = Path(__file__).parents[1]
_PACKAGES = ("tools", "dataset_models", "network_models", "science")
_TABLES = (".csv", ".json", ".npz")
# what decides no number: drawing, reports, command lines, progress, what explanations are shown
NO_NUMBERS = (
    "tools/plotting/*",
    "tools/report/*",
    "tools/command_line.py",
    "tools/long_work/*",
    "tools/run_folder.py",
    "tools/code_dependencies.py",
    "network_models/*/samples.py",
    "network_models/training/lots.py",
)


def dependencies_of(
    modules: Iterable[str | Path],
    *,
    data: Sequence[str] = (),
    exclude: Sequence[str] = NO_NUMBERS,
    root: Path = ROOT,
) -> list[Path]:
    """Return the files that some modules depend on, themselves among them, in order.

    Parameters
    ----------
    modules : iterable of path
        Relative to the suite's root, or absolute.
    data : sequence of str
        Patterns of further files, such as trained weights, relative to the root.
    exclude : sequence of str
        Patterns of files that are left out, with all that only they import.

    Raises
    ------
    FileNotFoundError
        If a module does not exist, or a pattern matches nothing.
    """
    left_out = {path for pattern in exclude for path in _matching(pattern, root)}
    found: set[Path] = set()
    waiting = [root / module for module in modules]
    for path in waiting:
        if not path.is_file():
            raise FileNotFoundError(f"no such module: {path}")
    while waiting:
        path = waiting.pop()
        if path in found or path in left_out:
            continue
        found.add(path)
        if path.suffix == ".py":
            waiting += _named_in(path, root)
    found |= {path for pattern in data for path in _matching(pattern, root)}
    return sorted(found - left_out)


def fingerprint_of_code(
    modules: Iterable[str | Path],
    *,
    data: Sequence[str] = (),
    exclude: Sequence[str] = NO_NUMBERS,
    root: Path = ROOT,
) -> str:
    """Return a hash of the names and contents of all files that some modules depend on.

    Parameters
    ----------
    modules, data, exclude, root
        As for ``dependencies_of``.

    Raises
    ------
    FileNotFoundError
        If a module does not exist, or a pattern matches nothing.
    """
    digest = hashlib.sha256()
    for path in dependencies_of(modules, data=data, exclude=exclude, root=root):
        name = path.relative_to(root) if path.is_relative_to(root) else path.name
        content = path.read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


@functools.cache
def code_of_script(script: str) -> str:
    """Return the fingerprint of a script's code: a path, or the name of an installed module.

    Raises
    ------
    FileNotFoundError
        If there is no such script.
    """
    if script.endswith(".py"):
        inside = ROOT / script
        return fingerprint_of_code([inside if inside.is_file() else Path(script).resolve()])
    from importlib.util import find_spec

    spec = find_spec(script)
    if spec is None or not spec.origin:
        raise FileNotFoundError(f"no such module: {script}")
    return fingerprint_of_code([Path(spec.origin)])


def _matching(pattern: str, root: Path) -> list[Path]:
    """Return the files of a pattern, at least one."""
    found = [path for path in root.glob(pattern) if path.is_file() and _is_text_or_data(path)]
    if not found:
        raise FileNotFoundError(f"{root / pattern} matches no file: was something moved?")
    return found


def _is_text_or_data(path: Path) -> bool:
    return path.suffix not in (".pyc", ".partial") and "__pycache__" not in path.parts


def _named_in(path: Path, root: Path) -> list[Path]:
    """Return the suite's files that a module's text names."""
    found: list[Path] = []
    for node in _run_nodes(_parsed(path, path.stat().st_mtime_ns)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found += _files_of(alias.name, path, root)
        elif isinstance(node, ast.ImportFrom):
            beside = path.parents[node.level - 1] if node.level else None
            for alias in node.names:
                name = f"{node.module}.{alias.name}" if node.module else alias.name
                found += _files_of(name, path, root, beside=beside)
        elif isinstance(node, ast.Call) and "later" in (
            getattr(node.func, "id", ""),
            getattr(node.func, "attr", ""),
        ):
            place = node.args[0] if node.args else None
            if isinstance(place, ast.Constant) and isinstance(place.value, str):
                found += _files_of(place.value.partition(":")[0], path, root)
        elif isinstance(node, ast.JoinedStr):
            found += _data_like(node, path)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += _data_of(node.value, path, root)
    return found


def _run_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those that only type checkers read."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            is_inverted = ast.unparse(child.test).startswith("not ")
            for part in child.body if is_inverted else child.orelse:
                yield from _run_nodes(part)
        else:
            yield from _run_nodes(child)


@functools.lru_cache(maxsize=1024)
def _parsed(path: Path, written: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _files_of(name: str, path: Path, root: Path, *, beside: Path | None = None) -> list[Path]:
    """Return the files of a module, or of what is imported from it, and of its packages.

    Followed are the suite's modules and, from a file outside it, those beside that file and of the
    package that it lies in; ``beside`` is the folder that a relative import begins at.
    """
    parts = name.split(".")
    if beside is not None:
        folders = [beside]
    elif parts[0] in _PACKAGES:
        folders = [root]
    elif path.is_relative_to(root):
        return []
    else:
        folders = [path.parent, *(p for p in path.parents if (p / parts[0]).is_dir())]
    out = []
    for folder in folders[:2]:
        places = [folder.joinpath(*parts[:k]) for k in range(1, len(parts) + 1)]
        out += [place / "__init__.py" for place in places]
        out += [place.with_name(f"{place.name}.py") for place in places]
    return [place for place in out if place.is_file()]


def _data_like(node: ast.JoinedStr, path: Path) -> list[Path]:
    """Return the files beside a module that an f-string may name."""
    texts = [part.value if isinstance(part, ast.Constant) else "*" for part in node.values]
    pattern = "".join(map(str, texts))
    if not pattern.endswith(_TABLES) or pattern.startswith("*") or "/" in pattern:
        return []
    return sorted(path.parent.glob(pattern))


def _data_of(text: str, path: Path, root: Path) -> list[Path]:
    """Return the files that a string of a module names: beside it, or in ``tools/tables``."""
    if not text or len(text) > 80 or any(c in text for c in "\n \0*{}"):
        return []
    tables = [f"{text}{ending}" for ending in (".csv", ".json")] if "/" not in text else []
    places = [path.parent / text, root / "tools/tables" / text]
    places += [root / "tools/tables" / name for name in tables]
    return [p for p in places if p.is_file() and p.suffix in _TABLES]
