"""Compiled code on disk, under the hash of all that it was made from; only ever loaded when it is ours.

One directory per hash: the module's text, the machine code that numba keeps beside it, and a manifest with
the SHA-256 of each file. It is made aside and renamed into place whole, so several processes never see half
of one; only one of them makes it, the others wait. It is used only where the cache directory and everything
in it belong to this user and nobody else may write there, and where every file is as the manifest says.
Otherwise the code is compiled in memory.

What was compiled beforehand, as for a container image, is copied from there under the same conditions, only that
it may be root's.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding
import numba
import numba.core.config

from ringfence._resources import cache_directory, compiled_directory, is_ours
from ringfence.backends.numba_kernel.compile_lock import only_one

__all__ = [
    "cache_directory",
    "can_store",
    "is_kept",
    "is_loaded",
    "is_stored",
    "load_module",
    "told_of_compiling",
]

MANIFEST = "manifest.json"
_loaded: dict[str, types.ModuleType] = {}
# Their texts: to ask whether one is loaded takes no hash.
_texts: set[str] = set()
_Compile = Callable[[types.ModuleType], None]
_listeners: list[Callable[[Path | None], None]] = []


@contextmanager
def told_of_compiling(tell: Callable[[Path | None], None]) -> Iterator[None]:
    """Within it, `tell` is called before something is compiled, with the directory that will keep it.

    None where it cannot be kept. At most one call: what follows belongs to the same wait.
    """
    _listeners.append(tell)
    try:
        yield
    finally:
        if tell in _listeners:
            _listeners.remove(tell)


def _tell(kept_in: Path | None) -> None:
    while _listeners:
        _listeners.pop()(kept_in)


def is_kept(text: str) -> bool:
    """Whether the module of this text need not be compiled: it was loaded, or lies whole on disk."""
    return is_loaded(text) or is_stored(text)


def is_loaded(text: str) -> bool:
    """Whether the module of this text was loaded by this process, so that nothing is left to do."""
    return text in _texts


def is_stored(text: str) -> bool:
    """Whether the module of this text lies whole on disk, ready to be loaded."""
    root = cache_directory()
    return is_ours(root) and _is_whole(root / _name(text))


def can_store() -> bool:
    """Whether what is compiled can be kept: the cache directory is ours, or can be made, and written."""
    return _make_root(cache_directory())


def load_module(text: str, compile_now: _Compile) -> types.ModuleType:
    """The module of this text, from disk where it is ours and whole, else compiled.

    Args:
        text: The module's source.
        compile_now: Compiles what the module exports, so that it can be kept.
    """
    name = _name(text)
    if name in _loaded:
        return _loaded[name]
    module = _kept(name, text, compile_now)
    if module is None:
        _tell(None)
        module = types.ModuleType(name)
        code = compile(_uncached(text), f"<{name}>", "exec")
        exec(code, module.__dict__)  # nosec B102  # our own text
        compile_now(module)
    _loaded[name] = module
    _texts.add(text)
    return module


def _kept(name: str, text: str, compile_now: _Compile) -> types.ModuleType | None:
    """The module from disk, put there first where it is missing; None where nothing can be kept."""
    root = cache_directory()
    place = root / name
    if is_ours(root) and _is_whole(place):
        return _load(name, place, compile_now)
    if not _make_root(root):
        return None
    with only_one(root, name) as locked:
        if not locked:
            return None
        # Another process made it meanwhile, or it was compiled beforehand.
        if _is_whole(place) or _taken_over(name, place):
            return _load(name, place, compile_now)
        _tell(root)
        return _compile_aside(name, text, place, compile_now)


def _load(name: str, place: Path, compile_now: _Compile) -> types.ModuleType:
    module = _import(name, place / f"{name}.py")
    compile_now(module)
    return module


def _uncached(text: str) -> str:
    return text.replace(", cache=True", "")


def _name(text: str) -> str:
    return f"ringfence_kernel_{_key(text)}"


def _key(text: str) -> str:
    """Hash of the text, of the package's compiled parts, and of whatever else shapes machine code."""
    digest = hashlib.sha256(text.encode())
    for part in sorted(Path(__file__).parent.glob("*.py")):
        if part.stem.startswith("jit_") or part.stem == "layout":
            digest.update(part.read_bytes())
    config: Any = numba.core.config  # its attributes are set when it is imported
    about = (
        numba.__version__,
        llvmlite.__version__,
        sys.version,
        config.CPU_NAME or llvmlite.binding.get_host_cpu_name(),
        # No features at all are named by an empty text: code for every processor of a kind.
        (
            llvmlite.binding.get_host_cpu_features().flatten()
            if config.CPU_FEATURES is None
            else config.CPU_FEATURES
        ),
        str(config.DISABLE_JIT),
        str(config.OPT),
    )
    digest.update("\0".join(about).encode())
    return digest.hexdigest()[:40]


def _is_whole(place: Path, *, or_roots: bool = False) -> bool:
    """Whether the directory is ours and holds exactly what its manifest says."""
    if not is_ours(place, or_roots=or_roots):
        return False
    try:
        manifest = json.loads((place / MANIFEST).read_text())
        files = {str(f.relative_to(place)): f for f in place.rglob("*") if not f.is_dir()}
        if not all(is_ours(each, or_roots=or_roots) for each in place.rglob("*")):
            return False
        files.pop(MANIFEST)
        return bool(manifest == {name: _sha256(file) for name, file in files.items()})
    except (OSError, ValueError, KeyError):
        return False


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _make_root(root: Path) -> bool:
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return False
    return is_ours(root) and os.access(root, os.W_OK)


def _taken_over(name: str, place: Path) -> bool:
    """Copy what was compiled beforehand into place: numba uses no directory in which it may not write."""
    beforehand = compiled_directory()
    if beforehand is None or not is_ours(beforehand, or_roots=True):
        return False
    if not _is_whole(beforehand / name, or_roots=True):
        return False
    try:
        with _aside(name, place.parent) as aside:
            shutil.copytree(
                beforehand / name, aside, dirs_exist_ok=True, copy_function=shutil.copyfile
            )
            _put(aside, place)
    except OSError:
        return False
    return _is_whole(place)


def _compile_aside(
    name: str, text: str, place: Path, compile_now: _Compile
) -> types.ModuleType | None:
    """Compile in a private directory beside `place`, then move it there; None where nothing can be kept."""
    try:
        with _aside(name, place.parent) as aside:
            (aside / f"{name}.py").write_text(text)
            module = _load(name, aside, compile_now)
            with suppress(OSError):  # not kept, but compiled
                files = {
                    str(f.relative_to(aside)): _sha256(f)
                    for f in aside.rglob("*")
                    if not f.is_dir()
                }
                (aside / MANIFEST).write_text(json.dumps(files, indent=1, sort_keys=True))
                _put(aside, place)
    except OSError:
        return None
    return module


@contextmanager
def _aside(name: str, root: Path) -> Iterator[Path]:
    """A private directory, gone at the end unless it was moved."""
    # We hold the lock of this name: whoever made these did not live to the end.
    for left in root.glob(f"making-{name}-*"):
        _remove(left)
    aside = Path(tempfile.mkdtemp(prefix=f"making-{name}-", dir=root))
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _put(aside: Path, place: Path) -> None:
    """Rename into place, for this user alone; what lies there is not whole."""
    for each in (aside, *aside.rglob("*")):
        each.chmod(0o700 if each.is_dir() else 0o600)
    _remove(place)
    aside.rename(place)


def _remove(path: Path) -> None:
    """Remove what is not whole, whatever it is; a link is removed, not what it names."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)


def _import(name: str, source: Path) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, source)
    if spec is None or spec.loader is None:
        raise ImportError(f"no loader for {source}")
    module = importlib.util.module_from_spec(spec)
    # Compiled code is found again through its module's name.
    sys.modules[name] = module
    # A .pyc beside the source would be a file that no manifest names.
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module
