"""Runtimes that detect, one file each; `registry` lists them, `choice` takes the fastest by measurement."""
