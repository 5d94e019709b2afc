"""Reprocess history: examine again every exam whose addendum rests on changed inputs."""
