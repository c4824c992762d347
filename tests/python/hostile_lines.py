"""A shop of three customers whose every text is an attack, or a nuisance."""

import datetime
from decimal import Decimal

NAMES = [
    "<img src=x onerror=\"document.title='taken'\">",
    "</script><script>document.title='taken'</script>",
    '=HYPERLINK("http://example.com","click")',
    "{{ 7 * 7 }} {% raw %} ${document.title='taken'}",
    "<a href=\"javascript:document.title='taken'\">mug</a>",
    "\u202e\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "W" * 500,
    "&lt;b&gt; &amp; 'quotes' \"both\"",
]
CUSTOMER = "Kunde-"
# What guests' invoices and products are called.
IDS = [
    "5' or '1'='1",
    '6"; drop table marts.dim_customers; --',
    "7\n8\r\n9",
    "8{{ 7 * 7 }}{% do x %}",
    "9\x00\x1b[2J",
    "../../etc/passwd",
    "$(touch CANARY)`x`",
    "\u202e\u200b\ufeff",
    "%s%n\\",
    "N" * 5_000,
]
# At and beyond what is read, and why it is set aside, if it is.
LIMITS = [
    {"quantity": 2**31 - 1, "unit_price": Decimal("4.6566"), "reason": None},
    {"quantity": 1, "unit_price": Decimal("9999999999.9999"), "reason": None},
    {"quantity": 1, "unit_price": Decimal("0.0001"), "reason": None},
    {
        "quantity": 2**31 - 1,
        "unit_price": Decimal("9999999999.9999"),
        "reason": "amount_out_of_range",
    },
    {
        "quantity": 10**6,
        "unit_price": Decimal(10**4),
        "reason": "amount_out_of_range",
    },
    {"quantity": 2**63 - 1, "reason": "unreadable_quantity"},
    {"quantity": -(2**31), "reason": "unreadable_quantity"},
    {"unit_price": Decimal(10**10), "reason": "unreadable_unit_price"},
    {"unit_price": Decimal("-0.0"), "reason": "non_positive_price"},
    {"quantity": 0, "reason": "zero_quantity"},
    {
        "invoice_date": datetime.datetime(1899, 12, 31),
        "reason": "unreadable_invoice_date",
    },
    {
        "invoice_date": datetime.datetime(9999, 12, 31, 23, 59, 59),
        "reason": "unreadable_invoice_date",
    },
]


def hostile_lines():
    """Let three customers buy what is named so, and two of them share a number."""
    own = [
        _line(f"{100 + 10 * customer + week}", customer, week, place, name)
        for customer in range(1, 4)
        for week in range(3)
        for place, name in enumerate(NAMES)
    ]
    # A number that two customers share makes two orders, named after them.
    shared = [_line("999", customer, 3, 0, NAMES[0]) for customer in (1, 2)]
    returned = [
        {**line, "invoice_no": f"C{line['invoice_no']}", "quantity": -line["quantity"]}
        for line in own[:3]
    ]
    return own + shared + returned + _extremes()


def without_reason(line):
    return {name: value for name, value in line.items() if name != "reason"}


def _extremes():
    """Let guests buy under ids that are attacks, and at the limits of what fits."""
    guest = {**_line("1", 1, 1, 0, NAMES[0]), "customer_id": None}
    ids = [{**guest, "invoice_no": text} for text in IDS]
    # Set aside, so that they make no products.
    ids += [{**guest, "stock_code": text, "quantity": 0} for text in IDS]
    limits = [
        {**guest, "invoice_no": f"LIMIT{place}", **without_reason(line)}
        for place, line in enumerate(LIMITS)
    ]
    return ids + limits


def _line(number, customer, week, place, name):
    return {
        "invoice_no": number,
        "stock_code": f"{10000 + place}",
        "description": name,
        "quantity": 1 + place,
        "invoice_date": datetime.datetime(2011, 1, 3, 10, 0)
        + datetime.timedelta(days=31 * week + customer),
        "unit_price": Decimal("2.50"),
        "customer_id": f"{CUSTOMER}{customer}<b>",
        "country": "=1+1|<i>Italy</i>",
    }
