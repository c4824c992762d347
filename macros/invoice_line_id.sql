{#- The id of a line, made of its own content, so that it stays the same when files are
    delivered again, in another order, or split. A hash that never errs costs ten times
    what a fingerprint does: it is made of the lines that are asked for. Chr(31) parts
    the values: no spreadsheet holds it. -#}
{% macro invoice_line_id(lines) -%}

        concat(
            coalesce({{ lines }}.invoice_number, 'none'),
            '-',
            substr(md5(concat_ws(
                chr(31),
                coalesce({{ lines }}.invoice_number, ''),
                coalesce({{ lines }}.stock_code, ''),
                coalesce({{ lines }}.product_description, ''),
                coalesce(cast({{ lines }}.quantity as string), {{ lines }}.raw_quantity, ''),
                coalesce(
                    cast({{ lines }}.invoiced_at as string), {{ lines }}.raw_invoice_date, ''
                ),
                coalesce(
                    cast({{ lines }}.unit_price as string), {{ lines }}.raw_unit_price, ''
                ),
                coalesce({{ lines }}.customer_id, ''),
                coalesce({{ lines }}.country_name, ''),
                coalesce({{ lines }}.currency_code, ''),
                coalesce({{ lines }}.store_name, ''),
                coalesce({{ lines }}.raw_line, '')
            )), 1, 16),
            case
                when {{ lines }}.copy_number > 1
                    then concat('-', cast({{ lines }}.copy_number as string))
                else ''
            end
        )

{%- endmacro %}
