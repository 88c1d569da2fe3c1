"""How any model is run: torch modules, Keras models and functions, tapped at their modules. Needs numpy alone.

torch or Keras is loaded where a side of it is opened.
"""
