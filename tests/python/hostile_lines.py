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
    return own + shared + returned


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
