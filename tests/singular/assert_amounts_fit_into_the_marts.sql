-- Amounts of all lines come to less than the marts have digits for, whatever is summed.

select sum(abs(line_amount)) as amount

from {{ ref('int_lines_classified') }}

having sum(abs(line_amount)) >= 100000000000000
