-- One row per invoice line, as delivered: either a line type or the reason why it is
-- set aside. The one place that decides what a line is; all that follows filters on it.
{{ config(
    materialized='incremental' if target.type == 'duckdb' else 'table',
    pre_hook="{{ forget_changed_groups(ref('int_change_groups_delivered')) }}",
    tags=['change_groups'],
) }}

-- A build of all reads the lines three times rather than hold them in memory; a daily
-- one holds the few that it computes.
{%- set lines_to_do %}
    select
        *,
        {{ row_fingerprint(['change_group', 'invoice_number', 'stock_code']) }}
            as product_fingerprint

    from {{ ref('stg_online_retail__lines') }}

    where {{ of_groups_to_do() }}
{%- endset %}
{%- set lines_again = 'select * from lines' if is_incremental() else lines_to_do %}

with

groups_to_do as (

    {{ changed_groups(ref('int_change_groups_delivered')) }}

),

lines as (
    {{ lines_to_do }}

),

products as (
    {{ lines_again }}

),

possible_copies as (
    {{ lines_again }}

),

as_of as (

    select as_of_date

    from {{ ref('int_as_of_date') }}

),

non_product_codes as (

    select
        stock_code,
        line_type

    from {{ ref('non_product_codes') }}

),

-- Few invoices have a product on more than one line. Only there can a line be a copy of
-- another, and only there has what is wanted per product to be added up.
repeated_products as (

    select product_fingerprint

    from products

    group by product_fingerprint

    having count(*) > 1

),

single_lines as (

    select
        lines.*,
        1 as copy_number,
        1 as fingerprint_number,
        false as is_product_repeated

    from lines

    left outer join repeated_products
        on lines.product_fingerprint = repeated_products.product_fingerprint

    where repeated_products.product_fingerprint is null

),

-- Copies of a line are equal in all that was delivered, so which of them counts as the
-- first moves no figure; the order makes it the same one each time.
counted_copies as (

    select
        possible_copies.*,
        row_number() over (
            partition by
                possible_copies.content_fingerprint,
                possible_copies.invoice_number,
                possible_copies.stock_code,
                possible_copies.product_description,
                possible_copies.quantity,
                possible_copies.raw_quantity,
                possible_copies.invoiced_at,
                possible_copies.raw_invoice_date,
                possible_copies.unit_price,
                possible_copies.raw_unit_price,
                possible_copies.customer_id,
                possible_copies.country_name,
                possible_copies.currency_code,
                possible_copies.store_name,
                possible_copies.raw_line
            order by
                possible_copies.source_file,
                possible_copies.source_row
        ) as copy_number

    from possible_copies

    inner join repeated_products
        on possible_copies.product_fingerprint = repeated_products.product_fingerprint

),

-- Copies come in the same order as they are counted, so that those of the same name and
-- row, from a file that was delivered twice, are alike however often this is computed.
counted_fingerprints as (

    select
        *,
        row_number() over (
            partition by content_fingerprint
            order by
                source_file,
                source_row,
                copy_number
        ) as fingerprint_number,
        true as is_product_repeated

    from counted_copies

),

numbered as (

    select * from single_lines

    union all

    select * from counted_fingerprints

),

in_groups as (

    select
        numbered.*,
        groups_to_do.group_fingerprint

    from numbered

    inner join groups_to_do
        on numbered.change_group = groups_to_do.change_group

),

judged as (

    select
        in_groups.*,
        non_product_codes.line_type as non_product_line_type,
        case
            when in_groups.raw_line is not null then 'unreadable_line'
            when in_groups.raw_quantity is not null then 'unreadable_quantity'
            when in_groups.raw_invoice_date is not null then 'unreadable_invoice_date'
            when in_groups.raw_unit_price is not null then 'unreadable_unit_price'
            when in_groups.invoice_number is null then 'missing_invoice_number'
            when in_groups.stock_code is null then 'missing_stock_code'
            when in_groups.quantity is null then 'missing_quantity'
            when in_groups.invoiced_at is null then 'missing_invoice_date'
            when in_groups.unit_price is null then 'missing_unit_price'
            when in_groups.line_amount is null then 'amount_out_of_range'
            when in_groups.invoiced_at >= as_of.as_of_date then 'after_as_of_date'
            when in_groups.copy_number > 1 then 'exact_duplicate'
            when in_groups.is_bad_debt then 'bad_debt_adjustment'
            when in_groups.quantity = 0 then 'zero_quantity'
            when
                in_groups.quantity < 0
                and in_groups.unit_price <= 0
                and not in_groups.is_cancellation
                then 'stock_write_off'
            when in_groups.unit_price <= 0 then 'non_positive_price'
            when
                in_groups.is_cancellation and in_groups.quantity > 0
                then 'positive_cancellation'
        end as reject_reason

    from in_groups

    cross join as_of

    left outer join non_product_codes
        on in_groups.stock_code = non_product_codes.stock_code

),

final as (

    select
        -- keys
        -- Joins are by this. Lines that share a number get others, copies or not.
        case
            when fingerprint_number = 1 then content_fingerprint
            else {{ row_fingerprint(['content_fingerprint', 'fingerprint_number']) }}
        end as line_fingerprint,
        copy_number,
        change_group,
        invoice_number,
        stock_code,
        customer_id,

        -- attributes
        group_fingerprint,
        case
            when reject_reason is not null then null
            when non_product_line_type is not null then non_product_line_type
            when quantity < 0 then 'return'
            else 'purchase'
        end as line_type,
        reject_reason,
        product_description,
        country_name,
        currency_code,
        store_name,
        raw_quantity,
        raw_invoice_date,
        raw_unit_price,
        raw_line,
        source_file,
        source_row,

        -- measures
        quantity,
        unit_price,
        line_amount,

        -- flags
        reject_reason is null as is_usable,
        non_product_line_type is null as is_product,
        is_product_repeated,
        not has_customer as is_guest,

        -- times
        invoiced_at

    from judged

)

select * from final
