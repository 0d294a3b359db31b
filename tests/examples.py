"""How many examples a property draws: --hypothesis-profile=thorough is ten times as many, fast a tenth."""

from hypothesis import settings

USUAL = 100
"""What hypothesis draws where nothing is said."""

settings.register_profile("fast", max_examples=USUAL // 10)
settings.register_profile("thorough", max_examples=USUAL * 10)


def scaled(usual: int) -> int:
    """So many in the usual run, and more or fewer by the profile; at least one."""
    return max(1, usual * settings().max_examples // USUAL)
