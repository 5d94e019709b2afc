"""Settings of ``rules.toml``: the clinical thresholds that a department may set, each named as in ``Rules``."""

import dataclasses
from typing import TYPE_CHECKING, get_type_hints

from pydantic import create_model

from pipeline.clinical.rules import Rules
from pipeline.edge.configuration.section import Section

if TYPE_CHECKING:

    class RulesSettings(Section):
        """``rules.toml``: one key for each field of ``Rules``, with the same default."""

else:
    _HINTS = get_type_hints(Rules)
    RulesSettings = create_model(
        "RulesSettings",
        __base__=Section,
        **{field.name: (_HINTS[field.name], field.default) for field in dataclasses.fields(Rules)},
    )
