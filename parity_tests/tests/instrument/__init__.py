"""Tests of how the port is held against its reference, and of the reports."""
