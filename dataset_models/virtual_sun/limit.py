"""The best possible forecast of virtual labels: exact for flare peaks, simulated for fluxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dataset_models.GOES.flare_record import FLARE_PEAKS, FLUX_SERIES, FlareRecord
from dataset_models.virtual_sun.exact_probability import exact_probabilities
from dataset_models.virtual_sun.flux_series import simulated_exceedances
from dataset_models.virtual_sun.process import VirtualRecord
from dataset_models.virtual_sun.record import hour_of_time

__all__ = ["ForecastLimit"]


@dataclass(frozen=True)
class ForecastLimit:
    """The limit for one kind of label of one virtual record.

    Attributes
    ----------
    virtual : VirtualRecord
    label_kind : {"flare peaks", "flux series"}
    n_futures : int
        Futures per issue time of a simulated limit.
    """

    virtual: VirtualRecord
    label_kind: str
    n_futures: int = 400

    @property
    def name(self) -> str:
        """Say which limit it is: ``exact`` or ``simulated``."""
        return "exact" if self.label_kind == FLARE_PEAKS else "simulated"

    def exceedances(
        self,
        record: FlareRecord,
        times: np.ndarray,
        *,
        fluxes: np.ndarray,
        delay_h: int,
        catch_h: int,
    ) -> np.ndarray:
        """Give the best possible P(>= flux) for each issue time, (time, flux).

        Parameters
        ----------
        record : FlareRecord
            The record that the labels were taken from.
        times : (time,) datetime64[s]
            Full hours.
        fluxes : (flux,) float, W m-2

        Raises
        ------
        ValueError
            If the record's labels are of another kind than the limit: a closed form for flare
            peaks says nothing of fluxes with background and decay tails.
        """
        if record.label_kind != self.label_kind:
            raise ValueError(
                f"labels from {record.label_kind} have another limit than labels from "
                f"{self.label_kind}; the two must not be mixed"
            )
        hours = hour_of_time(times)
        if self.label_kind == FLUX_SERIES:
            return simulated_exceedances(
                self.virtual,
                hours,
                fluxes=fluxes,
                delay_h=delay_h,
                catch_h=catch_h,
                n_futures=self.n_futures,
                seed=self.virtual.seed,
            )
        return exact_probabilities(
            self.virtual.rates,
            self.virtual.states_at(hours),
            hours,
            thresholds=fluxes,
            delay_h=delay_h,
            catch_h=catch_h,
        )
