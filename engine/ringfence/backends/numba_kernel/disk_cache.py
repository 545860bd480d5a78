"""Compiled code on disk, under the hash of all that it was made from; only ever loaded when it is ours.

One directory per hash: the module's text, the machine code that numba keeps beside it, and a manifest with
the SHA-256 of each file. It is made aside and renamed into place whole, so several processes never see half
of one. It is used only where the cache directory and everything in it belong to this user and nobody else
may write there, and where every file is as the manifest says. Otherwise the code is compiled in memory.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import stat
import sys
import tempfile
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import llvmlite
import llvmlite.binding
import numba
from numba.core import config as numba_config

__all__ = ["cache_directory", "load_module", "told_of_compiling"]

MANIFEST = "manifest.json"
_loaded: dict[str, types.ModuleType] = {}
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


def cache_directory() -> Path:
    """Where compiled code is kept: `RINGFENCE_CACHE_PATH`, else below the user's cache directory."""
    if given := os.environ.get("RINGFENCE_CACHE_PATH"):
        return Path(given)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "ringfence"


def load_module(text: str, compile_now: Callable[[types.ModuleType], None]) -> types.ModuleType:
    """The module of this text, from disk where it is ours and whole, else compiled.

    Args:
        text: The module's source.
        compile_now: Compiles what the module exports, so that it can be kept.
    """
    name = f"ringfence_kernel_{_key(text)}"
    if name in _loaded:
        return _loaded[name]
    root = cache_directory()
    place = root / name
    module = None
    if _is_ours(root) and _is_whole(place):
        module = _import(name, place / f"{name}.py")
        compile_now(module)
    elif _make_root(root):
        _tell(root)
        module = _compile_aside(name, text, root, place, compile_now)
    if module is None:
        _tell(None)
        module = types.ModuleType(name)
        exec(
            compile(_uncached(text), f"<{name}>", "exec"), module.__dict__
        )  # nosec B102: our own text
        compile_now(module)
    _loaded[name] = module
    return module


def _uncached(text: str) -> str:
    return text.replace(", cache=True", "")


def _key(text: str) -> str:
    """Hash of the text, of the package's compiled parts, and of whatever else shapes machine code."""
    digest = hashlib.sha256(text.encode())
    for part in sorted(Path(__file__).parent.glob("*.py")):
        if part.stem.startswith("jit_") or part.stem == "layout":
            digest.update(part.read_bytes())
    about = (
        numba.__version__,
        llvmlite.__version__,
        sys.version,
        numba_config.CPU_NAME or llvmlite.binding.get_host_cpu_name(),
        numba_config.CPU_FEATURES or llvmlite.binding.get_host_cpu_features().flatten(),
        str(numba_config.DISABLE_JIT),
        str(numba_config.OPT),
    )
    digest.update("\0".join(about).encode())
    return digest.hexdigest()[:40]


def _is_ours(path: Path) -> bool:
    """Whether the file or directory belongs to this user, and nobody else may write to it."""
    try:
        about = path.lstat()
    except OSError:
        return False
    kind = stat.S_ISDIR(about.st_mode) or stat.S_ISREG(about.st_mode)
    return (
        kind and about.st_uid == os.getuid() and not about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    )


def _is_whole(place: Path) -> bool:
    """Whether the directory is ours and holds exactly what its manifest says."""
    if not _is_ours(place):
        return False
    try:
        manifest = json.loads((place / MANIFEST).read_text())
        files = {str(f.relative_to(place)): f for f in place.rglob("*") if not f.is_dir()}
        if not all(_is_ours(each) for each in place.rglob("*")):
            return False
        files.pop(MANIFEST)
        return {name: _sha256(file) for name, file in files.items()} == manifest
    except (OSError, ValueError, KeyError):
        return False


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _make_root(root: Path) -> bool:
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return False
    return _is_ours(root) and os.access(root, os.W_OK)


def _compile_aside(
    name: str, text: str, root: Path, place: Path, compile_now: Callable[[types.ModuleType], None]
) -> types.ModuleType | None:
    """Compile in a private directory beside `place`, then move it there; None where nothing can be kept."""
    try:
        aside = Path(tempfile.mkdtemp(prefix="making-", dir=root))
    except OSError:
        return None
    try:
        source = aside / f"{name}.py"
        source.write_text(text)
        module = _import(name, source)
        compile_now(module)
        for each in aside.rglob("*"):
            each.chmod(0o700 if each.is_dir() else 0o600)
        files = {str(f.relative_to(aside)): _sha256(f) for f in aside.rglob("*") if not f.is_dir()}
        (aside / MANIFEST).write_text(json.dumps(files, indent=1, sort_keys=True))
        _publish(aside, place)
    except OSError:
        return None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return module


def _publish(aside: Path, place: Path) -> None:
    """Rename into place; what lies there is left alone where it is whole, replaced where it is not."""
    if place.exists() and not _is_whole(place):
        broken = place.with_name(f"broken-{os.getpid()}-{place.name}")
        place.rename(broken)
        shutil.rmtree(broken, ignore_errors=True)
    try:
        aside.rename(place)
    except OSError:
        # Another process was first; its code is the same.
        return


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
