"""Numbers and the word for what they count."""


def counted(number: int, word: str) -> str:
    """Write `1 task`, `2 tasks`, `20,000 tasks`."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
