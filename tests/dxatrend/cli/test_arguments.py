"""Every command explains itself with an example that works, and a misspelt one is named."""

import argparse
import inspect
import re
import shlex
import subprocess
import sys
from importlib import import_module

import pytest

from dxatrend.cli.arguments import COMMANDS, build_parser, parse
from dxatrend.cli.command_arguments import ARGUMENTS
from dxatrend.cli.main import main
from tests.folders import ROOT


def _help(*command: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "dxatrend", *command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def test_help_lists_every_command_with_its_summary() -> None:
    listed = " ".join(_help().split())
    for name, command in COMMANDS.items():
        assert f" {name} {command.summary}" in listed


def test_only_commands_have_arguments() -> None:
    assert ARGUMENTS.keys() <= COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_has_an_example_that_the_parser_accepts(name: str) -> None:
    (commands,) = (one for one in build_parser()._actions if isinstance(one, argparse._SubParsersAction))
    _, _, examples = commands.choices[name].format_help().partition("\nexample")
    lines = re.findall(r"^  (dxatrend .+)$", examples, re.MULTILINE)
    assert lines == list(COMMANDS[name].examples)
    for line in lines:
        program, *arguments = shlex.split(line)
        assert program == "dxatrend"
        assert name in arguments
        parse(arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_names_a_function_that_takes_its_options(name: str) -> None:
    for example in COMMANDS[name].examples:
        module, _, function = parse(shlex.split(example)[1:]).run.partition(":")
        run = getattr(import_module(f"dxatrend.cli.{module}"), function)
        (options,) = inspect.signature(run).parameters.values()
        assert options.annotation is argparse.Namespace


@pytest.mark.parametrize(
    ("typed", "meant"), [(["stauts"], "status"), (["reproces"], "reprocess"), (["context", "laod"], "load")]
)
def test_a_misspelt_command_is_answered_with_the_one_that_was_meant(
    typed: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(typed)
    assert ended.value.code == 2
    assert f"unknown command '{typed[-1]}'; did you mean '{meant}'?" in capsys.readouterr().err


def test_what_resembles_no_command_is_answered_with_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["xyzzy"])
    assert f"choose from {', '.join(COMMANDS)}" in capsys.readouterr().err
