import pytest

from tests.helpers.crop_folders import project, start


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """Folder in which the stage `crop` has run on a process pool, without a server."""
    folder = project(tmp_path_factory.mktemp("undisturbed") / "project")
    assert start(folder).wait(600) == 0
    return folder
