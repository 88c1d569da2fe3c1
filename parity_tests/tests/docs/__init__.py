"""Tests of what the documents show, of what is packaged, and of the rooms."""
