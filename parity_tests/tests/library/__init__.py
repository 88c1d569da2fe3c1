"""Tests of what compares any two models, as a library and as a pytest plugin."""
