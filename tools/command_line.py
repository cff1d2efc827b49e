"""Command lines made from configuration dataclasses, and errors turned into sentences."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import difflib
import logging
import os
import shlex
import signal
import sys
import tempfile
import types
import typing
from collections.abc import Callable

from tools.options import flag_of

__all__ = [
    "EXIT_BAD_INPUT",
    "EXIT_INTERRUPTED",
    "EXIT_TERMINATED",
    "config_from",
    "config_parser",
    "make_parser",
    "quiet_start",
    "run_script",
]

_BACKENDS = ("tensorflow", "jax", "torch")
_NO_BACKEND = (
    "Keras finds no backend: install one with pip install -e '.[cpu]' (TensorFlow; '.[cuda]' for a "
    "GPU, or '.[jax]' with KERAS_BACKEND=jax)"
)
EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_TERMINATED = 2, 130, 143


class _Parser(argparse.ArgumentParser):
    """A parser that names the nearest known option when it meets an unknown one."""

    def error(self, message: str) -> typing.NoReturn:
        words = message.removeprefix("unrecognized arguments: ").split()
        known = [text for action in self._actions for text in action.option_strings]
        if message.startswith("unrecognized") and words:
            near = difflib.get_close_matches(words[0].split("=")[0], known, n=1)
            message += f" (did you mean {near[0]}?)" if near else ""
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: {message}\nSee {self.prog} --help.\n")


def make_parser(description: str) -> argparse.ArgumentParser:
    """Make an empty parser that shows defaults and suggests the nearest known option."""
    return _Parser(
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )


def config_parser(config_class: type, description: str) -> argparse.ArgumentParser:
    """Make a parser with one option for each field of a configuration dataclass.

    ``batch_size: int`` becomes ``--batch-size N``; a boolean becomes a switch (``--name``, and
    ``--no-name`` where it is on by default); a tuple takes several values.
    """
    parser = make_parser(description)
    hints = typing.get_type_hints(config_class)
    for field in dataclasses.fields(config_class):
        name = flag_of(field.name)
        text, choices = field.metadata.get("help", ""), field.metadata.get("choices")
        text = text.replace("%", "%%")  # argparse formats help texts
        kind = hints[field.name]
        if kind is bool:
            action = argparse.BooleanOptionalAction if field.default else "store_true"
            parser.add_argument(name, action=action, default=field.default, help=text)
            continue
        several = typing.get_origin(kind) is tuple
        kind = typing.get_args(kind)[0] if several else _plain(kind)
        parser.add_argument(
            name,
            type=kind,
            nargs="*" if several else None,
            choices=choices,
            default=field.default,
            help=text or " ",
            metavar=None if choices else kind.__name__.upper(),
        )
    return parser


def config_from(config_class: type, arguments: argparse.Namespace) -> typing.Any:
    """Make the configuration from parsed arguments; its ``__post_init__`` checks the values."""
    values = {}
    for field in dataclasses.fields(config_class):
        value = getattr(arguments, field.name)
        values[field.name] = tuple(value) if isinstance(value, list) else value
    return config_class(**values)


def run_script(main: Callable[[], int | None], *, resumes: bool = True) -> typing.NoReturn:
    """Run a script's ``main`` and leave with its status; an expected error becomes a sentence.

    ValueError, OSError and their kin tell what was wrong with the input; anything else is a defect
    and keeps its traceback.

    Parameters
    ----------
    main : callable
    resumes : bool
        Whether a stopped script goes on where it was when it is given again.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        status = main() or 0
    except KeyboardInterrupt as stop:
        status = EXIT_TERMINATED if isinstance(stop, _Terminated) else EXIT_INTERRUPTED
        command = f"  python {shlex.join(sys.argv)}"
        text = "Stopped; what was finished is saved. To go on, give the same command again:"
        if not resumes:
            text = "Stopped; nothing new was written. To begin again:"
        print(f"{text}\n{command}", file=sys.stderr)
    except BrokenPipeError:
        status = EXIT_INTERRUPTED
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _BACKENDS:
            raise
        print(f"error: {_NO_BACKEND}", file=sys.stderr)
        status = EXIT_BAD_INPUT
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        status = EXIT_BAD_INPUT
    finally:
        signal.signal(signal.SIGTERM, before)
    sys.exit(status)


@contextlib.contextmanager
def quiet_start() -> typing.Iterator[None]:
    """Hold back what compiled libraries write to stderr while they are imported.

    TensorFlow reports its processor options on each start, before any log level counts. If the
    import fails, everything that was held back is shown.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held, contextlib.ExitStack() as stack:
        kept = os.dup(2)
        stack.callback(os.close, kept)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except KeyboardInterrupt:
            os.dup2(kept, 2)
            raise
        except BaseException:
            os.dup2(kept, 2)
            held.seek(0)
            sys.stderr.write(held.read().decode(errors="replace"))
            raise
        os.dup2(kept, 2)


class _Terminated(KeyboardInterrupt):
    """SIGTERM came: leave as after Ctrl-C."""


def _terminate(signal_number: int, frame: object) -> None:
    raise _Terminated


def _plain(kind: typing.Any) -> type:
    """Return the type behind ``X | None``."""
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return next(k for k in typing.get_args(kind) if k is not type(None))
    return kind
