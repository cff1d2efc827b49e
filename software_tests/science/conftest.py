"""A small finished run on images, for all tests of explanations."""

import pytest

SMALL = ["--smoke", "--virtual-years", "3", "--cadence-h", "48", "--size", "16", "--epochs", "2"]
SMALL += ["--history-h", "168", "--bootstrap-draws", "50", "--skip-leak-table"]


@pytest.fixture(scope="session")
def image_run(tmp_path_factory):
    """Give a finished run of the network on eight channels."""
    from network_models.xray_flux_forecast.fdl1 import aia_only

    folder = tmp_path_factory.mktemp("explained")
    options = ["--stores", str(folder / "stores"), "--output", str(folder / "runs")]
    assert aia_only.main([*SMALL, *options]) == 0
    (run,) = (folder / "runs").iterdir()
    return run


@pytest.fixture(scope="session")
def frames_run(tmp_path_factory):
    """Give a finished run of the network on two frames and the flare history."""
    from network_models.xray_flux_forecast.fdl1 import aia_and_goes

    folder = tmp_path_factory.mktemp("frames")
    options = ["--stores", str(folder / "stores"), "--output", str(folder / "runs")]
    frames = ["--frames", "2", "--frame-step-h", "48"]
    assert aia_and_goes.main([*SMALL, *options, *frames]) == 0
    (run,) = (folder / "runs").iterdir()
    return run
