"""Detectors that are loaded from the files of published RetinaNets, against what those answered."""
