"""One side's half of a run, recorded to a folder, and checked against the other side where this one is not installed.

Recording stores the reference's answers, case by case; checking loads them. Needs numpy and safetensors; the sides
themselves are given from outside.
"""
