"""Wording of the addendum: every sentence, by section, each with its rule."""
