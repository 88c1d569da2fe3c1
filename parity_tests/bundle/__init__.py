"""One side's half of a run, recorded to a folder, and checked against the other side where this one is not installed.

The rungs are climbed as ever. When recording, the side's answers are written down case by case; when checking, a side
that has these answers stands in its place. Needs numpy and safetensors; the side itself is given from outside.
"""
