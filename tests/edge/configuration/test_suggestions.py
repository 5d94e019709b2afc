"""A misspelt key, file or variable of the configuration is reported with the one that was meant."""

from pathlib import Path

import pytest

from pipeline.edge.configuration.loading import SettingsError, load_configuration


@pytest.mark.parametrize(
    ("file", "text", "error"),
    [
        (
            "service",
            "[listner]\nport = 104",
            "service.toml, line 1: listner: there is no such key; did you mean 'listener'?",
        ),
        (
            "service",
            "[listener]\nprot = 104",
            "service.toml, line 2: listener.prot: there is no such key; did you mean 'port'?",
        ),
        (
            "service",
            '[[listener.caller]]\nae_title = "CT1"\nserial_number = ["1"]',
            "service.toml, line 3: listener.caller.serial_number: there is no such key; did you mean 'serial_numbers'?",
        ),
        (
            "service",
            '[listener.tls]\ncertificate = "a"\nkey = "b"\nca = "c"\nkeys = "d"',
            "service.toml, line 5: listener.tls.keys: there is no such key; did you mean 'key'?",
        ),
        ("rules", "xyzzy = 1", "rules.toml, line 1: xyzzy: there is no such key"),
        ("servce", "", "servce.toml: no part of the configuration has this name; did you mean 'service'?"),
    ],
)
def test_an_unknown_key_or_file_is_reported_with_the_most_similar_known_one(
    tmp_path: Path, file: str, text: str, error: str
) -> None:
    (tmp_path / f"{file}.toml").write_text(text)
    with pytest.raises(SettingsError) as refused:
        load_configuration(tmp_path)
    assert error in refused.value.mistakes


def test_a_misspelt_variable_is_reported_with_the_part_that_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DXATREND_SERVIC__LISTENER__PORT", "104")
    with pytest.raises(SettingsError, match=r"is called 'servic'; did you mean 'service'"):
        load_configuration(tmp_path)
