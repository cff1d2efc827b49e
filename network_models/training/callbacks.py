"""What happens around each epoch: order of batches, files of the run, progress, stopping."""

from __future__ import annotations

import logging
import signal
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dataset_models.streaming import Batches
from network_models.training.checkpoint import Progress, save_network, save_state
from tools.atomic_files import write_text
from tools.long_work.progress import time_left
from tools.run_folder import RunFolder

__all__ = ["EpochOrder", "RunRecorder", "StopOnSignal", "TensorBoardCurves", "TrainingStopped"]

logger = logging.getLogger(__name__)


class TrainingStopped(Exception):
    """The training was asked to stop by a signal; all finished epochs are saved."""

    def __init__(self, signal_number: int, epochs_done: int):
        super().__init__(f"stopped by {signal.Signals(signal_number).name}")
        self.signal_number, self.epochs_done = signal_number, epochs_done


class EpochOrder(keras.callbacks.Callback):
    """Set the epoch of the training batches before the first batch of it is asked for."""

    def __init__(self, batches: Batches):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        """Set the order of this epoch."""
        self.batches.set_epoch(epoch)


class RunRecorder(keras.callbacks.Callback):
    """Write the files of each epoch; the state comes last, so that an epoch counts or doesn't.

    A kill in between repeats the epoch, which writes the same files again.

    Parameters
    ----------
    run : RunFolder
    progress : Progress
        Of earlier epochs; updated in place.
    n_epochs : int
    keep_epochs : int
        How many of the newest files stay in ``epochs/``; 0 keeps all.
    curves : TensorBoardCurves
    saved : keras.Model, optional
        Saved in place of the trained network, on the same weights.
    """

    def __init__(
        self,
        run: RunFolder,
        progress: Progress,
        *,
        n_epochs: int,
        keep_epochs: int,
        curves: TensorBoardCurves,
        saved: keras.Model | None = None,
    ):
        super().__init__()
        self._saved = saved
        self.run, self.progress, self.curves = run, progress, curves
        self.n_epochs, self.keep_epochs = n_epochs, keep_epochs
        self._epochs_here = 0

    def on_train_begin(self, logs=None):
        """Start the clock."""
        self._start = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """Save the epoch's network, the best network, the history and, last, the state."""
        row = {"epoch": epoch + 1} | {k: float(v) for k, v in sorted((logs or {}).items())}
        if not np.isfinite(row["loss"]):
            raise ValueError(
                f"the loss became {row['loss']} in epoch {epoch + 1}; the epochs before are saved. "
                "Try a smaller --learning-rate, and check the inputs for values that are not finite"
            )
        saved = self.model if self._saved is None else self._saved
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()  # what is saved shares its variables
        save_network(self.run / f"epochs/epoch-{epoch + 1:03d}.keras", saved)
        self._sweep_epochs(epoch + 1)
        is_best = row["val_loss"] < self.progress.best_score
        if is_best:
            save_network(self.run.best_network, saved)
            self.progress.best_score, self.progress.best_epoch = row["val_loss"], epoch + 1
        self.progress.history = [*self.progress.history[:epoch], row]
        self.progress.epochs_done = epoch + 1
        write_history(self.run / "performance/history.csv", self.progress.history)
        save_state(self.run.path, self.model, self.progress)
        self.curves.write(epoch + 1, row)
        self._epochs_here += 1
        pace_s = (time.monotonic() - self._start) / self._epochs_here
        logger.info(
            "  epoch %d of %d: loss %.4f, validation %.4f%s; %s",
            epoch + 1,
            self.n_epochs,
            row["loss"],
            row["val_loss"],
            " (best)" if is_best else "",
            time_left(pace_s * (self.n_epochs - epoch - 1)),
        )

    def _sweep_epochs(self, epochs_done: int) -> None:
        if self.keep_epochs:
            files = sorted((self.run / "epochs").glob("epoch-*.keras"))
            old = [f for f in files if int(f.stem[6:]) <= epochs_done - self.keep_epochs]
            for path in old:
                path.unlink()


class StopOnSignal(keras.callbacks.Callback):
    """Turn Ctrl-C and SIGTERM into an orderly stop after the batch in progress.

    A second signal ends the process at once; the last finished epoch is safe either way.
    """

    _SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, progress: Progress):
        super().__init__()
        self.progress = progress
        self._received = None

    def __enter__(self):
        self._before = {s: signal.signal(s, self._note) for s in self._SIGNALS}
        return self

    def __exit__(self, *exception):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, frame):
        if self._received is not None:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._received = number

    def _stop_if_asked(self):
        if self._received is not None:
            raise TrainingStopped(self._received, self.progress.epochs_done)

    def on_train_batch_end(self, batch, logs=None):
        """Stop if a signal came."""
        self._stop_if_asked()

    def on_test_batch_end(self, batch, logs=None):
        """Stop if a signal came during validation."""
        self._stop_if_asked()

    def on_epoch_begin(self, epoch, logs=None):
        """Stop if a signal came while an epoch was being saved."""
        self._stop_if_asked()


class TensorBoardCurves:
    """Write learning curves for TensorBoard, on every backend (no TensorFlow needed)."""

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._writer: Any = None

    def write(self, step: int, row: dict[str, float]) -> None:
        """Add the values of one epoch."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        if self._writer is None:
            from tensorboard.summary.writer.event_file_writer import EventFileWriter

            self._writer = EventFileWriter(str(self.folder))
        values = [
            Summary.Value(tag=f"epoch/{k}", simple_value=v) for k, v in row.items() if k != "epoch"
        ]
        self._writer.add_event(
            Event(wall_time=time.time(), step=step, summary=Summary(value=values))
        )
        self._writer.flush()

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def write_history(path: Path, rows: list[dict]) -> None:
    """Write one line per epoch in one step."""
    names = list(rows[0])
    lines = [",".join(names)]
    lines += [",".join(repr(row[name]) for name in names) for row in rows]
    write_text(path, "\n".join(lines) + "\n")
