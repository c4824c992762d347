"""One row per segment x antecedent x consequent: rules of products, and their chances.

Only reads and writes here: see `retail_segments.association`, and `item_sets`.
"""

from dataclasses import asdict

from retail_segments import association
from retail_segments.item_sets import products_of_larger_sets
from retail_segments.memory import recall_unchanged, take_fingerprint
from retail_segments.sql import literal

KEYS = "cluster_id, left_stock_code, right_stock_code"
CLASS = "size_class, is_first_half"


def model(dbt, session):
    dbt.config(materialized="table")

    settings = association.RuleSettings(
        smallest_support=dbt.config.meta_get("smallest_support"),
        smallest_confidence=dbt.config.meta_get("smallest_confidence"),
    )
    pairs = dbt.ref("int_product_pairs_counted").order(KEYS).df()
    expected = dbt.ref("int_product_pairs_expected").order(KEYS).df()
    codes = products_of_larger_sets(association.frequent_pairs(pairs)) or [""]
    is_needed = f"stock_code in ({', '.join(map(literal, codes))})"
    items = dbt.ref("int_baskets_itemised").filter("is_counted")
    parts = [
        pairs.merge(expected, on=KEYS.split(", ")),
        items.filter(is_needed)
        .project(f"basket_number, stock_code, {CLASS}")
        .order("basket_number, stock_code")
        .df(),
        items.project(f"basket_number, product_count, {CLASS}")
        .distinct()
        .aggregate(
            f"{CLASS}, count(*) as basket_count, "
            "cast(sum(product_count) as bigint) as product_count"
        )
        .order(CLASS)
        .df(),
        dbt.ref("dim_products")
        .order("stock_code")
        .project("stock_code, product_name")
        .df(),
        dbt.ref("variant_words").order("word").df(),
    ]
    fingerprint = take_fingerprint(
        *parts,
        settings=asdict(settings),
        methods=association.METHODS,
        libraries=association.LIBRARIES,
    )
    kept = recall_unchanged(session, str(dbt.this), fingerprint)
    if kept is not None:
        return kept
    return association.find_rules(*parts, settings=settings).assign(
        fingerprint=fingerprint
    )
