"""Recognise the colours and sizes of one product."""

from collections.abc import Collection

_STEM_LENGTH = 5


def are_variants(
    codes: tuple[str, str], names: tuple[str, str], *, variant_words: Collection[str]
) -> bool:
    """Say whether two stock codes are one product in another colour or size.

    They are where both begin with the same five digits, or where their names are equal
    but for words of colour and size, as the names of duplicates are.

    Parameters
    ----------
    codes : pair of str
        Stock codes.
    names : pair of str
        Product names.
    variant_words : collection of str
        Words of colour and size, upper case.

    Returns
    -------
    bool
        True for variants.

    Examples
    --------
    >>> words = {"RED", "PINK"}
    >>> are_variants(("85099B", "85099F"), ("BAG", "OWL BAG"), variant_words=words)
    True
    >>> are_variants(("1", "2"), ("RED CUP", "Pink  cup"), variant_words=words)
    True
    >>> are_variants(("1", "2"), ("RED CUP", "RED BOWL"), variant_words=words)
    False
    """
    stems = [code[:_STEM_LENGTH] for code in codes]
    if stems[0] == stems[1] and len(stems[0]) == _STEM_LENGTH and stems[0].isdigit():
        return True
    bases = [
        [word for word in name.upper().split() if word not in variant_words]
        for name in names
    ]
    # A name of nothing but colours, or the code itself for want of one, says nothing.
    return bool(bases[0]) and bases[0] == bases[1]
