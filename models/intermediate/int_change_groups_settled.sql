-- One row per change group with a usable line, once its lines are classified and its
-- returns allocated: what the models that add lines up compare their own rows with. Its
-- fingerprint is made of what both tables hold, so it is never ahead of them.
{{ config(tags=['change_groups']) }}

with

lines as (

    select
        change_group,
        group_fingerprint,
        is_guest,
        {%- if var('purchase_basis') == 'textbook' %}
        line_type = 'purchase' or (quantity > 0 and not is_guest) as is_purchase
        {%- else %}
        line_type = 'purchase' as is_purchase
        {%- endif %}

    from {{ ref('int_lines_classified') }}

    where is_usable

),

allocations as (

    select
        change_group,
        group_fingerprint

    from {{ ref('int_returns_allocated') }}

),

line_groups as (

    select
        change_group,
        max(group_fingerprint) as group_fingerprint,
        max(case when is_purchase and not is_guest then 1 else 0 end)
            as known_purchases

    from lines

    group by change_group

),

allocation_groups as (

    select
        change_group,
        max(group_fingerprint) as group_fingerprint

    from allocations

    group by change_group

),

final as (

    select
        -- keys
        line_groups.change_group,

        -- attributes
        {{ row_fingerprint([
            'line_groups.group_fingerprint',
            'coalesce(allocation_groups.group_fingerprint, 0)',
        ]) }} as group_fingerprint,

        -- flags
        line_groups.known_purchases = 1 as has_known_purchase

    from line_groups

    left outer join allocation_groups
        on line_groups.change_group = allocation_groups.change_group

)

select * from final
