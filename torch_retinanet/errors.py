"""What a user did wrong, said in one sentence, and the words that help."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

FEW = 4
"""Letters of a word from which on one that begins with them is meant."""


class InputError(ValueError):
    """Wrong input; the sentence names the argument, its value, and the rule."""


def suggestion(typed: str, known: Iterable[str]) -> str:
    """`; did you mean X?` for the nearest of the known words, or nothing; what begins so is near."""
    words, word = {word.lstrip("-"): word for word in known}, typed.lstrip("-")
    begun = [one for one in words if one.startswith(word)] if len(word) >= FEW else []
    return "".join(f"; did you mean {words[near]}?" for near in begun[:1] or get_close_matches(word, words, 1))


def install_hint(extra: str) -> str:
    """The command that installs an extra: from the clone that runs, or by the package's name."""
    is_clone = (Path(__file__).parents[1] / "pyproject.toml").is_file()
    return f"pip install '{'.' if is_clone else 'torch-retinanet'}[{extra}]'"
