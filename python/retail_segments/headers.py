"""Find the attributes of an invoice line among a file's headers."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

import yaml

from retail_segments.landing import ATTRIBUTES, LoadError, OptionError

# Both editions of the Online Retail data set and our own names, in plain form.
_KNOWN_HEADERS: Mapping[str, tuple[str, ...]] = {
    "invoice_no": ("invoiceno", "invoice", "invoicenumber"),
    "stock_code": ("stockcode",),
    "description": ("description",),
    "quantity": ("quantity",),
    "invoice_date": ("invoicedate", "invoicedat"),
    "unit_price": ("unitprice", "price"),
    "customer_id": ("customerid",),
    "country": ("country", "countryname"),
    "currency": ("currency",),
    "store": ("store",),
}
_ATTRIBUTE_OF = {
    header: attribute
    for attribute, headers in _KNOWN_HEADERS.items()
    for header in headers
}
_OPTIONAL = frozenset({"description", "currency", "store"})
# Of a file's headers, so many are shown, and so much of each.
_SHOWN_HEADERS = 40
_SHOWN_LETTERS = 60


def find_attributes(
    headers: Sequence[str], mapping: Mapping[str, str]
) -> dict[str, list[int]]:
    """Find every header that may hold an attribute.

    A header the user named for an attribute stands alone: other headers that look like
    the attribute are ignored, and it is not taken for another attribute.

    Parameters
    ----------
    headers : sequence of str
        The file's headers.
    mapping : mapping of str to str
        The user's own header for some attributes.

    Returns
    -------
    dict of str to list of int
        Attribute and the positions of the headers that match it.

    Examples
    --------
    >>> find_attributes(["Invoice", "Preis", "price"], {"unit_price": "Preis"})
    {'unit_price': [1], 'invoice_no': [0]}
    """
    found: dict[str, list[int]] = {}
    named: set[int] = set()
    for attribute, header in mapping.items():
        exact = [i for i, name in enumerate(headers) if name == header]
        alike = [i for i, name in enumerate(headers) if _plain(name) == _plain(header)]
        if exact or alike:
            found[attribute] = exact or alike
            named.update(found[attribute])
    for position, name in enumerate(headers):
        known = _ATTRIBUTE_OF.get(_plain(name))
        if known is not None and known not in mapping and position not in named:
            found.setdefault(known, []).append(position)
    return found


def resolve_columns(
    headers: Sequence[str], mapping: Mapping[str, str], where: str
) -> dict[str, int]:
    """Decide which column holds which attribute.

    Parameters
    ----------
    headers : sequence of str
        The file's headers.
    mapping : mapping of str to str
        The user's own header for some attributes.
    where : str
        The file, and the sheet if there are several, for messages.

    Returns
    -------
    dict of str to int
        Attribute and the position of its column.

    Raises
    ------
    LoadError
        If a header the user named is not there, two headers match one attribute, or a
        needed attribute has no column.
    """
    found = find_attributes(headers, mapping)
    for attribute, header in mapping.items():
        if attribute not in found:
            raise LoadError(_missing_header(attribute, header, headers, where))
    for attribute, positions in found.items():
        if len(positions) > 1:
            raise LoadError(
                f"{where} has more than one column for {attribute}: "
                f"{_listed(headers[i] for i in positions)}. Name the one to read with "
                f"--column {attribute}=HEADER, or rename the other."
            )
    missing = [
        name for name in ATTRIBUTES if name not in found and name not in _OPTIONAL
    ]
    if missing:
        raise LoadError(_missing_columns(missing, headers, where))
    return {attribute: positions[0] for attribute, positions in found.items()}


def check_mapping(mapping: Mapping[str, str]) -> None:
    """Refuse a mapping that names an attribute we do not know, or a header twice.

    Parameters
    ----------
    mapping : mapping of str to str
        The user's own header for some attributes.

    Raises
    ------
    OptionError
        If an attribute is unknown, or two attributes name the same header.
    """
    attribute_of: dict[str, str] = {}
    for attribute, header in mapping.items():
        if attribute not in ATTRIBUTES:
            raise OptionError(
                f"There is no attribute {_short(attribute)!r} to map a column to."
                f"{_suggestion(attribute, ATTRIBUTES)} "
                f"The attributes are {_listed(ATTRIBUTES)}."
            )
        other = attribute_of.setdefault(header, attribute)
        if other != attribute:
            raise OptionError(
                f"The column {_short(header)!r} is mapped to both {other} and "
                f"{attribute}. Map it to one of them."
            )


def parse_column_options(options: Iterable[str]) -> dict[str, str]:
    """Read ``ATTRIBUTE=HEADER`` options.

    Parameters
    ----------
    options : iterable of str
        One option per attribute.

    Returns
    -------
    dict of str to str
        Attribute and header.

    Raises
    ------
    OptionError
        If an option has no ``=``, lacks a side, or names an attribute again.

    Examples
    --------
    >>> parse_column_options(["unit_price=Preis"])
    {'unit_price': 'Preis'}
    """
    mapping: dict[str, str] = {}
    for option in options:
        attribute, equals, header = option.partition("=")
        if not (attribute and equals and header):
            raise OptionError(
                f"--column {_short(option)} is not of the form ATTRIBUTE=HEADER, "
                "such as --column unit_price=Preis."
            )
        if attribute in mapping:
            raise OptionError(f"--column names {attribute} twice. Name it once.")
        mapping[attribute] = header
    return mapping


def read_columns_file(path: Path) -> dict[str, str]:
    """Read a file that maps attributes to a user's own headers.

    Parameters
    ----------
    path : Path
        YAML such as ``columns: {invoice_no: Rechnung, unit_price: Preis}``.

    Returns
    -------
    dict of str to str
        Attribute and header.

    Raises
    ------
    OptionError
        If the file is absent or of another form.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"Cannot read {path}: {error.strerror}.") from error
    # A date or a number that is none is a ValueError; brackets may be nested too deep.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise OptionError(f"{path} is not YAML: {reason}.") from error
    columns = content.get("columns") if isinstance(content, dict) else None
    if not isinstance(columns, dict) or not all(
        isinstance(text, str) for pair in columns.items() for text in pair
    ):
        raise OptionError(
            f"{path} does not map attributes to headers. It should read, for example, "
            "columns: {invoice_no: Rechnung, unit_price: Preis}."
        )
    return columns


def _plain(header: str) -> str:
    """Strip a header of what differs between spellings of the same name."""
    return "".join(letter for letter in header.casefold() if letter.isalnum())


def _missing_header(
    attribute: str, header: str, headers: Sequence[str], where: str
) -> str:
    return (
        f"{where} has no column {_short(header)!r}, which is mapped to {attribute}."
        f"{_suggestion(header, headers)} Its columns are {_listed(headers)}."
    )


def _missing_columns(missing: Sequence[str], headers: Sequence[str], where: str) -> str:
    example = ", ".join(f"{attribute}: HEADER" for attribute in missing)
    return (
        f"{where} has no column for {_listed(missing)}; its columns are "
        f"{_listed(headers)}. If it names them otherwise, say so in columns.yml, "
        f"columns: {{{example}}}, or with --column {missing[0]}=HEADER. "
        "Only description, currency and store may be absent."
    )


def _suggestion(name: str, names: Iterable[str]) -> str:
    short = [_short(text) for text in islice(names, 1_000) if text]
    close = difflib.get_close_matches(_short(name), short, n=3)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def _listed(names: Iterable[str]) -> str:
    texts = [_short(name) or "(blank)" for name in names]
    more = len(texts) - _SHOWN_HEADERS
    return ", ".join(texts[:_SHOWN_HEADERS]) + f" and {more:,} more" * (more > 0)


def _short(name: str) -> str:
    return name[:_SHOWN_LETTERS] + "..." * (len(name) > _SHOWN_LETTERS)
