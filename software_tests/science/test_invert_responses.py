"""The inversion command with responses of other instruments, or scaled ones."""

import numpy as np
import pytest
from astropy.io import fits

from dataset_models.solar_data import DataIntegrityError
from science.dem.invert import main
from software_tests.dataset_models.SDO.AIA.six_files import TIME, write_six
from software_tests.tools.emission_measure.simulated import simulated_map
from tools.emission_measure.response_table import aia_table


def write_table(path, table, **changes):
    """Write a response as a plain table."""
    said = {"instrument": table.instrument, "unit": table.unit, "date": table.date} | changes
    lines = [f"# {key}: {value}" for key, value in said.items()]
    lines.append(",".join(["log10 T", *table.channels]))
    for k, log_t in enumerate(table.log_temperature):
        lines.append(",".join([f"{log_t:.2f}", *(f"{v:.8e}" for v in table.response[:, k])]))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_a_response_table_gives_what_our_own_does(tmp_path):
    paths, *_ = write_six(tmp_path)
    table = write_table(tmp_path / "r.csv", aia_table())
    for name, options in (("own", []), ("table", ["--response-table", table])):
        assert main([*paths, *options, "--output", str(tmp_path / f"{name}.fits")]) == 0
    own, other = (fits.getdata(tmp_path / f"{n}.fits").sum(axis=0) for n in ("own", "table"))
    np.testing.assert_allclose(other, own, rtol=1e-4)
    assert fits.getheader(tmp_path / "table.fits")["RESPONSE"] == "r.csv"


def test_scaling_the_response_is_as_good_as_correcting_the_data_and_never_both(tmp_path):
    paths, *_ = write_six(tmp_path)
    found = {}
    for name in ("data", "response"):
        output = tmp_path / f"{name}.fits"
        assert main([*paths, "--degradation", name, "--output", str(output)]) == 0
        found[name] = fits.getdata(output).sum(axis=0)
        seen = fits.getdata(output, "OBSERVED")
        found[f"{name} seen"] = np.median(seen[5])
    np.testing.assert_allclose(found["response"], found["data"], rtol=1e-3)
    assert found["response seen"] < 0.5 * found["data seen"]  # 335 A had lost two thirds
    with pytest.raises(ValueError, match="never both"):
        main([*paths, "--degradation", "response", "--degradation-corrected"])
    then = write_table(tmp_path / "then.csv", aia_table().degraded(TIME), degradation=TIME)
    with pytest.raises(ValueError, match="never both"):
        main([*paths, "--response-table", then])
    output = str(tmp_path / "then.fits")
    more = ["--response-table", then, "--degradation", "response", "--output", output]
    assert main([*paths, *more]) == 0
    np.testing.assert_allclose(fits.getdata(output).sum(axis=0), found["data"], rtol=1e-3)
    stale = write_table(tmp_path / "s.csv", aia_table().degraded(TIME), degradation="2013-01-01")
    with pytest.raises(ValueError, match="give one of within 30 days"):
        main([*paths, "--response-table", stale, "--degradation", "response"])


def test_another_instruments_response_is_refused_for_files(tmp_path):
    paths, *_ = write_six(tmp_path)
    table = write_table(tmp_path / "r.csv", aia_table(), instrument="Hinode/XRT")
    output = tmp_path / "em.fits"
    with pytest.raises(ValueError, match="response of Hinode/XRT, the data are of SDO/AIA"):
        main([*paths, "--response-table", table, "--output", str(output)])
    np.save(tmp_path / "six.npy", np.ones((6, 8, 8)))
    with pytest.raises(ValueError, match="give its errors with --sigma"):
        main([str(tmp_path / "six.npy"), "--response-table", table, "--output", str(output)])
    assert not output.exists()


def test_lines_of_a_spectrometer_are_inverted_from_arrays(tmp_path):
    grid = np.round(np.arange(5.0, 7.61, 0.05), 2)
    peaks = np.linspace(5.6, 7.1, 12)
    response = 1e-25 * np.exp(-0.5 * ((grid - peaks[:, None]) / 0.1) ** 2)
    lines = ["log10 T," + ",".join(f"Fe {k}" for k in range(12))]
    lines += [",".join([f"{t}", *map(str, row)]) for t, row in zip(grid, response.T, strict=True)]
    said = "# instrument: Hinode/EIS\n# unit: erg cm3 s-1 sr-1\n# date: 2026-11-22\n"
    (tmp_path / "eis.csv").write_text(said + "\n".join(lines) + "\n")
    truth, *_ = simulated_map(8, 64)
    edges = np.linspace(5.45, 7.25, 19)
    rate = truth @ np.array([np.interp((edges[1:] + edges[:-1]) / 2, grid, r) for r in response]).T
    sigma = 0.1 * rate + 1e-3 * rate.max()
    for name, values in (("lines", rate), ("errors", sigma)):
        np.save(tmp_path / f"{name}.npy", values.T.reshape(12, 8, 8))
    more = ["--sigma", str(tmp_path / "errors.npy"), "--response-table", str(tmp_path / "eis.csv")]
    output = tmp_path / "em.fits"
    assert main([str(tmp_path / "lines.npy"), *more, "--output", str(output)]) == 0
    with fits.open(output) as hdus:
        assert hdus["OBSERVED"].header["BUNIT"] == "erg cm-2 s-1 sr-1"
        assert hdus["MODEL"].data.shape == (12, 8, 8)
        assert hdus[0].header["INSTRUME"] == "EIS"
        assert (hdus["STATUS"].data == 0).all()
        total = hdus[0].data.sum(axis=0).ravel() / truth.sum(axis=1)
        assert 0.7 < np.median(total) < 1.3
    np.save(tmp_path / "errors.npy", np.ones((6, 8, 8)))
    with pytest.raises(DataIntegrityError, match="has the shape"):
        main([str(tmp_path / "lines.npy"), *more])
