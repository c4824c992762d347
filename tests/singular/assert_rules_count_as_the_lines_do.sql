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

-- A rule goes both ways, so that antecedents are all products of rules.
products as (

    select distinct antecedent as stock_code

    from rules

),

items as (

    select
        invoice_number,
        customer_id,
        stock_code

    from {{ ref('fct_invoice_lines') }}

    where
        counted_quantity > 0
        and is_product
        and not is_guest

    group by
        invoice_number,
        customer_id,
        stock_code

),

baskets as (

    select
        invoice_number,
        customer_id,
        row_number() over (order by invoice_number, customer_id) as basket

    from items

    group by
        invoice_number,
        customer_id

    having count(*) <= {{ var('basket_largest_size') }}

),

kept as (

    select
        baskets.basket,
        items.stock_code

    from items

    inner join baskets
        on
            items.invoice_number = baskets.invoice_number
            and items.customer_id = baskets.customer_id

    inner join products
        on items.stock_code = products.stock_code

),

totals as (

    select count(*) as all_basket_count

    from baskets

),

product_counts as (

    select
        stock_code,
        count(*) as basket_count

    from kept

    group by stock_code

),

-- Both directions of a rule are the same pair, counted once.
pairs as (

    select
        lefts.stock_code as left_stock_code,
        rights.stock_code as right_stock_code,
        count(*) as basket_count

    from kept as lefts

    inner join kept as rights
        on
            lefts.basket = rights.basket
            and lefts.stock_code < rights.stock_code

    group by
        lefts.stock_code,
        rights.stock_code

)

select
    rules.antecedent,
    rules.consequent,
    rules.basket_count,
    pairs.basket_count as basket_count_of_lines

from rules

cross join totals

left outer join product_counts
    on rules.antecedent = product_counts.stock_code

left outer join pairs
    on
        pairs.left_stock_code = least(rules.antecedent, rules.consequent)
        and pairs.right_stock_code = greatest(rules.antecedent, rules.consequent)

where
    rules.basket_count != coalesce(pairs.basket_count, 0)
    or rules.antecedent_basket_count != coalesce(product_counts.basket_count, 0)
    or rules.all_basket_count != totals.all_basket_count
