"""What the examples run on: demo lines of a shop that sold something yesterday."""

import duckdb
import pytest
from retail_segments.demo import write_demo

_RECENT = """
    copy (
        select
            * replace (
                "InvoiceDate" + to_days(
                    cast(current_date - 1 - max(cast("InvoiceDate" as date)) over ()
                    as integer)
                ) as "InvoiceDate"
            )
        from '{demo}'
    ) to '{lines}' (format parquet)
"""


@pytest.fixture(scope="session")
def inbox(tmp_path_factory):
    """One delivery, whose newest line is of yesterday."""
    folder = tmp_path_factory.mktemp("delivered")
    demo = write_demo(folder / "demo", customers=400)
    inbox = folder / "inbox"
    inbox.mkdir()
    lines = inbox / "lines.parquet"
    with duckdb.connect() as connection:
        connection.execute(_RECENT.format(demo=demo.lines, lines=lines))
    return inbox
