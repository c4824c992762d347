-- A line has a line type when it is usable and a reject reason when it is not, never
-- both.

select
    source_file,
    source_row,
    line_type,
    reject_reason

from {{ ref('int_lines_classified') }}

where
    (line_type is null) = (reject_reason is null)
    or (reject_reason is null) != is_usable
