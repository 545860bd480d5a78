"""The map in the docstring of each large package names every module that there is, and no other."""

import importlib
import pkgutil
import re
from fnmatch import fnmatchcase

import pytest

pytestmark = pytest.mark.unit

LARGE = ("language", "replay", "review", "runtime")


@pytest.mark.parametrize("name", LARGE)
def test_the_map_of_a_large_package_names_its_modules_and_no_others(name):
    package = importlib.import_module(f"ringfence.{name}")
    modules = {each.name for each in pkgutil.iter_modules(package.__path__)}
    listed = "\n".join(re.findall(r"^- [^:]+:(.*(?:\n  .*)*)", package.__doc__, re.MULTILINE))
    patterns = set(re.findall(r"`([a-z_]+\*?)`", listed))

    off_the_map = {each for each in modules if not any(fnmatchcase(each, p) for p in patterns)}
    of_no_module = {p for p in patterns if not any(fnmatchcase(each, p) for each in modules)}

    assert (off_the_map, of_no_module) == (set(), set())
