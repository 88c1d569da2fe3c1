"""Damage to files, drawn by a seed: what happens to data sets on disks, in editors, and in scripts."""

import random
import re
from collections.abc import Callable

Damage = Callable[[bytes, random.Random], bytes]

NUMBER = re.compile(rb"-?\d+(\.\d+)?")
WORD = re.compile(rb"[A-Za-z_]{2,}")

DEPTH = 3000
"""How deep brackets lie in one another: deeper than Python calls itself, and PyYAML's time grows with its square."""


def cut_off(content: bytes, draw: random.Random) -> bytes:
    """The end is missing."""
    return content[: draw.randrange(len(content))]


def flip_bits(content: bytes, draw: random.Random) -> bytes:
    """A bit of one to three bytes is another."""
    damaged = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def write_over(content: bytes, draw: random.Random) -> bytes:
    """Some bytes in a row are others."""
    start = draw.randrange(len(content))
    return content[:start] + draw.randbytes(draw.randint(1, 12)) + content[start + draw.randint(0, 12) :]


def lose_a_part(content: bytes, draw: random.Random) -> bytes:
    """Some bytes in a row are missing."""
    start = draw.randrange(len(content))
    return content[:start] + content[start + draw.randint(1, 40) :]


def repeat_a_part(content: bytes, draw: random.Random) -> bytes:
    """Some bytes in a row are there twice."""
    start = draw.randrange(len(content))
    return content[: start + draw.randint(1, 60)] + content[start:]


def zeros(content: bytes, draw: random.Random) -> bytes:
    """A part is zeros, as after a power cut."""
    start = draw.randrange(len(content))
    length = draw.randint(1, 64)
    return content[:start] + b"\0" * len(content[start : start + length]) + content[start + length :]


def empty(content: bytes, draw: random.Random) -> bytes:
    """Nothing is left, or white space."""
    return draw.choice([b"", b"\n", b" \t\r\n", b"\xef\xbb\xbf"])


def another_number(content: bytes, draw: random.Random) -> bytes:
    """A number is huge, none, or of another kind."""
    wrong = *(b"NaN", b"Infinity", b"-1e308", b"1e999", b"9" * 400), *(b"null", b'"12"', b"1_0", b"0x1F", b"-0", b"")
    return _replace(content, NUMBER, draw.choice(wrong), draw)


def another_word(content: bytes, draw: random.Random) -> bytes:
    """A word is another, or of another script, encoding or kind."""
    wrong = ["", "é", "犬", "\x1b[31m", "a,b", "<", '"', "../..", "/etc/passwd", "null", "x" * 5000]
    encoding = draw.choice(["utf-8", "latin-1", "utf-16-le"])
    return _replace(content, WORD, draw.choice(wrong).encode(encoding, errors="replace"), draw)


def swap_fields(content: bytes, draw: random.Random) -> bytes:
    """Two words or numbers are in each other's place."""
    found = [match.span() for match in re.finditer(rb"[\w.+-]+", content)]
    if len(found) < 2:
        return content
    (a, b), (c, d) = sorted(draw.sample(found, 2))
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def nest(content: bytes, draw: random.Random) -> bytes:
    """Brackets or elements lie in one another many times."""
    opened, closed = draw.choice([(b"[", b"]"), (b'{"a":', b"}"), (b"<object>", b"</object>")])
    if draw.random() < 0.5:
        return _replace(content, NUMBER, opened * DEPTH + b"0" + closed * DEPTH, draw)
    start = draw.randrange(len(content))
    return content[:start] + opened * DEPTH + content[start:]


def encode(content: bytes, draw: random.Random) -> bytes:
    """The whole is in another encoding, or has a mark in front."""
    encoding = draw.choice(["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp037", "utf-7"])
    return content.decode().encode(encoding)


def line_ends(content: bytes, draw: random.Random) -> bytes:
    """Lines end in another way."""
    return content.replace(b"\n", draw.choice([b"\r\n", b"\r", b"\n\n", b"\x0b", b"\xe2\x80\xa8"]))


DAMAGES: tuple[Damage, ...] = (
    *(cut_off, flip_bits, write_over, lose_a_part, repeat_a_part, zeros, empty),
    *(another_number, another_word, swap_fields, nest, encode, line_ends),
)

TO_BYTES: tuple[Damage, ...] = (cut_off, flip_bits, write_over, lose_a_part, repeat_a_part, zeros, empty)
"""Those that fall on any file."""


def _replace(content: bytes, pattern: re.Pattern[bytes], other: bytes, draw: random.Random) -> bytes:
    found = list(pattern.finditer(content))
    if not found:
        return content
    start, end = draw.choice(found).span()
    return content[:start] + other + content[end:]
