"""Responses as plain tables: read, refused, averaged over bins; the truth fits its own data."""

import dataclasses

import numpy as np
import pytest

from software_tests.tools.emission_measure.simulated import EDGES, noise, observe, simulated_map
from tools.channels import aia_degradation
from tools.emission_measure.inversion import METHODS, invert
from tools.emission_measure.response import (
    RESPONSE_CHANNELS,
    RESPONSE_VERSIONS,
    aia_response,
    bin_response,
)
from tools.emission_measure.response_table import AIA, aia_table, read_response_table

SAID = "# instrument: Hinode/EIS\n# unit: erg cm3 s-1 sr-1\n# date: 2026-11-22\n"
TABLE = SAID + "log10 T,Fe XII 195.12,Fe XV 284.16\n5.0,1e-27,0\n6.0,1e-25,1e-27\n6.5,1e-27,1e-25\n"


def written(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    return path


def test_a_table_is_read_and_interpolated_in_its_logarithm(tmp_path):
    table = read_response_table(written(tmp_path, TABLE))
    assert (table.instrument, table.channels) == ("Hinode/EIS", ("Fe XII 195.12", "Fe XV 284.16"))
    assert table.brightness_unit == "erg cm-2 s-1 sr-1"
    np.testing.assert_allclose(table.at([5.5, 6.25])[0], [1e-26, 1e-26])  # half-way, geometric mean
    assert table.at([5.0])[1, 0] == 0
    # mean of 10^(2 x) over 0 <= x <= 1: (100 - 1) / (2 ln 10)
    wide = table.in_bins([5.0, 6.0])[0, 0]
    assert wide == pytest.approx(1e-27 * 99 / (2 * np.log(10)), rel=1e-4)
    with pytest.raises(ValueError, match="from log T 5 to 6.5, asked for 4 to 4"):
        table.at([4.0])


@pytest.mark.parametrize("version", RESPONSE_VERSIONS)
def test_our_own_response_is_such_a_table(version):
    table = aia_table(version)
    np.testing.assert_allclose(
        table.in_bins(EDGES), bin_response(EDGES, version=version), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# unit: erg cm3 s-1 sr-1\n", "", "lacks # unit"),
        ("erg cm3 s-1 sr-1", "erg", "the unit 'erg' is none of a response"),
        ("2026-11-22", "yesterday", "is no date such as"),
        ("date: 2026-11-22", "date: 2026-11-22\n# degradation: some", "no date .* and not none"),
        ("log10 T", "T", "first column should be log10 T"),
        ("Fe XV 284.16", "Fe XII 195.12", "stands there twice: Fe XII 195.12"),
        ("6.0,", "4.0,", "line 6: log10 T must increase, 5 is followed by 4"),
        ("6.5,", "1e6,", "expected log10 of K"),
        ("1e-27,1e-25\n", "nan,1e-25\n", "line 7: expected finite numbers, got 'nan'"),
        ("1e-27,1e-25\n", "1e-25\n", "line 7: expected 3 columns"),
        ("1e-25,1e-27\n", "-1e-25,1e-27\n", "line 6: .* Fe XII 195.12 is negative"),
        ("1e-25", "-25", "negative"),
        ("1e-25", "1e-3", "is 1.0e-03 at most"),
        ("log10 T,Fe XII 195.12,Fe XV 284.16\n", "", "its first line without # should name"),
    ],
)
def test_what_is_no_response_is_refused_with_a_sentence(tmp_path, old, new, message):
    text = TABLE.replace(old, new)
    assert text != TABLE
    with pytest.raises(ValueError, match=message):
        read_response_table(written(tmp_path, text))
    with pytest.raises(FileNotFoundError, match="no such response table"):
        read_response_table(tmp_path / "none.csv")


def test_another_instruments_response_and_lacking_channels_are_refused(tmp_path):
    eis = read_response_table(written(tmp_path, TABLE))
    unit = "DN s-1 pix-1"
    with pytest.raises(ValueError, match="response of Hinode/EIS, the data are of SDO/AIA"):
        eis.for_data(AIA, RESPONSE_CHANNELS, is_corrected=True, unit=unit)
    with pytest.raises(ValueError, match="for data in erg cm-2 s-1 sr-1; these are in DN"):
        eis.for_data("EIS", eis.channels, is_corrected=True, unit=unit)
    with pytest.raises(ValueError, match="the data need 304, too"):
        aia_table().for_data("AIA", (171, 304), is_corrected=True, unit=unit)
    two = aia_table().for_data("AIA", (211, 94), is_corrected=True, unit=unit)
    assert two.channels == ("211", "94")
    np.testing.assert_array_equal(two.response, aia_table().response[[4, 0]])


def test_the_loss_of_throughput_is_corrected_for_once():
    table, time, unit = aia_table(), "2014-06-01T00:00:00", "DN s-1 pix-1"
    left = [aia_degradation(c, np.array([time], "datetime64[s]"))[0] for c in RESPONSE_CHANNELS]
    scaled = table.degraded(time)
    np.testing.assert_allclose(scaled.response, table.response * np.array(left)[:, None])
    # 335 A of version 10, 6.5 days into its epoch: 0.02216 (1 - 0.000733 6.5) / 0.05684
    assert left[5] == pytest.approx(0.3880, abs=1e-4)
    scaled.for_data(AIA, RESPONSE_CHANNELS, is_corrected=False, unit=unit)
    with pytest.raises(ValueError, match="never both"):
        scaled.for_data(AIA, RESPONSE_CHANNELS, is_corrected=True, unit=unit)
    with pytest.raises(ValueError, match="not corrected for the loss"):
        table.for_data(AIA, RESPONSE_CHANNELS, is_corrected=False, unit=unit)
    with pytest.raises(ValueError, match="already"):
        scaled.degraded(time)
    with pytest.raises(ValueError, match="known for SDO/AIA only"):
        dataclasses.replace(table, instrument="Hinode/XRT").degraded(time)


def test_the_truth_fits_its_own_data_where_bins_are_fine_and_fails_where_points_are_taken():
    # K: v10_evenorm known at 18 temperatures, as the response that is passed around; 8 x 8 pixels
    # averaged. Expected: reference measurements, 6.8-15.6 by points, 1.9-2.3 by means over bins of
    # 0.1 dex, 0.88 at 0.02 dex and for the truth (a median; the mean of chi2 is 1)
    centres = (EDGES[:-1] + EDGES[1:]) / 2
    sampled = np.arange(5.4, 7.35, 0.1)
    table = dataclasses.replace(
        aia_table(),
        log_temperature=sampled,
        response=aia_response(sampled, version="v10_evenorm"),
    )
    fine_edges = np.linspace(5.45, 7.25, 91)
    em = simulated_truth(fine_edges)
    finest = np.linspace(5.45, 7.25, 181)
    rate = simulated_truth(finest) @ table.in_bins(finest).T
    dn = observe(rate, 64, np.random.default_rng(5))
    sigma = noise(dn, 64)

    def chi2(model):
        return np.median((((model - dn) / sigma) ** 2).mean(axis=1))

    coarse = em.reshape(len(em), 18, 5).sum(axis=2)
    assert chi2(rate) == pytest.approx(0.89, abs=0.04)  # the median of chi2 of 6, over 6
    assert chi2(em @ table.in_bins(fine_edges).T) == pytest.approx(chi2(rate), abs=0.02)
    by_means, by_points = (chi2(coarse @ k.T) for k in (table.in_bins(EDGES), table.at(centres)))
    assert 1.4 < by_means < 3
    assert by_points > 5
    # noise-free: fine bins keep every channel to a tenth of a percent or so
    off = np.abs(em @ table.in_bins(fine_edges).T / rate - 1)
    assert np.median(off) < 2e-3


def simulated_truth(edges, side=48):
    """Give smooth emission measure (pixel, bin), normal in log T, in bins of these edges."""
    generator = np.random.default_rng(2)
    centres = (edges[:-1] + edges[1:]) / 2
    em = 0
    for log_em, centre, width in ((26.0, 6.0, 0.17), (26.2, 6.45, 0.12), (25.0, 6.95, 0.08)):
        places = centre + 0.1 * generator.standard_normal((side * side, 1))
        shape = np.exp(-0.5 * ((centres - places) / width) ** 2)
        amount = 10 ** (log_em + 0.5 * generator.standard_normal((side * side, 1)))
        em = em + amount * shape / shape.sum(axis=1, keepdims=True)
    return em


@pytest.mark.parametrize("method", METHODS)
def test_a_spectrometer_of_many_lines_is_inverted(method):
    grid = np.arange(5.0, 7.6, 0.02)
    peaks = np.linspace(5.6, 7.1, 20)  # narrow lines, as an EUV spectrometer's
    response = 1e-25 * np.exp(-0.5 * ((grid - peaks[:, None]) / 0.1) ** 2)
    lines = tuple(f"line {k}" for k in range(20))
    table = dataclasses.replace(
        aia_table(), channels=lines, log_temperature=grid, response=response, instrument="EIS"
    )
    k = table.in_bins(EDGES)
    truth, *_ = simulated_map(8, 64)
    rate = truth @ k.T
    sigma = 0.05 * rate + 1e-3 * rate.max()
    dn = rate + sigma * np.random.default_rng(4).standard_normal(rate.shape)
    found = invert(dn, sigma, k, EDGES, method=method)
    assert (found.status <= 1).all()
    total = found.em.sum(axis=1) / truth.sum(axis=1)
    assert 0.85 < np.median(total) < 1.15
    assert np.median(found.chi2) < 1.4**2  # the widest that any method asks for at first
