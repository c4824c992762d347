"""Write numbers as people read them: the same on the page, in the deck, in findings."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

# Stands where there is no number.
NOTHING = "\u2013"
_SCALES = ((1e9, "billion"), (1e6, "million"))
# Symbols that are written before the number; other currencies are written as codes.
_SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$", "JPY": "¥", "INR": "₹"}


@dataclass(frozen=True)
class Currency:
    """How amounts are written.

    Parameters
    ----------
    code : str or None
        An ISO 4217 code such as ``GBP``, or any text; none where it is not known.

    Examples
    --------
    >>> Currency("GBP").amount(9_799_315.93)
    '£9.80 million'
    >>> Currency(None).amount(497.3)
    '497.30'
    >>> Currency("SEK").amount(-12_000)
    '-SEK 12,000'
    """

    code: str | None = None

    @property
    def prefix(self) -> str:
        """What stands before an amount."""
        if not self.code:
            return ""
        return _SYMBOLS.get(self.code.upper(), f"{self.code} ")

    def amount(self, value: float | None) -> str:
        """Write an amount of money in as many digits as are looked at.

        Parameters
        ----------
        value : float or None
            The amount; none where the data are too thin for it.

        Returns
        -------
        str
            Millions with two decimals, thousands without, small amounts with pennies;
            a dash for none.
        """
        if value is None:
            return NOTHING
        sign = "-" if value < 0 else ""
        size = abs(float(value))
        # What rounds to the next scale is written in it.
        for scale, name in _SCALES:
            if round(size / scale, 2) >= 1:
                return f"{sign}{self.prefix}{size / scale:,.2f} {name}"
        if round(size, 2) >= 1_000:
            return f"{sign}{self.prefix}{size:,.0f}"
        return f"{sign}{self.prefix}{size:,.2f}"

    def figure(self, row: Mapping[str, Any]) -> str:
        """Write a headline figure by its unit.

        Parameters
        ----------
        row : mapping
            A row of ``rpt_headline_figures``.

        Returns
        -------
        str
            An amount, a count or a percentage.
        """
        write = {"amount": self.amount, "count": count, "share": share}
        return write[row["figure_unit"]](row["figure_value"])


def count(value: float | None) -> str:
    """Write a number of things.

    Examples
    --------
    >>> count(541909)
    '541,909'
    """
    return NOTHING if value is None else f"{value:,.0f}"


def share(value: float | None) -> str:
    """Write a share as a percentage.

    A share that is neither nothing nor everything is never written as if it were.

    Examples
    --------
    >>> share(0.2349), share(0.0001), share(0.99996), share(0)
    ('23.5%', 'under 0.1%', 'over 99.9%', '0.0%')
    """
    if value is None:
        return NOTHING
    if 0 < value < 0.0005:
        return "under 0.1%"
    if 0.9995 < value < 1:
        return "over 99.9%"
    return f"{value:.1%}"


def decimal(value: float | None, digits: int = 2) -> str:
    """Write a measure without a unit.

    Examples
    --------
    >>> decimal(0.3186)
    '0.32'
    """
    return NOTHING if value is None else f"{value:,.{digits}f}"


def day(value: date | None) -> str:
    """Write a date.

    Examples
    --------
    >>> day(date(2011, 12, 9))
    '9 December 2011'
    """
    return NOTHING if value is None else f"{value.day} {value:%B %Y}"


def month(value: date | None) -> str:
    """Write a month.

    Examples
    --------
    >>> month(date(2011, 12, 1))
    'Dec 2011'
    """
    return NOTHING if value is None else f"{value:%b %Y}"


def shorten(text: str, length: int = 40) -> str:
    """Cut a long name, and say so by an ellipsis.

    Examples
    --------
    >>> shorten("WHITE HANGING HEART T-LIGHT HOLDER", 16)
    'WHITE HANGING H…'
    """
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def plural(value: float, noun: str, nouns: str | None = None) -> str:
    """Write a count and what is counted.

    Examples
    --------
    >>> plural(1, "customer"), plural(3, "country", "countries")
    ('1 customer', '3 countries')
    """
    return f"{count(value)} {noun if value == 1 else nouns or noun + 's'}"
