"""One row per segment x antecedent x consequent: rules of products, and their chances.

Only reads and writes here. The methods are `retail_segments.association`, over the
pairs that SQL has counted, and `retail_segments.item_sets` for larger sets. Where
nothing has changed since the last build, its rows are returned as they are.
"""

from dataclasses import asdict

from duckdb import ColumnExpression, ConstantExpression
from retail_segments.association import (
    LIBRARIES,
    METHODS,
    RuleSettings,
    make_rules,
    smallest_count,
)
from retail_segments.item_sets import products_of_larger_sets, split_larger_sets
from retail_segments.memory import recall, take_fingerprint


def model(dbt, session):
    dbt.config(materialized="table")

    settings = RuleSettings(
        smallest_support=dbt.config.meta_get("smallest_support"),
        smallest_confidence=dbt.config.meta_get("smallest_confidence"),
    )
    keys = ["cluster_id", "left_stock_code", "right_stock_code"]
    counted = dbt.ref("int_product_pairs_counted").order(", ".join(keys)).df()
    pairs = counted.merge(dbt.ref("int_product_pairs_expected").df(), on=keys)

    in_all = pairs[pairs["cluster_id"].isna() & pairs["is_frequent"]]
    products = products_of_larger_sets(
        list(map(frozenset, zip(*(in_all[key] for key in keys[1:]), strict=True)))
    )
    # No list of values is empty.
    is_needed = ColumnExpression("stock_code").isin(
        *[ConstantExpression(product) for product in products or [""]]
    )
    items = dbt.ref("int_baskets_itemised").filter("is_counted")
    sizes = items.project(
        "basket_number, size_class, is_first_half, product_count"
    ).distinct()
    needed = (
        items.filter(is_needed)
        .project("basket_number, stock_code, size_class, is_first_half")
        .order("basket_number, stock_code")
        .df()
    )
    baskets = (
        sizes.aggregate(
            "size_class, is_first_half, count(*) as basket_count, "
            "cast(sum(product_count) as bigint) as product_count"
        )
        .order("size_class, is_first_half")
        .df()
    )
    names = (
        dbt.ref("dim_products")
        .project("stock_code, product_name")
        .order("stock_code")
        .df()
    )
    words = dbt.ref("variant_words").order("word").df()
    fingerprint = take_fingerprint(
        pairs,
        needed,
        baskets,
        names,
        words,
        settings=asdict(settings),
        methods=METHODS,
        libraries=LIBRARIES,
    )
    before = recall(session, str(dbt.this))
    if before is not None and set(before.get("fingerprint", ())) == {fingerprint}:
        # The table, not the frame, which forgets the types of columns without a value.
        return session.table(str(dbt.this))

    larger_sets = split_larger_sets(
        needed,
        baskets,
        smallest_count=smallest_count(
            int(in_all["all_basket_count"].max()) if len(in_all) else 0,
            smallest_support=settings.smallest_support,
        ),
    )
    return make_rules(
        pairs,
        larger_sets,
        product_names=dict(names.itertuples(index=False)),
        variant_words=set(words["word"]),
        settings=settings,
    ).assign(fingerprint=fingerprint)
