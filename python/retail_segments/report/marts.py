"""Read from the marts what the page and the deck show, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from retail_segments.build import BuildError, marts_schema, read_warehouse

Row = dict[str, Any]

QUERIES = {
    "period": """
        select
            min(ordered_at) as first_at,
            max(ordered_at) as last_at
        from fct_orders""",
    "currencies": """
        select distinct currency_code from fct_invoice_lines
        where currency_code is not null
        order by currency_code
        limit 2""",
    "figures": "select * from rpt_headline_figures order by figure_number",
    "controls": """
        select layer, measure, total from rpt_control_totals
        where measure in ('line_count', 'line_amount')""",
    "reasons": """
        select * from rpt_reject_reasons where line_count > 0
        order by line_count desc, reject_reason""",
    "months": "select * from rpt_sales_monthly order by sales_month",
    "group_months": """
        select * from rpt_sales_monthly_by_group
        order by group_kind, group_name, sales_month""",
    "countries": """
        select * from rpt_sales_by_country where counted_amount > 0
        order by amount_rank, country_name
        limit 20""",
    "hours": """
        select * from rpt_sales_by_weekday_hour order by weekday_number, hour_of_day""",
    "order_values": "select * from rpt_order_values order by band_number",
    "concentration": "select * from rpt_revenue_concentration order by percentile",
    "products": """
        select * from rpt_product_sales where amount_rank is not null
        order by amount_rank, stock_code
        limit 20""",
    "cohorts": "select * from rpt_cohort_retention order by cohort_date, periods_since",
    "group_cohorts": """
        select * from rpt_cohort_retention_by_group
        order by group_kind, group_name, cohort_date, periods_since""",
    "curve": "select * from rpt_cohort_curve order by periods_since",
    "rfm_grid": """
        select * from rpt_rfm_grid
        order by group_kind, group_name, r_score, f_score""",
    "rfm_segments": """
        select * from rpt_rfm_segments
        order by group_kind, group_name, monetary_value desc, rfm_segment""",
    "candidates": "select * from rpt_cluster_candidates order by algorithm, k",
    "models": "select * from dim_cluster_models where is_current",
    "segments": "select * from dim_segments order by cluster_id",
    "unclustered": """
        select unclustered_reason, count(*) as customer_count
        from dim_customer_segments where unclustered_reason is not null
        group by unclustered_reason
        order by customer_count desc, unclustered_reason""",
    "profiles": "select * from rpt_segment_profiles order by cluster_id, metric",
    "rules_of_segments": """
        select * from rpt_segment_rules
        order by cluster_id, right_count desc, rule_number""",
    "affinities": """
        select * from rpt_segment_affinities
        where is_supported and lift_rank <= 3
        order by cluster_id, kind, lift_rank, item""",
    # A sample that is the same each time, and does not say who is in it. More points
    # would only cover each other.
    "points": """
        select
            segments.segment_name,
            customers.country_name,
            segments.recency_days,
            segments.frequency,
            cast(segments.monetary_value as double) as monetary_value
        from dim_customer_segments as segments
        left outer join dim_customers as customers
            on segments.customer_id = customers.customer_id
        where segments.cluster_id is not null
        order by md5(segments.customer_id)
        limit 2000""",
    "migration": """
        select * from rpt_segment_migration
        where to_date = (select max(to_date) from rpt_segment_migration)
        order by from_cluster_id, to_cluster_id, cause""",
    "validity": """
        select * from rpt_segment_validity
        order by origin_date, target, grouping, scope""",
    # The strongest, for everybody and in each segment.
    "associations": """
        with ranked as (
            select
                *,
                row_number() over (
                    partition by segment_name
                    order by is_replicated desc, lift desc, rule_id
                ) as rule_rank
            from rpt_product_associations
            where kind = 'complement' and not is_variant
        )
        select * from ranked
        where rule_rank <= case when segment_name is null then 1000 else 100 end
        order by segment_name nulls first, rule_rank""",
    "forecasts": """
        select * from rpt_segment_forecast order by cluster_id, month_date""",
    "forecast_methods": """
        select * from rpt_forecast_methods
        order by target, is_chosen desc, is_baseline, mean_value, method""",
    "calibration": """
        select calibration.*
        from rpt_forecast_calibration as calibration
        inner join rpt_forecast_methods as methods
            on calibration.method = methods.method
        where
            methods.target = 'amount'
            and methods.is_chosen
            and calibration.is_scored
            and calibration.customer_count > 0
            and calibration.origin_date = (
                select max(origin_date) from rpt_forecast_calibration where is_scored
            )
        order by calibration.group_number""",
    "plan": """
        select * from rpt_action_plan
        order by expected_uplift_amount desc nulls last, cluster_id""",
    "customers": """
        select count(*) as customer_count, max(snapshot_date) as as_of_date
        from dim_customer_segments""",
}


@dataclass(frozen=True)
class Marts:
    """What was read, by the names of `QUERIES`.

    Decimals are floats here: a page shows at most nine digits, and sums are the marts'.
    """

    rows: Mapping[str, list[Row]]

    def __getitem__(self, name: str) -> list[Row]:
        """Return the rows of one query."""
        return self.rows[name]

    def one(self, name: str) -> Row:
        """Return the only row of a query, or an empty one."""
        rows = self.rows[name]
        return rows[0] if rows else {}

    @property
    def figures(self) -> dict[str, float | None]:
        """Headline figures by name."""
        return {row["figure"]: row["figure_value"] for row in self.rows["figures"]}

    @property
    def as_of_date(self) -> date | None:
        """The day of which everything is known."""
        return self.one("customers").get("as_of_date")

    @property
    def currency_code(self) -> str | None:
        """The currency of the lines, where they name one and only one."""
        codes = [row["currency_code"] for row in self.rows["currencies"]]
        return codes[0] if len(codes) == 1 else None

    @property
    def segment_names(self) -> list[str]:
        """The segments, the most valuable first."""
        return [row["segment_name"] for row in self.rows["segments"]]


def read_marts(warehouse: Path) -> Marts:
    """Read everything that is shown.

    Parameters
    ----------
    warehouse : Path
        The DuckDB file; it is opened read-only.

    Returns
    -------
    Marts
        The rows of `QUERIES`.

    Raises
    ------
    BuildError
        If there is no warehouse yet, or a mart is missing from it.
    """
    with read_warehouse(warehouse) as connection:
        connection.execute("set search_path = ?", [marts_schema()])
        try:
            return Marts(
                {name: _rows(connection, query) for name, query in QUERIES.items()}
            )
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            reason = str(error).splitlines()[0]
            raise BuildError(
                f"The warehouse {warehouse} lacks what the report shows ({reason}). "
                "Run `make build`, which builds every mart, and try again."
            ) from error


def _rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[Row]:
    relation = connection.execute(query)
    names = [column[0] for column in relation.description or ()]
    return [
        {name: _plain(value) for name, value in zip(names, values, strict=True)}
        for values in relation.fetchall()
    ]


def _plain(value: Any) -> Any:
    """Make floats of decimals, and none of what is no number."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, float) and value != value:
        return None
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    return value
