"""The notebook: the work of ``floor.py`` as analysts do it, in pandas and mlxtend.

A yardstick for speed, not a design. It de-duplicates, classifies, matches returns with
a queue per customer and product, nets orders, measures and scores RFM, follows cohorts,
adds up months, finds pairs of products, and writes K-Means labels to a file. It
finds what the floor finds, but for the rounding of floats.

Usage: ``python bench/notebook.py LINES.parquet``, with the columns of Online Retail.
Prints the seconds of each step (``bench/run.py`` measures whole processes, the start of
Python included), the peak memory, and as JSON the figures that ``floor.py`` prints.
"""

import json
import resource
import sys
import tempfile
import time
from collections import defaultdict, deque
from pathlib import Path

import numpy as np
import pandas as pd
from mlxtend.frequent_patterns import fpgrowth
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

CODES = Path(__file__).parents[1] / "seeds" / "non_product_codes.csv"
KEYS = ["CustomerID", "StockCode"]
# Of the baskets: products that are in fewer are left out, and so are pairs.
SUPPORT = 0.01


def clean(lines: pd.DataFrame) -> pd.DataFrame:
    """Keep the distinct purchases and returns of products."""
    for name in ["InvoiceNo", "StockCode", "Description", "Country"]:
        lines[name] = lines[name].str.strip()
    for name in ["InvoiceNo", "StockCode"]:
        lines[name] = lines[name].str.upper()
    lines = lines.drop_duplicates()
    cancelled = lines["InvoiceNo"].str.startswith("C")
    usable = (
        ~lines["InvoiceNo"].str.startswith("A")
        & (lines["UnitPrice"] > 0)
        & (lines["Quantity"] != 0)
        & ~(cancelled & (lines["Quantity"] > 0))
        & ~lines["StockCode"].isin(pd.read_csv(CODES)["stock_code"])
    )
    kept = lines[usable].reset_index(drop=True)
    kept["Amount"] = kept["Quantity"] * kept["UnitPrice"]
    return kept


def allocate_returns(lines: pd.DataFrame) -> pd.DataFrame:
    """Match each return to earlier purchases of its product, first in first out."""
    known = lines[lines["CustomerID"].notna()]
    touched = known.loc[known["Quantity"] < 0, KEYS].drop_duplicates()
    events = known.reset_index(names="Line").merge(touched, on=KEYS)
    events["IsReturn"] = events["Quantity"] < 0
    events = events.sort_values([*KEYS, "InvoiceDate", "IsReturn", "InvoiceNo"])
    columns = ["CustomerID", "StockCode", "Line", "Quantity", "UnitPrice"]
    queues: dict[tuple, deque] = defaultdict(deque)
    allocations = []
    for customer, code, line, quantity, price in zip(
        *(events[name] for name in columns), strict=True
    ):
        queue = queues[customer, code]
        if quantity > 0:
            queue.append([line, quantity])
            continue
        while quantity < 0 and queue:
            units = min(-quantity, queue[0][1])
            allocations.append((queue[0][0], units, units * price))
            quantity += units
            queue[0][1] -= units
            if not queue[0][1]:
                queue.popleft()
    return pd.DataFrame(allocations, columns=["Line", "Units", "Amount"])


def net_orders(lines: pd.DataFrame, allocations: pd.DataFrame) -> pd.DataFrame:
    """Sum purchases per invoice, less what was sent back."""
    returned = allocations.groupby("Line").sum().reindex(lines.index, fill_value=0)
    lines["KeptUnits"] = lines["Quantity"] - returned["Units"]
    lines["Net"] = lines["Amount"] - returned["Amount"]
    purchases = lines[lines["Quantity"] > 0]
    return (
        purchases.groupby(["InvoiceNo", "CustomerID"], dropna=False)
        .agg(
            Moment=("InvoiceDate", "min"),
            Lines=("StockCode", "size"),
            Units=("Quantity", "sum"),
            Gross=("Amount", "sum"),
            KeptUnits=("KeptUnits", "sum"),
            Net=("Net", "sum"),
        )
        .reset_index()
    )


def score_rfm(orders: pd.DataFrame, as_of: pd.Timestamp) -> pd.DataFrame:
    """Measure recency, frequency and monetary value, and score each by fifths."""
    visits = orders[orders["CustomerID"].notna() & (orders["KeptUnits"] > 0)]
    rfm = visits.groupby("CustomerID").agg(
        Recency=("Moment", "max"), Frequency=("Moment", "size"), Monetary=("Net", "sum")
    )
    rfm = rfm[rfm["Monetary"].round(4) > 0]
    rfm["Recency"] = (as_of - rfm["Recency"].dt.normalize()).dt.days
    for name in rfm.columns:
        below = rfm[name].rank(method="min", ascending=name != "Recency") - 1
        rfm[name[0]] = np.minimum(5, 1 + np.floor(5 * below / max(len(rfm) - 1, 1)))
    return rfm


def follow_cohorts(orders: pd.DataFrame) -> pd.DataFrame:
    """Count the customers, and add up their orders, by first month and months since."""
    kept = orders[orders["CustomerID"].notna() & (orders["KeptUnits"] > 0)].copy()
    month = kept["Moment"].dt.year * 12 + kept["Moment"].dt.month
    kept["Cohort"] = month.groupby(kept["CustomerID"]).transform("min")
    kept["Age"] = month - kept["Cohort"]
    return kept.groupby(["Cohort", "Age"]).agg(
        Customers=("CustomerID", "nunique"), Net=("Net", "sum")
    )


def add_up_months(lines: pd.DataFrame) -> pd.Series:
    """Add up the lines by month and country."""
    month = lines["InvoiceDate"].dt.to_period("M")
    return lines.groupby([month, lines["Country"]])["Amount"].sum()


def find_pairs(lines: pd.DataFrame) -> pd.DataFrame:
    """Find the pairs of products that are together in enough baskets."""
    bought = lines[(lines["Quantity"] > 0) & lines["CustomerID"].notna()]
    items = bought[["InvoiceNo", "StockCode"]].drop_duplicates()
    basket, baskets = pd.factorize(items["InvoiceNo"])
    counts = items["StockCode"].value_counts()
    frequent = items["StockCode"].isin(counts[counts >= SUPPORT * len(baskets)].index)
    product, products = pd.factorize(items.loc[frequent, "StockCode"])
    table = csr_matrix(
        (np.ones(len(product), bool), (basket[frequent], product)),
        shape=(len(baskets), len(products)),
    )
    hot = pd.DataFrame.sparse.from_spmatrix(table, columns=products)
    sets = fpgrowth(hot, min_support=SUPPORT, use_colnames=True, max_len=2)
    return sets[sets["itemsets"].map(len) == 2]


def label_customers(rfm: pd.DataFrame) -> None:
    """Cluster the customers and write their labels to a file."""
    measures = rfm[["Recency", "Frequency", "Monetary"]]
    features = StandardScaler().fit_transform(np.log1p(measures))
    # As in the project: more threads only wait for each other on so few customers.
    with threadpool_limits(limits=1):
        kmeans = KMeans(4, n_init=10, random_state=42)
        rfm["Label"] = kmeans.fit_predict(features)
    with tempfile.TemporaryDirectory() as folder:
        rfm.to_parquet(Path(folder) / "labels.parquet")


class Laps:
    """Print the seconds of each step."""

    def __init__(self) -> None:
        self.start = self.since = time.perf_counter()

    def lap(self, name: str) -> None:
        """Print the seconds since the last step ended."""
        now = time.perf_counter()
        print(f"{name:<18}{now - self.since:8.2f} s", flush=True)
        self.since = now

    def total(self) -> None:
        """Print the seconds since the start."""
        self.since = self.start
        self.lap("total")


def main(source: str) -> None:
    """Run everything."""
    laps = Laps()
    delivered = pd.read_parquet(source)
    laps.lap("read")
    as_of = delivered["InvoiceDate"].max().normalize() + pd.Timedelta(days=1)
    lines = clean(delivered)
    laps.lap("clean")
    allocations = allocate_returns(lines)
    laps.lap("allocate returns")
    orders = net_orders(lines, allocations)
    laps.lap("orders")
    rfm = score_rfm(orders, as_of)
    laps.lap("rfm")
    cohorts = follow_cohorts(orders)
    laps.lap("cohorts")
    months = add_up_months(lines)
    laps.lap("months")
    pairs = find_pairs(lines)
    laps.lap("pairs")
    label_customers(rfm)
    laps.lap("k-means")
    laps.total()
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:,} MB")
    figures = [len(orders), allocations["Units"].sum(), len(rfm), rfm["Monetary"].sum()]
    figures += [cohorts["Customers"].sum(), months.sum(), len(pairs)]
    print(json.dumps([float(figure) for figure in figures]))


if __name__ == "__main__":
    main(sys.argv[1])
