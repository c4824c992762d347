-- Every pair rule of all baskets holds when it is counted again, straight from the
-- lines and without the short cuts: the same numbers by two ways.

with

rules as (

    select
        antecedent,
        consequent,
        basket_count,
        antecedent_basket_count,
        all_basket_count

    from {{ ref('rpt_product_associations') }}

    where
        cluster_id is null
        and antecedent_count = 1
        and consequent_count = 1

),

items as (

    select
        concat(invoice_number, '-', customer_id) as basket,
        stock_code

    from {{ ref('fct_invoice_lines') }}

    where
        counted_quantity > 0
        and is_product
        and not is_guest

    group by
        concat(invoice_number, '-', customer_id),
        stock_code

),

baskets as (

    select basket

    from items

    group by basket

    having count(*) <= {{ var('basket_largest_size') }}

),

kept as (

    select items.*

    from items

    inner join baskets
        on items.basket = baskets.basket

),

totals as (

    select count(*) as all_basket_count

    from baskets

),

antecedents as (

    select
        stock_code,
        count(*) as basket_count

    from kept

    group by stock_code

),

pairs as (

    select
        rules.antecedent,
        rules.consequent,
        count(*) as basket_count

    from rules

    inner join kept as lefts
        on rules.antecedent = lefts.stock_code

    inner join kept as rights
        on
            rules.consequent = rights.stock_code
            and lefts.basket = rights.basket

    group by
        rules.antecedent,
        rules.consequent

)

select
    rules.antecedent,
    rules.consequent,
    rules.basket_count,
    pairs.basket_count as basket_count_of_lines

from rules

cross join totals

left outer join antecedents
    on rules.antecedent = antecedents.stock_code

left outer join pairs
    on
        rules.antecedent = pairs.antecedent
        and rules.consequent = pairs.consequent

where
    rules.basket_count != coalesce(pairs.basket_count, 0)
    or rules.antecedent_basket_count != coalesce(antecedents.basket_count, 0)
    or rules.all_basket_count != totals.all_basket_count
