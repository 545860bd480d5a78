"""The image, built once for all tests that a container engine runs."""

import pytest

from deployment.container_engine import IMAGE, build_image


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> str:
    build_image(tmp_path_factory.mktemp("base"))
    return IMAGE
