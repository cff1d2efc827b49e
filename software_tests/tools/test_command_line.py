"""Command lines follow their configuration and answer mistakes with sentences."""

import signal
from dataclasses import dataclass

import pytest

from tools.command_line import config_from, config_parser, run_script
from tools.options import option


@dataclass(frozen=True)
class Config:
    batch_size: int = option(32, "samples per step")
    years: tuple[int, ...] = option((), "years")
    scale: str = option("true", "scale", choices=("true", "operational"))
    new_run: bool = option(False, "start again")


def parse(*arguments):
    return config_from(Config, config_parser(Config, "test").parse_args(arguments))


def test_fields_become_options():
    assert parse() == Config()
    made = parse("--batch-size", "8", "--years", "2001", "2005", "--new-run")
    assert made == Config(8, (2001, 2005), "true", True)


def test_an_unknown_option_names_the_nearest(capsys):
    with pytest.raises(SystemExit) as stop:
        parse("--batchsize", "8")
    assert stop.value.code == 2
    assert "did you mean --batch-size?" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("--batch-size", "many"), ("--scale", "linear")])
def test_wrong_values_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        parse(*arguments)
    assert stop.value.code == 2
    assert arguments[1] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("too short"), 2), (OSError("no"), 2), (KeyboardInterrupt(), 130)],
)
def test_expected_errors_become_sentences(error, status, capsys):
    def main():
        raise error

    with pytest.raises(SystemExit) as stop:
        run_script(main)
    assert stop.value.code == status
    assert "Traceback" not in capsys.readouterr().err


def test_defects_keep_their_traceback():
    def main():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_script(main)


def test_sigterm_leaves_with_a_sentence_and_the_command(capsys):
    def main():
        signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop:
        run_script(main)
    assert stop.value.code == 143
    assert "give the same command again" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == before
