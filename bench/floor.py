"""The floor: the work of the project as one bare DuckDB script on a file database.

A yardstick for speed, not a design: no hashed keys, no table of rejected lines, no
control totals, no customer and product tables, no contracts, no tests. It
de-duplicates, classifies, allocates returns, nets orders, measures and scores RFM,
follows cohorts, adds up months, counts pairs of products, and writes K-Means labels
back as a table. Orders, returns and RFM are those of the marts.

Usage: ``python bench/floor.py LINES.parquet``, with the columns of Online Retail.
Prints the seconds of each step (``bench/run.py`` measures whole processes, the start
of Python included), the peak memory, and as JSON the figures of `FIGURES`.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import numpy as np
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

CODES = Path(__file__).parents[1] / "seeds" / "non_product_codes.csv"

STEPS = {
    "deduplicate": """
        create table lines as
        select
            upper(trim(InvoiceNo)) as invoice, upper(trim(StockCode)) as code,
            trim(Description) as description, trim(Country) as country,
            Quantity as quantity, InvoiceDate as moment,
            cast(UnitPrice as decimal(18, 4)) as price, CustomerID as customer,
            count(*) as copies
        from '{lines}' group by all""",
    "classify": """
        create table classified as
        select
            *, row_number() over () as id,
            cast(quantity * price as decimal(18, 4)) as amount,
            case
                when invoice like 'A%' then 'bad debt'
                when price <= 0 then 'price'
                when quantity = 0 then 'quantity'
                when invoice like 'C%' and quantity > 0 then 'quantity'
                when code in (select stock_code from '{codes}') then 'non-product'
                when quantity < 0 then 'return'
                else 'purchase'
            end as kind
        from lines""",
    "allocate returns": """
        create table allocations as
        with events as (
            select
                id, customer, code, quantity, price,
                row_number() over (
                    partition by customer, code order by moment, quantity < 0, id
                ) as event
            from classified
            where
                kind in ('purchase', 'return')
                and (customer, code) in (
                    select (customer, code) from classified where kind = 'return'
                )),
        running as (
            select
                *, sum(greatest(quantity, 0)) over so_far as bought,
                sum(greatest(-quantity, 0)) over so_far as returned
            from events
            window so_far as (partition by customer, code order by event)),
        matched as (
            select
                *, returned - greatest(0, max(returned - bought) over (
                    partition by customer, code order by event
                )) as upto
            from running),
        spans as (
            select
                *, lag(upto, 1, 0) over (
                    partition by customer, code order by event
                ) as since
            from matched)
        select
            back.id as return_id, bought.id as purchase_id,
            least(back.upto, bought.bought)
            - greatest(back.since, bought.bought - bought.quantity) as units,
            units * back.price as amount
        from spans as back
        inner join spans as bought
            on back.customer = bought.customer and back.code = bought.code
            and back.quantity < 0 and bought.quantity > 0
            and bought.bought - bought.quantity < back.upto
            and bought.bought > back.since and back.upto > back.since""",
    "orders": """
        create table orders as
        with returned as (
            select purchase_id as id, sum(units) as units, sum(amount) as amount
            from allocations group by all)
        select
            invoice, customer, min(moment) as moment, count(*) as line_count,
            sum(quantity) as units, sum(classified.amount) as gross,
            sum(quantity - coalesce(returned.units, 0)) as kept_units,
            sum(classified.amount - coalesce(returned.amount, 0)) as net
        from classified left join returned using (id)
        where kind = 'purchase' group by all""",
    "rfm": """
        create table rfm as
        with as_of as (select cast(max(moment) as date) + 1 as as_of from lines)
        select
            customer, any_value(as_of) - cast(max(moment) as date) as recency,
            count(*) as frequency, sum(net) as monetary
        from orders cross join as_of
        where customer is not null and kept_units > 0
        group by customer having sum(net) > 0""",
    "scores": """
        create table scores as
        select
            *,
            least(5, 1 + floor(5 * percent_rank() over (order by recency desc))) as r,
            least(5, 1 + floor(5 * percent_rank() over (order by frequency))) as f,
            least(5, 1 + floor(5 * percent_rank() over (order by monetary))) as m
        from rfm""",
    "cohorts": """
        create table cohorts as
        with firsts as (
            select customer, min(moment) as first_at
            from orders where kept_units > 0 group by customer)
        select
            date_trunc('month', first_at) as cohort,
            date_diff(
                'month', date_trunc('month', first_at), date_trunc('month', moment)
            ) as age,
            count(distinct customer) as customers, sum(net) as net
        from orders inner join firsts using (customer)
        where kept_units > 0 group by all""",
    "months": """
        create table months as
        select date_trunc('month', moment) as month, country, sum(amount) as amount
        from classified where kind in ('purchase', 'return') group by all""",
    "basket items": """
        create table items as
        select distinct invoice, code from classified
        where kind = 'purchase' and customer is not null""",
    "pairs": """
        create table pairs as
        with frequent as (
            select code from items group by code
            having count(*) >= (select 0.01 * count(distinct invoice) from items)),
        kept as (select invoice, code from items where code in (from frequent))
        select one.code as left_code, two.code as right_code, count(*) as baskets
        from kept as one
        inner join kept as two on one.invoice = two.invoice and one.code < two.code
        group by all""",
}

FIGURES = """
    select
        (select count(*) from orders), (select sum(units) from allocations),
        count(*), sum(monetary),
        (select sum(customers) from cohorts), (select sum(amount) from months),
        (
            select count(*) from pairs
            where baskets >= (select 0.01 * count(distinct invoice) from items)
        )
    from labels"""


def run_sql(con: duckdb.DuckDBPyConnection, lines: str) -> None:
    """Run the steps in order and print the seconds of each."""
    for name, sql in STEPS.items():
        since = time.perf_counter()
        con.execute(sql.format(lines=lines, codes=CODES))
        print_seconds(name, since)


def label_customers(con: duckdb.DuckDBPyConnection) -> None:
    """Cluster the customers and write their labels back as a table."""
    since = time.perf_counter()
    customers = con.sql("from scores order by customer").df()
    measures = customers[["recency", "frequency", "monetary"]].astype(float)
    features = StandardScaler().fit_transform(np.log1p(measures))
    # As in the project: more threads only wait for each other on so few customers.
    with threadpool_limits(limits=1):
        kmeans = KMeans(4, n_init=10, random_state=42)
        customers["label"] = kmeans.fit_predict(features)
    con.execute("create table labels as from customers")
    print_seconds("k-means", since)


def print_seconds(name: str, since: float) -> None:
    """Print how long a step took."""
    print(f"{name:<18}{time.perf_counter() - since:8.2f} s", flush=True)


def main(lines: str) -> None:
    """Run everything on a database that is thrown away."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        con = duckdb.connect(str(Path(folder) / "floor.duckdb"))
        con.execute("set preserve_insertion_order = false")
        run_sql(con, lines)
        label_customers(con)
        figures = con.execute(FIGURES).fetchall()[0]
        con.close()
    print_seconds("total", start)
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:,} MB")
    print(json.dumps([float(figure or 0) for figure in figures]))


if __name__ == "__main__":
    main(sys.argv[1])
