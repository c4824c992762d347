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

-- A rule goes both ways, so that antecedents are all products of rules. Their numbers,
-- in the order of their codes, join and group faster.
products as (

    select
        antecedent as stock_code,
        cast(row_number() over (order by antecedent) as int) as product

    from rules

    group by antecedent

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
        products.product

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
        product,
        count(*) as basket_count

    from kept

    group by product

),

-- Both directions of a rule are the same pair, counted once.
pairs as (

    select
        lefts.product as left_product,
        rights.product as right_product,
        count(*) as basket_count

    from kept as lefts

    inner join kept as rights
        on
            lefts.basket = rights.basket
            and lefts.product < rights.product

    group by
        lefts.product,
        rights.product

)

select
    rules.antecedent,
    rules.consequent,
    rules.basket_count,
    pairs.basket_count as basket_count_of_lines

from rules

cross join totals

left outer join products as antecedents
    on rules.antecedent = antecedents.stock_code

left outer join products as consequents
    on rules.consequent = consequents.stock_code

left outer join product_counts
    on antecedents.product = product_counts.product

left outer join pairs
    on
        pairs.left_product = least(antecedents.product, consequents.product)
        and pairs.right_product = greatest(antecedents.product, consequents.product)

where
    rules.basket_count != coalesce(pairs.basket_count, 0)
    or rules.antecedent_basket_count != coalesce(product_counts.basket_count, 0)
    or rules.all_basket_count != totals.all_basket_count
