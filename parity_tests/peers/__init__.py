"""Recordings of published RetinaNets: each made by the package itself, in an environment of its own."""
