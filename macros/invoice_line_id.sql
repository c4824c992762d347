{#- The id of a line, made of its own content, so that it stays the same when files are
    delivered again, in another order, or split. A hash that never errs costs ten times
    what a fingerprint does: it is made of the lines that are asked for. Chr(31) parts
    the values: no spreadsheet holds it. -#}
{% macro invoice_line_id(lines=none) -%}
    {%- set prefix = lines ~ '.' if lines else '' %}
        concat(
            coalesce({{ prefix }}invoice_number, 'none'),
            '-',
            substr(md5(concat_ws(
                chr(31),
                coalesce({{ prefix }}invoice_number, ''),
                coalesce({{ prefix }}stock_code, ''),
                coalesce({{ prefix }}product_description, ''),
                coalesce(
                    cast({{ prefix }}quantity as string), {{ prefix }}raw_quantity, ''
                ),
                coalesce(
                    cast({{ prefix }}invoiced_at as string), {{ prefix }}raw_invoice_date, ''
                ),
                coalesce(
                    cast({{ prefix }}unit_price as string), {{ prefix }}raw_unit_price, ''
                ),
                coalesce({{ prefix }}customer_id, ''),
                coalesce({{ prefix }}country_name, ''),
                coalesce({{ prefix }}currency_code, ''),
                coalesce({{ prefix }}store_name, ''),
                coalesce({{ prefix }}raw_line, '')
            )), 1, 16),
            case
                when {{ prefix }}copy_number > 1
                    then concat('-', cast({{ prefix }}copy_number as string))
                else ''
            end
        )

{%- endmacro %}
