"""What happens around each epoch, by its first name; it lives in ``training/callbacks.py``."""

from network_models.training.callbacks import (
    EpochOrder,
    RunRecorder,
    StopOnSignal,
    TensorBoardCurves,
    TrainingStopped,
)

__all__ = ["EpochOrder", "RunRecorder", "StopOnSignal", "TensorBoardCurves", "TrainingStopped"]
