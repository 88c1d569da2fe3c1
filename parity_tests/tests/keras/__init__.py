"""Tests of `keras_reference`."""
