import pytest

from tests.helpers.crop_folders import project, start
from tests.helpers.servers import prefect_server


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """Folder in which the stage `crop` has run on a process pool, without a server."""
    folder = project(tmp_path_factory.mktemp("undisturbed") / "project")
    assert start(folder).wait(600) == 0
    return folder


@pytest.fixture(scope="package")
def prefect_api(prefect_home):
    """Address of the API of a real Prefect server on loopback; idle, it would slow down other tests."""
    with prefect_server(prefect_home()) as address:
        yield address
