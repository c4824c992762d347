-- One row per customer x rank: the products to offer them next, by the way of
-- recommending that was right most often, and why. Never what they have just bought.
-- Answers: what goes into this customer's next mail?

with

recommendations as (

    select *

    from {{ ref('int_recommendations_ranked') }}

),

-- Where the data are too short to try any, the simplest way is taken.
chosen as (

    select coalesce(max(method), 'most_popular') as chosen_method

    from {{ ref('rpt_recommendation_scoreboard') }}

    where is_chosen

),

as_of as (

    select as_of_date

    from {{ ref('int_as_of_date') }}

),

suggestions as (

    select
        made_on_date,
        customer_id,
        drawn_from,
        stock_code,
        antecedent,
        score

    from {{ ref('int_recommendations_sourced') }}

),

owned as (

    select
        made_on_date,
        customer_id,
        stock_code,
        basket_count,
        last_ordered_at

    from {{ ref('int_customer_products_counted') }}

),

segments as (

    select
        customer_id,
        segment_name,
        rfm_segment

    from {{ ref('dim_customer_segments') }}

),

products as (

    select
        stock_code,
        product_name

    from {{ ref('dim_products') }}

),

current_ones as (

    select recommendations.*

    from recommendations

    inner join chosen
        on recommendations.method = chosen.chosen_method

    inner join as_of
        on recommendations.made_on_date = as_of.as_of_date

),

final as (

    select
        -- keys
        current_ones.customer_id,
        cast(current_ones.recommendation_rank as bigint) as recommendation_rank,
        current_ones.stock_code,

        -- attributes
        products.product_name,
        segments.segment_name,
        current_ones.method,
        current_ones.drawn_from,
        suggestions.antecedent,
        case current_ones.drawn_from
            when 'own'
                then concat(
                    'Bought in ',
                    cast(owned.basket_count as string),
                    case when owned.basket_count = 1 then ' order' else ' orders' end,
                    ' before, last on ',
                    cast(cast(owned.last_ordered_at as date) as string)
                )
            when 'rule'
                then concat(
                    'Goes with ',
                    antecedents.product_name,
                    ' (',
                    suggestions.antecedent,
                    '), bought before: in ',
                    cast(cast(round(100 * suggestions.score) as bigint) as string),
                    ' % of the orders with it'
                )
            when 'popular_in_segment'
                then concat(
                    'In ',
                    cast(cast(round(100 * suggestions.score) as bigint) as string),
                    ' % of the orders of customers who are ',
                    segments.rfm_segment
                )
            else concat(
                'In ',
                cast(cast(round(100 * suggestions.score) as bigint) as string),
                ' % of all orders'
            )
        end as reason,

        -- measures
        suggestions.score,

        -- flags
        owned.stock_code is null as is_new_to_customer,

        -- times
        current_ones.made_on_date

    from current_ones

    inner join suggestions
        on
            current_ones.made_on_date = suggestions.made_on_date
            and current_ones.customer_id = suggestions.customer_id
            and current_ones.drawn_from = suggestions.drawn_from
            and current_ones.stock_code = suggestions.stock_code

    inner join products
        on current_ones.stock_code = products.stock_code

    left outer join products as antecedents
        on suggestions.antecedent = antecedents.stock_code

    left outer join owned
        on
            current_ones.made_on_date = owned.made_on_date
            and current_ones.customer_id = owned.customer_id
            and current_ones.stock_code = owned.stock_code

    left outer join segments
        on current_ones.customer_id = segments.customer_id

)

select * from final
