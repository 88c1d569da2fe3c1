"""Tests of the commands `retinanet` and `retinanet-parity`."""
