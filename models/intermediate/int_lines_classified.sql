-- One row per invoice line, as delivered: either a line type or the reason why it is
-- set aside. The one place that decides what a line is; all that follows filters on it.

with

lines as (

    select *

    from {{ ref('stg_online_retail__lines') }}

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

-- Copies of a line are equal in all that was delivered, so which of them counts as the
-- first moves no figure; the order makes it the same one each time.
numbered as (

    select
        *,
        row_number() over (
            partition by line_hash
            order by source_file, source_hash, source_row
        ) as copy_number

    from lines

),

judged as (

    select
        numbered.*,
        non_product_codes.line_type as non_product_line_type,
        case
            when numbered.raw_line is not null then 'unreadable_line'
            when numbered.raw_quantity is not null then 'unreadable_quantity'
            when numbered.raw_invoice_date is not null then 'unreadable_invoice_date'
            when numbered.raw_unit_price is not null then 'unreadable_unit_price'
            when numbered.invoice_number is null then 'missing_invoice_number'
            when numbered.stock_code is null then 'missing_stock_code'
            when numbered.quantity is null then 'missing_quantity'
            when numbered.invoiced_at is null then 'missing_invoice_date'
            when numbered.unit_price is null then 'missing_unit_price'
            when numbered.line_amount is null then 'amount_out_of_range'
            when numbered.invoiced_at >= as_of.as_of_date then 'after_as_of_date'
            when numbered.copy_number > 1 then 'exact_duplicate'
            when numbered.is_bad_debt then 'bad_debt_adjustment'
            when numbered.quantity = 0 then 'zero_quantity'
            when
                numbered.quantity < 0
                and numbered.unit_price <= 0
                and not numbered.is_cancellation
                then 'stock_write_off'
            when numbered.unit_price <= 0 then 'non_positive_price'
            when
                numbered.is_cancellation and numbered.quantity > 0
                then 'positive_cancellation'
        end as reject_reason

    from numbered

    cross join as_of

    left outer join non_product_codes
        on numbered.stock_code = non_product_codes.stock_code

),

final as (

    select
        -- keys
        -- Made of the line's own content, so that it stays the same when files are
        -- delivered again, in another order, or split.
        concat(
            coalesce(invoice_number, 'none'),
            '-',
            substr(line_hash, 1, 16),
            case
                when copy_number > 1
                    then concat('-', cast(copy_number as string))
                else ''
            end
        ) as invoice_line_id,
        invoice_number,
        stock_code,
        customer_id,

        -- attributes
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
        source_hash,

        -- measures
        quantity,
        unit_price,
        line_amount,

        -- flags
        reject_reason is null as is_usable,
        non_product_line_type is null as is_product,
        not has_customer as is_guest,

        -- times
        invoiced_at

    from judged

)

select * from final
