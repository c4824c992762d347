-- In the tables that are added to day by day all rows of a change group are of the same
-- state of it: rows of an earlier build beside them would count twice.

{%- set groups = {
    'int_lines_classified': 'change_group',
    'int_returns_allocated': 'change_group',
    'int_invoice_parts_totalled': 'change_group',
    'int_customer_products_totalled': 'customer_id',
    'int_invoices_totalled': 'change_group',
    'int_orders_versioned': 'change_group',
    'int_customer_days_totalled': 'change_group',
} %}

{%- for table, change_group in groups.items() %}

select
    '{{ table }}' as table_name,
    {{ change_group }} as change_group,
    count(*) as row_count

from {{ ref(table) }}

group by {{ change_group }}

having min(group_fingerprint) <> max(group_fingerprint)
{%- if not loop.last %}

union all
{%- endif %}
{%- endfor %}
