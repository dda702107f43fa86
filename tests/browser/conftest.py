"""What the browser tests share: a Chromium, or a clear end of the run, and one JupyterLab for all."""

import pytest
from lab import Lab, NoChromium, find_chromium


def pytest_sessionstart(session):
    """End the run, as a failure, where there is no Chromium: a skip would pass for a success."""
    try:
        find_chromium()
    except NoChromium as error:
        pytest.exit(str(error), returncode=2)


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    # The server answers to a strange host name too, so that a page from elsewhere can be played.
    with Lab(tmp_path_factory.mktemp("lab"), server_options=["--ServerApp.allow_remote_access=True"]) as lab:
        yield lab
