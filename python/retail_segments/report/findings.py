"""Say what the figures show, in sentences that are true of any shop.

Each function takes what one part of the page shows and returns a sentence with its
numbers, or none where the data do not carry one. A sentence is the caption of its chart
and the title of its slide.
"""

from retail_segments.report.marts import Marts, Row
from retail_segments.report.numbers import (
    Currency,
    count,
    day,
    decimal,
    month,
    plural,
    share,
    shorten,
)

# A month, a day or a country that is this far above the middle stands out.
_STANDS_OUT = 1.25
# A rate of fewer cohorts is that of a season, or of customers from before the data.
_COHORTS = 4


def on_business(marts: Marts, currency: Currency) -> str:
    """Say how large the business is."""
    figures, period = marts.figures, marts.one("period")
    if not figures.get("order_count"):
        return "Nothing was sold in these lines."
    known = figures["customer_count"] or 0
    buyers = plural(known, "known customer") if known else "guests alone"
    return (
        f"From {day(period['first_at'])} to {day(period['last_at'])}, {buyers} "
        f"{'and guests ' if known and figures['guest_amount_share'] else ''}placed "
        f"{plural(figures['order_count'] or 0, 'order')}; "
        f"{currency.amount(figures['net_amount'])} of "
        f"{currency.amount(figures['gross_amount'])} stayed after returns."
    )


def on_lines(marts: Marts) -> str:
    """Say how many of the delivered lines are in the figures, and what is not."""
    lines = {
        row["layer"]: row["total"]
        for row in marts["controls"]
        if row["measure"] == "line_count"
    }
    delivered, used = lines["delivered"], lines["used"]
    if not delivered:
        return "No line was delivered."
    if used == delivered:
        return f"All {plural(delivered, 'delivered line')} are in the figures."
    worst = marts["reasons"][0]
    return (
        f"{share(used / delivered)} of {plural(delivered, 'delivered line')} are in "
        f"the figures; {count(delivered - used)} were set aside, most of them as "
        f"{words(worst['reject_reason'])} ({count(worst['line_count'])})."
    )


def on_months(marts: Marts, currency: Currency) -> str:
    """Say where sales stand, and which month stood out."""
    whole = [row for row in marts["months"] if not row["is_partial"]]
    if len(whole) < 2:
        return "The data hold no two whole months, so that none can be compared."
    best = max(whole, key=lambda row: (row["counted_amount"], row["sales_month"]))
    last = whole[-1]
    sentence = (
        f"{month(best['sales_month'])} was the best month with "
        f"{currency.amount(best['counted_amount'])}"
    )
    if (best["amount_index"] or 0) >= _STANDS_OUT:
        sentence += f", {decimal(best['amount_index'], 1)} times an average one"
    growth = last["growth_on_last_year"]
    if growth is not None:
        sentence += (
            f"; {month(last['sales_month'])} was {share(abs(growth))} "
            f"{'above' if growth >= 0 else 'below'} the year before"
        )
    return sentence + "."


def on_new_customers(marts: Marts) -> str:
    """Say whether customers who come back or new ones carry the last whole month."""
    whole = [
        row
        for row in marts["months"]
        if not row["is_partial"] and row["customer_count"]
    ]
    if not whole:
        return "No whole month has a known customer."
    last = whole[-1]
    returning = last["returning_customer_count"] / last["customer_count"]
    return (
        f"In {month(last['sales_month'])} {share(returning)} of "
        f"{plural(last['customer_count'], 'customer')} had bought before; "
        f"{count(last['new_customer_count'])} were new."
    )


def on_countries(marts: Marts) -> str:
    """Say how much the largest country brings."""
    countries = marts["countries"]
    if not countries:
        return "No country has brought anything."
    first = countries[0]
    if len(countries) == 1:
        return f"All sales are to {first['country']}."
    others = " and ".join(shorten(row["country"]) for row in countries[1:3])
    return (
        f"{shorten(first['country'])} brings {share(first['amount_share'])} of what "
        f"counts; {others} follow{'s' if len(countries) == 2 else ''} with "
        f"{share(sum(row['amount_share'] for row in countries[1:3]))}."
    )


def on_hours(marts: Marts) -> str:
    """Say when most orders come."""
    hours = [row for row in marts["hours"] if row["order_count"]]
    if not hours:
        return "No order counts, so that no hour can be named."
    busiest = max(hours, key=lambda row: (row["order_count"], -row["hour_of_day"]))
    sentence = (
        f"{busiest['weekday_name']} between {busiest['hour_of_day']} and "
        f"{busiest['hour_of_day'] + 1} is the busiest hour of the week, with "
        f"{share(busiest['order_share'])} of orders"
    )
    open_days = {row["weekday_name"] for row in hours}
    closed = [
        name
        for name in dict.fromkeys(row["weekday_name"] for row in marts["hours"])
        if name not in open_days
    ]
    if closed:
        sentence += f"; none come on {' or '.join(closed)}"
    return sentence + "."


def on_order_values(marts: Marts) -> str:
    """Say how small most orders are beside what large ones bring."""
    bands = marts["order_values"]
    if not bands:
        return "No order counts."
    middle = next(row for row in bands if row["cumulative_order_share"] >= 0.5)
    above = 1 - middle["cumulative_amount_share"]
    return (
        f"Half of the orders are in the bands up to {words(middle['band_name'])}; what "
        f"is above them brings {share(above)} of the amount."
    )


def on_concentration(marts: Marts) -> str:
    """Say how much few customers bring."""
    by_percentile = {row["percentile"]: row for row in marts["concentration"]}
    if not by_percentile:
        return "Too few customers have bought to say how sales are spread."
    tenth, fifth = by_percentile[10], by_percentile[20]
    return (
        f"The best tenth of customers brings {share(tenth['best_amount_share'])} of "
        f"monetary value and the best fifth {share(fifth['best_amount_share'])}; the "
        f"Gini coefficient is {decimal(tenth['gini'])}."
    )


def on_products(marts: Marts) -> str:
    """Say which product brings most."""
    products = marts["products"]
    if not products:
        return "No product has brought anything."
    best = products[0]
    return (
        f"{shorten(best['product_name'])} brings most, "
        f"{share(best['amount_share'])} of what counts; the first {len(products)} "
        f"products bring {share(products[-1]['cumulative_amount_share'])}."
    )


def on_retention(marts: Marts) -> str:
    """Say how many customers come back."""
    curve = {row["periods_since"]: row for row in marts["curve"]}
    if 1 not in curve:
        return "The data are too short to see anybody come back."
    # The longest spans are seen of the oldest cohorts alone.
    seen_often = [
        number for number, row in curve.items() if row["cohort_count"] >= _COHORTS
    ]
    first, last = curve[1], curve[max(seen_often, default=1)]
    period = first["cohort_period"]
    sentence = (
        f"{share(first['retention_rate'])} of customers bought again in the {period} "
        f"after their first purchase"
    )
    if last["periods_since"] > 1:
        sentence += (
            f"; {share(last['retention_rate'])} did "
            f"{plural(last['periods_since'], period)} after it"
        )
    return sentence + "."


def on_cohort_worth(marts: Marts, currency: Currency) -> str:
    """Say what a customer of the oldest cohort has brought."""
    cells = [row for row in marts["cohorts"] if row["is_complete"]]
    if not cells:
        return "No cohort has a whole period behind it."
    oldest = [row for row in cells if row["cohort_date"] == cells[0]["cohort_date"]][-1]
    return (
        f"Customers who first bought in {month(oldest['cohort_date'])} have brought "
        f"{currency.amount(oldest['cumulative_net_amount_per_customer'])} each by "
        f"{plural(oldest['periods_since'], oldest['cohort_period'])} after."
    )


def on_rfm(marts: Marts) -> str:
    """Say who the champions are worth, and how many are slipping."""
    names = {
        row["rfm_segment"]: row
        for row in marts["rfm_segments"]
        if row["group_kind"] == "all"
    }
    if not names:
        return "No customer has a score yet."
    best = max(
        names.values(), key=lambda row: (row["monetary_value"], row["rfm_segment"])
    )
    sentence = (
        f"{best['rfm_segment']} are {share(best['customer_share'])} of customers and "
        f"{share(best['monetary_share'])} of monetary value"
    )
    slipping = [
        names[name]
        for name in ("At Risk", "Cannot Lose Them", "Need Attention")
        if name in names and names[name]["customer_count"]
    ]
    if slipping and best not in slipping:
        total = sum(row["customer_count"] for row in slipping)
        sentence += (
            f"; {plural(total, 'customer')} with "
            f"{share(sum(row['monetary_share'] or 0 for row in slipping))} of it are "
            "slipping away"
        )
    return sentence + "."


def on_choice(marts: Marts) -> str:
    """Say how many segments there are, and why."""
    chosen = [row for row in marts["candidates"] if row["is_chosen"]]
    if not chosen:
        return no_segments(marts)
    row = chosen[0]
    sentence = (
        f"{plural(row['k'], 'segment')} by {words(row['algorithm'])}: silhouette "
        f"{decimal(row['silhouette'])}, the smallest with "
        f"{share(row['smallest_share'])} of customers"
    )
    if row["smallest_jaccard"] is not None:
        sentence += (
            f", each found again in resamples with a Jaccard of "
            f"{decimal(row['smallest_jaccard'])} or more"
        )
    return sentence + "."


def on_segments(marts: Marts) -> str:
    """Say how unequal the segments are."""
    segments = marts["segments"]
    if not segments:
        return no_segments(marts)
    best = max(segments, key=lambda row: (row["monetary_value"], -row["cluster_id"]))
    if len(segments) == 1:
        return f"All customers are of one segment, {best['segment_name']}."
    return (
        f"{best['segment_name']} are {share(best['customer_share'])} of customers and "
        f"bring {share(best['monetary_share'])} of monetary value."
    )


def on_migration(marts: Marts) -> str:
    """Say how many changed their segment lately, and for the better or not."""
    rows = [
        row
        for row in marts["migration"]
        if row["from_cluster_id"] is not None and row["to_cluster_id"] is not None
    ]
    if not rows:
        return "There is no earlier month end to compare the segments with."
    everybody = sum(row["customer_count"] for row in rows)
    # Clusters are numbered by value, the best first.
    better = sum(
        row["customer_count"]
        for row in rows
        if row["to_cluster_id"] < row["from_cluster_id"]
    )
    worse = sum(
        row["customer_count"]
        for row in rows
        if row["to_cluster_id"] > row["from_cluster_id"]
    )
    return (
        f"Since {day(rows[0]['from_date'])} {count(better)} of "
        f"{plural(everybody, 'customer')} moved to a better segment and "
        f"{count(worse)} to a worse one; the others stayed."
    )


def on_associations(marts: Marts) -> str:
    """Name the strongest rule that holds twice."""
    rules = [
        row
        for row in marts["associations"]
        if row["segment_name"] is None and row["is_replicated"]
    ]
    if not rules:
        return (
            "No pair of products is bought together so often that the rule holds in "
            "both halves of the time."
        )
    rule = rules[0]
    return (
        f"Who buys {shorten(rule['antecedent_name'])} also buys "
        f"{shorten(rule['consequent_name'])} in {share(rule['confidence'])} of "
        f"baskets, {decimal(rule['lift'], 1)} times as often as chance would have it."
    )


def on_forecast(marts: Marts, currency: Currency) -> str:
    """Say what is expected, and how well such forecasts did."""
    expected = marts.figures.get("expected_amount")
    chosen = [
        row
        for row in marts["forecast_methods"]
        if row["is_chosen"] and row["target"] == "amount"
    ]
    if expected is None or not chosen:
        return "There is too little history to forecast from."
    days = sum(
        row["day_count"]
        for row in marts["forecasts"]
        if row["cluster_id"] == marts["forecasts"][0]["cluster_id"]
    )
    method = chosen[0]
    sentence = (
        f"Known customers are expected to buy for {currency.amount(expected)} within "
        f"{plural(days, 'day')}"
    )
    baselines = [
        row["mean_value"]
        for row in marts["forecast_methods"]
        if row["target"] == "amount"
        and row["is_baseline"]
        and row["mean_value"] is not None
        and row["method"] != method["method"]
    ]
    if method["mean_value"] is not None and baselines:
        gain = 1 - method["mean_value"] / min(baselines)
        sentence += (
            f"; tried on {plural(method['origin_count'], 'earlier date')}, "
            f"{words(method['method'])} erred by {share(gain)} less than the best "
            "simple rule"
            if gain > 0
            else f"; {words(method['method'])} is as good as any model here"
        )
    return sentence + "."


def on_plan(marts: Marts, currency: Currency) -> str:
    """Say what the plan adds, and whether that is enough."""
    if not marts["plan"]:
        return "There is no plan, since there is no segment to make one for."
    row = marts["plan"][0]
    if row["planned_uplift_amount"] is None or not row["shop_baseline_amount"]:
        return row["plan_finding"] or row["no_plan_reason"] or "There is no plan."
    added = row["planned_uplift_amount"]
    asked = row["target_amount"]
    sentence = (
        f"The plan adds {currency.amount(added)}, "
        f"{share(added / row['shop_baseline_amount'])} of a baseline of "
        f"{currency.amount(row['shop_baseline_amount'])}, to which "
        f"{share(asked / row['shop_baseline_amount'])} were to be added"
    )
    if row["is_target_reached"]:
        return sentence + ": the target is reached."
    return (
        sentence
        + f": effects would have to be {decimal(row['needed_multiple'], 1)} times as "
        "large to reach it."
    )


def no_segments(marts: Marts) -> str:
    """Say why there are no segments."""
    reasons = marts["unclustered"]
    if not reasons:
        return "No customer is known, so that there are no segments."
    return (
        f"There are no segments: {count(reasons[0]['customer_count'])} of "
        f"{plural(marts.one('customers')['customer_count'], 'customer')} are in none "
        f"({words(reasons[0]['unclustered_reason'])})."
    )


def on_segment(segment: Row, currency: Currency) -> str:
    """Describe one segment by its figures."""
    return (
        f"{plural(segment['customer_count'], 'customer')}, "
        f"{share(segment['customer_share'])} of all, with "
        f"{currency.amount(segment['monetary_value'])} or "
        f"{share(segment['monetary_share'])} of monetary value"
    )


def words(name: str) -> str:
    """Write a name of the data as words."""
    known = {
        "kmeans": "K-Means",
        "bisecting_kmeans": "bisecting K-Means",
        "gaussian_mixture": "a Gaussian mixture",
        "ward": "Ward's method",
        "hdbscan": "HDBSCAN",
        "nbd": "NBD",
        "bg_nbd": "BG/NBD",
        "pareto_nbd": "Pareto/NBD",
    }
    return known.get(name, name.replace("_", " "))
