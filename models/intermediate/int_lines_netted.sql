-- One row per usable invoice line: what was sold, sent back or charged, and how much of
-- it stayed. A view, since a second copy of every line would cost more than the joins.
{{ config(
    materialized='view' if target.type == 'duckdb' else 'table',
    tags=['change_groups'],
) }}

with

lines as (

    select *

    from {{ ref('int_lines_classified') }}

    where is_usable

),

-- Both sides read the table. A CTE of it that both read would stand above the join, and
-- what readers of a few groups leave out would be left out after it, not before.
sides as (

    select
        purchase_fingerprint as line_fingerprint,
        allocated_quantity as returned_quantity,
        allocated_amount as returned_amount,
        cast(0 as decimal(18, 4)) as settled_amount

    from {{ ref('int_returns_allocated') }}

    where purchase_fingerprint is not null

    union all

    select
        return_fingerprint as line_fingerprint,
        0 as returned_quantity,
        cast(0 as decimal(18, 4)) as returned_amount,
        allocated_amount as settled_amount

    from {{ ref('int_returns_allocated') }}

    where purchase_fingerprint is not null

),

returned as (

    select
        line_fingerprint,
        sum(returned_quantity) as returned_quantity,
        sum(returned_amount) as returned_amount,
        sum(settled_amount) as settled_amount

    from sides

    group by line_fingerprint

),

-- The money of a matched return is taken off its purchase; what is left on the return
-- line itself found no purchase. So the net amounts of all lines add up to the line
-- amounts of all lines.
netted as (

    select
        lines.*,
        cast(coalesce(returned.returned_quantity, 0) as bigint) as returned_quantity,
        cast(
            coalesce(returned.returned_amount, 0) as decimal(18, 4)
        ) as returned_amount,
        cast(
            lines.line_amount
            - coalesce(returned.returned_amount, 0)
            + coalesce(returned.settled_amount, 0)
            as decimal(18, 4)
        ) as net_amount

    from lines

    left outer join returned
        on lines.line_fingerprint = returned.line_fingerprint

),

final as (

    select
        -- keys
        {{ invoice_line_id() }} as invoice_line_id,
        line_fingerprint,
        change_group,
        invoice_number,
        stock_code,
        customer_id,

        -- attributes
        line_type,
        product_description,
        country_name,
        currency_code,
        store_name,
        source_file,
        source_row,

        -- measures
        quantity,
        unit_price,
        line_amount,
        returned_quantity,
        returned_amount,
        net_amount,
        -- The units and the money that count as a purchase, and below the lines that
        -- ever did: the one place where purchase_basis is decided.
        {%- if var('purchase_basis') == 'textbook' %}
        case when quantity > 0 and not is_guest then quantity else 0 end
            as counted_quantity,
        cast(
            case when quantity > 0 and not is_guest then line_amount else 0 end
            as decimal(18, 4)
        ) as counted_amount,
        {%- else %}
        case when line_type = 'purchase' then quantity - returned_quantity else 0 end
            as counted_quantity,
        cast(
            case when line_type = 'purchase' then net_amount else 0 end
            as decimal(18, 4)
        ) as counted_amount,
        {%- endif %}

        -- flags
        {%- if var('purchase_basis') == 'textbook' %}
        quantity > 0 and not is_guest as is_counted,
        {%- else %}
        line_type = 'purchase' as is_counted,
        {%- endif %}
        is_product,
        is_product_repeated,
        is_guest,

        -- times
        invoiced_at

    from netted

)

select * from final
