"""Tests of all three packages; they are not part of the wheel."""
