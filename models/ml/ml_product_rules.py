"""One row per segment x antecedent x consequent: rules of products, tested against chance.

Only reads and writes here. The methods are `retail_segments.association`, over the pairs
that SQL has counted, and `retail_segments.item_sets` for larger sets.
"""

from duckdb import ColumnExpression, ConstantExpression
from retail_segments.association import RuleSettings, make_rules, smallest_count
from retail_segments.item_sets import find_larger_sets, products_of_larger_sets


def model(dbt, session):  # noqa: ARG001
    dbt.config(materialized="table")

    settings = RuleSettings(
        smallest_support=dbt.config.meta_get("smallest_support"),
        smallest_confidence=dbt.config.meta_get("smallest_confidence"),
    )
    pairs = (
        dbt.ref("int_product_pairs_counted")
        .order("cluster_id, left_stock_code, right_stock_code")
        .df()
    )
    names = dbt.ref("dim_products").project("stock_code, product_name").df()
    words = dbt.ref("variant_words").df()["word"]

    in_all = pairs[pairs["cluster_id"].isna() & pairs["is_frequent"]]
    products = products_of_larger_sets(
        [
            frozenset(pair)
            for pair in zip(
                in_all["left_stock_code"], in_all["right_stock_code"], strict=True
            )
        ]
    )
    # None of them is the usual case in a small shop, and no list of values is empty.
    is_needed = ColumnExpression("stock_code").isin(
        *[ConstantExpression(product) for product in products or [""]]
    )
    items = (
        dbt.ref("int_baskets_itemised")
        .filter("is_counted")
        .filter(is_needed)
        .project("basket_number, stock_code, is_first_half")
        .df()
    )
    baskets = int(in_all["all_basket_count"].max()) if len(in_all) else 0
    larger_sets = find_larger_sets(
        items,
        smallest_count=smallest_count(
            baskets, smallest_support=settings.smallest_support
        ),
    )
    return make_rules(
        pairs,
        larger_sets,
        product_names=dict(names.itertuples(index=False)),
        variant_words=set(words),
        settings=settings,
    )
