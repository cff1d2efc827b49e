"""Forecasts of other people: reading, auditing and scoring them like our own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataset_models.audit import AuditCheck, AuditReport
from dataset_models.GOES.flare_history import FlareHistory, HistoryWindow
from dataset_models.GOES.flare_record import FlareRecord
from dataset_models.GOES.targets import window_flux
from dataset_models.splits import Split, required_gap
from network_models.xray_flux_forecast.baselines import chance, climatology, logistic, persistence
from network_models.xray_flux_forecast.evaluation import observations_of
from network_models.xray_flux_forecast.flux_forecast import flux_bins
from tools.csv_files import read_csv_table
from tools.random_streams import random_stream
from tools.score_card import EVENTS, Forecaster, score_card
from tools.skill import roc_area
from tools.times import parse_time

__all__ = ["ForeignForecasts", "audit_forecasts", "read_forecasts", "score_forecasts"]

_COLUMN = re.compile(
    r"(?:p_?|prob(?:ability)?_?)?\(?\s*(?:>=|>|ge)?\s*_?([CMX]\d*(?:\.\d)?)\+?\)?", re.I
)
_HOUR = np.timedelta64(3600, "s")
_ANSWER_ROC_AREA = 0.995
_FEWEST_EVENTS = 10
_SELECTION_Z = 4.0
_MISSING_SHARE = 0.05
_FEWEST_TRAINING_DAYS = 730
_TRAINING_CADENCE_H = 12


@dataclass(frozen=True)
class ForeignForecasts:
    """Probabilities by issue time: ``probability[event]`` is (time,) float."""

    source: str
    times: np.ndarray
    probability: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.times)


def read_forecasts(path: str | Path) -> ForeignForecasts:
    """Read a CSV with a column ``time`` and one probability column per class.

    Columns named like ``P(>=M1)``, ``>=M1``, ``p_M1`` or ``M1.0+`` are understood, for C1, M1, M5
    and X1 (a letter alone means its 1); others are left aside.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a column is missing, the list is empty, times are unsorted or repeated, or a value is no
        probability.
    """
    path = Path(path)
    header, rows = read_csv_table(path, "table of forecasts")
    if not rows:
        raise ValueError(f"{path.name}: there are no forecasts in this file")
    columns = {name: event for name in header if name and (event := _event_of(name))}
    if "time" not in header or not columns:
        raise ValueError(
            f"{path.name}: expected a column 'time' and at least one of "
            f"{', '.join(f'P({e})' for e in EVENTS)}; got {', '.join(header)}"
        )
    if len(set(columns.values())) < len(columns):
        raise ValueError(f"{path.name}: several columns mean the same event: {', '.join(columns)}")
    times = np.empty(len(rows), "datetime64[s]")
    values = np.empty((len(rows), len(columns)))
    for k, (number, row) in enumerate(rows):
        try:
            times[k] = parse_time(row["time"]).astype("datetime64[s]")
            values[k] = [float(row[name]) for name in columns]
        except ValueError as error:
            raise ValueError(f"{path.name}, line {number}: {error}") from error
        if not ((values[k] >= 0) & (values[k] <= 1)).all():
            raise ValueError(
                f"{path.name}, line {number}: expected probabilities from 0 to 1, got "
                f"{', '.join(row[name] for name in columns)}"
            )
    if np.isnat(times).any() or (times[1:] <= times[:-1]).any():
        raise ValueError(f"{path.name}: issue times must increase from row to row, without repeats")
    probability = dict(zip(columns.values(), values.T, strict=True))
    return ForeignForecasts(
        path.name, times, {e: probability[e] for e in EVENTS if e in probability}
    )


def audit_forecasts(
    forecasts: ForeignForecasts,
    record: FlareRecord,
    *,
    delay_h: int,
    catch_h: int,
    trained_until: str = "",
) -> AuditReport:
    """Look for what makes scores of forecasts worthless.

    Checked are: that the truth covers the windows; that no forecast is the outcome itself; that
    the issue times were not chosen by activity; that no window was known in training.
    """
    flux = _window_flux(record, forecasts.times, delay_h, catch_h)
    checks = [_truth_covers(flux)]
    checks += [_is_no_answer(forecasts, flux, event) for event in forecasts.probability]
    checks.append(_is_no_selection(forecasts, record, flux, delay_h, catch_h))
    checks.append(_is_coherent(forecasts))
    if trained_until:
        checks.append(_is_after(forecasts, trained_until))
    return AuditReport(tuple(checks))


def score_forecasts(
    forecasts: ForeignForecasts, record: FlareRecord, *, delay_h: int, catch_h: int, seed: int
) -> dict:
    """Score forecasts beside the baselines; give the score card.

    Yes/no thresholds are the events' base rates in the truth before the first forecast (one half
    where it holds less than two years): nothing is tuned on the scored times.
    """
    window = HistoryWindow(delay_h=delay_h, catch_h=catch_h)
    flux = _window_flux(record, forecasts.times, delay_h, catch_h)
    scored = np.isfinite(flux)
    times = forecasts.times[scored]
    earlier = _earlier_times(record, window, times[0])
    dataset = FlareHistory(record, window, times=np.r_[earlier, times])
    rows = np.arange(len(earlier), len(earlier) + len(times))
    known = np.arange(len(earlier)) if len(earlier) else rows
    split = Split(known, known, rows, "foreign forecasts")
    observations = observations_of(dataset, known, rows, dataset.log10_peak_flux)
    probability = {event: p[scored] for event, p in forecasts.probability.items()}
    threshold = {e: observations.training_rate[e] if len(earlier) else 0.5 for e in EVENTS}
    note = "yes above the base rate of earlier years" if len(earlier) else "yes above one half"
    given = Forecaster("forecasts", probability, threshold, note=note)
    bins = flux_bins(window.floor_flux)
    others = [
        persistence(dataset, split),
        climatology("climatology (test)", dataset, rows, rows, bins),
        chance(given, random_stream(seed, "chance")),
    ]
    if len(earlier):
        others.insert(0, logistic(dataset, split))
        others.insert(2, climatology("climatology (earlier)", dataset, known, rows, bins))
    return score_card(
        observations,
        [given, *others],
        generator=random_stream(seed, "bootstrap"),
        pairs=[("forecasts", f.name) for f in others],
    )


def _event_of(column: str) -> str | None:
    """Give the event that a column's name means."""
    match = _COLUMN.fullmatch(column.strip())
    if match is None:
        return None
    number = match[1][1:] or "1"
    event = f">={match[1][0].upper()}{float(number):g}"
    return event if event in EVENTS else None


def _window_flux(record: FlareRecord, times, delay_h: int, catch_h: int) -> np.ndarray:
    return window_flux(record, times, delay=delay_h * _HOUR, catch=catch_h * _HOUR)


def _truth_covers(flux: np.ndarray) -> AuditCheck:
    undefined = int(np.isnan(flux).sum())
    detail = f"{undefined} of {len(flux)} windows reach past the truth or into its gaps, not scored"
    return AuditCheck("the truth covers the windows", undefined < len(flux), detail)


def _is_no_answer(forecasts: ForeignForecasts, flux: np.ndarray, event: str) -> AuditCheck:
    """Check that a forecast is not the outcome that it pretends to foresee."""
    defined = np.isfinite(flux)
    came = flux[defined] >= EVENTS[event] * (1 - 1e-9)
    p = forecasts.probability[event][defined]
    few = min(came.sum(), (~came).sum()) < _FEWEST_EVENTS
    name = f"P({event}) is not the answer"
    if few:
        detail = f"fewer than {_FEWEST_EVENTS} events or non-events, so this can't be told"
        return AuditCheck(name, True, detail)
    same, area = float((np.abs(p - came) < 0.01).mean()), roc_area(p, came)
    separation = max(area, 1 - area)
    detail = (
        f"{100 * same:.1f} % of the probabilities equal the outcome to 0.01, they separate events "
        f"from the rest with ROC area {separation:.4f} (no forecast reaches {_ANSWER_ROC_AREA})"
    )
    return AuditCheck(name, separation < _ANSWER_ROC_AREA, detail)


def _is_no_selection(
    forecasts: ForeignForecasts, record: FlareRecord, flux: np.ndarray, delay_h: int, catch_h: int
) -> AuditCheck:
    """Check that times without a forecast were not chosen because nothing happened."""
    name, times = "issue times were not chosen by activity", forecasts.times
    if len(times) < 3:
        return AuditCheck(name, True, "too few forecasts to tell")
    step = np.median(np.diff(times).astype(int)).astype("timedelta64[s]")
    grid = np.arange(times[0], times[-1] + step, step)
    missing = grid[~np.isin(grid, times)]
    share = len(missing) / len(grid)
    detail = f"{100 * share:.1f} % of the times between first and last have no forecast"
    if share < _MISSING_SHARE or len(missing) < _FEWEST_EVENTS:
        return AuditCheck(name, True, detail)
    other = _window_flux(record, missing, delay_h, catch_h)
    rates = [(v[np.isfinite(v)] >= EVENTS[">=C1"]).mean() for v in (flux, other)]
    pooled = np.clip(np.mean(rates), 1e-6, 1 - 1e-6)
    # windows overlap: count one independent window per catch
    n = [max(len(v) * min(step / (catch_h * _HOUR), 1), 1) for v in (flux, other)]
    z = (rates[0] - rates[1]) / np.sqrt(pooled * (1 - pooled) * (1 / n[0] + 1 / n[1]))
    detail += (
        f"; base rate of >=C1 {rates[0]:.3f} with, {rates[1]:.3f} without forecast (z {z:.1f})"
    )
    return AuditCheck(name, abs(z) < _SELECTION_Z, detail)


def _is_coherent(forecasts: ForeignForecasts) -> AuditCheck:
    columns = np.array(list(forecasts.probability.values()))
    bad = int((np.diff(columns, axis=0) > 1e-6).any(axis=0).sum()) if len(columns) > 1 else 0
    detail = f"{bad} of {len(forecasts)} rows give a larger flare the higher probability (a note)"
    return AuditCheck("probabilities fall with the class", True, detail)


def _is_after(forecasts: ForeignForecasts, trained_until: str) -> AuditCheck:
    border = parse_time(trained_until, what="--trained-until").astype("datetime64[s]")
    early = int((forecasts.times < border).sum())
    detail = f"{early} of {len(forecasts)} forecasts were issued before {border}"
    return AuditCheck("no forecast was issued within the training data", early == 0, detail)


def _earlier_times(record: FlareRecord, window: HistoryWindow, first: np.datetime64) -> np.ndarray:
    """Give issue times before the first forecast for the baselines to learn from, or none."""
    start = record.start + window.history_h * _HOUR
    probe = FlareHistory(record, window, times=np.array([first]), need_label=False)
    times = np.arange(start, first - required_gap(probe.table), _TRAINING_CADENCE_H * _HOUR)
    if len(times) * _TRAINING_CADENCE_H < _FEWEST_TRAINING_DAYS * 24:
        return times[:0]
    return times[np.isfinite(_window_flux(record, times, window.delay_h, window.catch_h))]
